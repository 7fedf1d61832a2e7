"""Energy from one process to another by a published fit: A. Stillmaker and B. Baas, Scaling equations for the accurate
prediction of CMOS device performance from 180 nm to 7 nm, Integration 58 (2017)."""

from trident.hw.errors import TridentError

# Of an inverter that drives four: a·V² + b·V + c, by node in nm; 45 and 32 of high performance
_FIT = {
    180: (0.0, 24.64, -17.98), 130: (7.171, -6.709, 2.904), 90: (4.762, -4.781, 2.092), 65: (3.755, -4.398, 1.975),
    45: (1.018, -0.3107, 0.1539), 32: (0.8367, -0.4341, 0.1701),
}  # fmt: skip
NODES = tuple(_FIT)
TARGET, TARGET_VOLTAGE = 32, 0.9
"""The node nearest to 28 nm that the fit has, and its voltage."""


def scale(node: int, voltage: float) -> float:
    """What an energy at ``node`` and ``voltage`` is multiplied by for 32 nm at 0.9 V. Raises :class:`TridentError` for
    a node that the fit does not have."""
    if node not in _FIT:
        raise TridentError(f"the scaling of energy knows {', '.join(map(str, NODES))} nm, not {node}")
    return _fitted(TARGET, TARGET_VOLTAGE) / _fitted(node, voltage)


def _fitted(node: int, voltage: float) -> float:
    a, b, c = _FIT[node]
    return a * voltage**2 + b * voltage + c
