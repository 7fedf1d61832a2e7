"""Where a convolution reads."""

from typing import NamedTuple

Pair = tuple[int, int]  # along y and x


class Kernel(NamedTuple):
    """A window of ``size`` taps, ``dilation`` pixels apart, at positions ``stride`` pixels apart, from ``padding`` zero
    pixels before the image on; each (y, x). Kernels of numba take it as it is."""

    size: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)

    @classmethod
    def square(cls, size: int, stride: int = 1, padding: int = 0) -> "Kernel":
        """The same along both axes."""
        return cls((size, size), (stride, stride), (padding, padding))

    @property
    def taps(self) -> int:
        return self.size[0] * self.size[1]

    @property
    def reach(self) -> Pair:
        """Pixels from the first tap to the last."""
        y, x = (step * (size - 1) for size, step in zip(self.size, self.dilation, strict=True))
        return y, x

    @property
    def plain(self) -> bool:
        """It is what every core walks: the same along both axes, without dilation, with a stride of at most 2."""
        return all(len(set(pair)) == 1 for pair in self) and self.stride[0] <= 2 and self.dilation[0] == 1

    def offset(self, tap: int) -> Pair:
        """Pixels from the first tap to another; taps are counted in raster order."""
        y, x = divmod(tap, self.size[1])
        return y * self.dilation[0], x * self.dilation[1]

    def positions(self, y: int, x: int) -> Pair:
        """How many there are in an image of y x x pixels, along each axis; below 1 where it does not fit."""
        sides = zip((y, x), self.padding, self.reach, self.stride, strict=True)
        rows, columns = ((pixels + 2 * around - reach - 1) // stride + 1 for pixels, around, reach, stride in sides)
        return rows, columns

    def __str__(self) -> str:
        named = zip(("kernel", "stride", "padding", "dilation"), self, strict=True)
        return ", ".join(f"{name} {pair_text(pair)}" for name, pair in named if name != "dilation" or pair != (1, 1))


PIXEL = Kernel()  # a linear layer's, which reads a vector as one pixel


def pair_text(pair: Pair) -> str:
    """``3`` or ``5x3``."""
    return str(pair[0]) if pair[0] == pair[1] else "x".join(map(str, pair))
