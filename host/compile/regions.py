"""Areas of a core's memories."""

from dataclasses import dataclass

from trident.hw.errors import TooLarge


@dataclass(frozen=True)
class Region:
    """``slots`` areas of ``size`` words from ``base``; ``chunk``: words from one chunk of timesteps to the next."""

    base: int
    size: int
    slots: int
    chunk: int

    @property
    def step(self) -> int:
        """Words from one sample's area to the next one's."""
        return self.size if self.slots > 1 else 0

    def in_chunk(self, chunk: int) -> int:
        """First word of a chunk of timesteps, of the first sample; with room for one, each lies there in turn."""
        return self.base + (self.chunk * chunk if self.size > self.chunk else 0)

    def at(self, sample: int) -> int:
        """First word of a sample, counted from the start of its minibatch."""
        return self.base + self.size * (sample % self.slots)


class Allocator:
    """Hand out consecutive regions of one memory."""

    def __init__(self, parameter: str, capacity: int, unit: int = 1):
        """``unit``: words of the parameter that one word here stands for."""
        self.parameter, self.capacity, self.unit, self.used = parameter, capacity, unit, 0

    def take(self, size: int, slots: int = 1, chunks: int = 1, least: int = 0) -> Region:
        """Areas of ``chunks`` times ``size`` words, or of ``least`` where that is more."""
        region = Region(self.used, max(size * chunks, least), slots, size)
        self.used += region.size * slots
        return region

    def check(self, what: str):
        """Raise TooLarge, with the number of words that are missing, if more was taken than there is."""
        if self.used > self.capacity:
            used, capacity = self.used * self.unit, self.capacity * self.unit
            raise TooLarge(
                f"{what} need {used} words, {used - capacity} more than {self.parameter} of {capacity}"
            )
