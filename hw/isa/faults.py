"""Faults: which unit has produced an infinity or a NaN."""

from enum import IntEnum


class Fault(IntEnum):
    """Bits of the status word: an engine produced an infinity or a NaN since the last start."""

    FORWARD = 0
    NEURON = 1
    BACKWARD = 2
    NEURON_GRAD = 3
    WEIGHT_GRAD = 4
    UPDATE = 5


GRADIENT_FAULTS = (1 << Fault.BACKWARD) | (1 << Fault.NEURON_GRAD) | (1 << Fault.WEIGHT_GRAD)
