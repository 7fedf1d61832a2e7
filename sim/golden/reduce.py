"""Golden sums of several cores: what hw/units/reduce.py computes, and of what backward takes from the core before."""

from numba import njit

from trident.sim.golden.add import add_value


@njit(cache=True, nogil=True)
def reduce(values, before, p):
    """``values += before``, one rounding each; both 1-d values of the format, ``values`` changed."""
    for n in range(values.size):
        values[n] = add_value(values[n], before[n], p)
