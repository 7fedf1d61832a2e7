"""Where files go: what a user asked for, and what is kept so that it need not be made again."""

import os
from pathlib import Path

from platformdirs import user_cache_path

OUT = Path("build")
"""Runs write here unless told otherwise: ``build`` in the folder that the user works in."""

CACHE = Path(os.environ.get("TRIDENT_CACHE") or user_cache_path("trident")).absolute()
"""Simulations, generated Verilog and compiled tools: TRIDENT_CACHE, else the user's cache folder."""

QUICK = os.environ.get("TRIDENT_BUILD") == "quick"
"""Whether what is kept there is compiled quickly, to run somewhat longer: what most tests want."""
