"""What comes and goes at the ports of a core's units, cycle by cycle, from the waves of a simulation."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pylibfst

from trident.hw.errors import TridentError
from trident.sim.rtl.waves import PERIOD

_FST = pylibfst.lib


def ports(fst: Path, scope: str, names: Iterable[str]) -> dict[str, np.ndarray]:
    """The values of signals of a scope at the end of every cycle: (cycles, bits) each, lowest bit first, of 0 and 1.

    Raises :class:`TridentError` for a signal that the waves do not have, and OSError for a file that cannot be read.
    """
    context = _FST.fstReaderOpen(str(fst).encode())
    if context == pylibfst.ffi.NULL:
        raise OSError(f"{fst} cannot be read")
    try:
        _, signals = pylibfst.get_scopes_signals2(context)
        found = {name.split(" ")[0].split("[")[0]: signal for name, signal in signals.by_name.items()}
        chosen = {}
        for name in names:
            if f"{scope}.{name}" not in found:
                raise TridentError(f"the waves have no signal {scope}.{name}")
            chosen[name] = found[f"{scope}.{name}"]
        cycles = _FST.fstReaderGetEndTime(context) // PERIOD + 1
        changes: dict[int, list] = {signal.handle: [] for signal in chosen.values()}
        _FST.fstReaderClrFacProcessMaskAll(context)
        for handle in changes:
            _FST.fstReaderSetFacProcessMask(context, handle)

        def change(_, time: int, handle: int, value):
            changes[handle].append((time // PERIOD, pylibfst.string(value)))

        pylibfst.fstReaderIterBlocks(context, change)
    finally:
        _FST.fstReaderClose(context)
    return {name: _every_cycle(changes[signal.handle], cycles, signal.length) for name, signal in chosen.items()}


def _every_cycle(changes: list[tuple[int, str]], cycles: int, width: int) -> np.ndarray:
    """(cycles, width) of changes in their order; the last of a cycle counts."""
    times = np.array([-1, *(time for time, _ in changes)])
    texts = "".join(["0" * width, *(value for _, value in changes)])
    bits = (np.frombuffer(texts.encode(), np.uint8) - ord("0")).reshape(-1, width)[:, ::-1]
    return bits[np.searchsorted(times, np.arange(cycles), "right") - 1]
