"""Write the Verilog of a core: examples/generate_verilog.py [LANES] [FOLDER]."""

import sys
from pathlib import Path

from trident import CoreConfig
from trident.host.cli.verilog import write_verilog


def main(lanes: str = "4", folder: str = "build/examples/verilog"):
    """A core of the preset SMALL with so many lanes: output channels that it computes at once."""
    cfg = CoreConfig.preset("SMALL", lanes=int(lanes))
    design, table, modules = write_verilog(Path(folder), "SMALL", cfg)
    print(f"{design}: {modules} modules, {design.stat().st_size / 1000:.0f} kB")
    print(f"{table}: parameters, and the ports of every module")


if __name__ == "__main__":
    main(*sys.argv[1:])
