"""Faults: which unit has had a number that is too large for it."""

from enum import IntEnum


class Fault(IntEnum):
    """Bits of the status word: since the last start, a number was too large for a sum, or a result for the format."""

    FORWARD = 0
    NEURON = 1
    BACKWARD = 2
    NEURON_GRAD = 3
    WEIGHT_GRAD = 4
    UPDATE = 5


GRADIENT_FAULTS = (1 << Fault.BACKWARD) | (1 << Fault.NEURON_GRAD) | (1 << Fault.WEIGHT_GRAD)
