"""The phase-locked loop of an ECP5: dividers for one clock from another."""

from dataclasses import dataclass

from trident.hw.errors import TridentError

# Lattice FPGA-TN-02200 and Project Trellis' ecppll: limits in Hz, and the frequency that its oscillator is happiest at
DETECTOR = (3_125_000, 400_000_000)
OSCILLATOR = (400_000_000, 800_000_000)
OUTPUT = (10_000_000, 400_000_000)
BEST = 600_000_000
DIVIDER = 128


@dataclass(frozen=True)
class Pll:
    """Dividers of an EHXPLLL whose feedback is its output: ``output = input * feedback / reference``.

    reference, feedback, output: 1 to 128; oscillator_hz: ``output_hz * output``, 400 to 800 MHz.
    """

    reference: int
    feedback: int
    output: int
    output_hz: int
    oscillator_hz: int


def ecp5_pll(input_hz: int, output_hz: int) -> Pll:
    """Dividers that make ``output_hz`` from ``input_hz`` without error, its oscillator as near to 600 MHz as can be.

    Raises :class:`TridentError` when there are none.
    """
    low, high = OUTPUT
    if not low <= output_hz <= high:
        raise TridentError(f"a PLL of the ECP5 makes {low / 1e6:g} to {high / 1e6:g} MHz, not {output_hz / 1e6:g} MHz")
    found = []
    for reference in range(1, DIVIDER + 1):
        feedback, rest = divmod(output_hz * reference, input_hz)
        detector = input_hz / reference
        if rest or not 1 <= feedback <= DIVIDER or not DETECTOR[0] <= detector <= DETECTOR[1]:
            continue
        for output in range(1, DIVIDER + 1):
            oscillator = output_hz * output
            if OSCILLATOR[0] <= oscillator <= OSCILLATOR[1]:
                found.append(Pll(reference, feedback, output, output_hz, oscillator))
    if not found:
        raise TridentError(
            f"a PLL of the ECP5 cannot make {output_hz / 1e6:g} MHz from {input_hz / 1e6:g} MHz without error"
        )
    return min(found, key=lambda pll: (abs(pll.oscillator_hz - BEST), pll.reference))
