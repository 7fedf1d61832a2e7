"""Windows of pixels, of which the largest value is taken."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Windows:
    """Windows of ``size`` x ``size`` pixels every ``stride`` pixels, from ``padding`` pixels before the image on, which
    may overlap. Pixels beyond the image count for nothing, and so do those behind the last whole window. ``line``: they
    are one pixel high."""

    size: int
    stride: int
    padding: int = 0
    line: bool = False

    @property
    def height(self) -> int:
        return 1 if self.line else self.size

    def shape(self, image: tuple[int, int, int]) -> tuple[int, int, int]:
        """(y, x, channels) of the windows of such an image."""
        y, x, channels = image
        rows, columns = (
            (pixels + 2 * self.padding - size) // self.stride + 1 for pixels, size in ((y, self.height), (x, self.size))
        )
        return rows, columns, channels

    def divide(self, image: tuple[int, int, int]) -> bool:
        """Whether every pixel of such an image is in one window, and no window goes beyond it."""
        whole = image[0] % self.size == image[1] % self.size == 0
        return self.size == self.stride and self.padding == 0 and whole

    @property
    def overlap(self) -> bool:
        """A pixel may be in several of them."""
        return self.stride < self.size

    @property
    def most(self) -> int:
        """The most of them that a pixel may be in."""
        return (-(-self.size // self.stride)) ** 2

    def __str__(self) -> str:
        if self.line:
            return f"{self.size} outputs"
        more = f" every {self.stride}" if self.stride != self.size else ""
        return f"{self.size}x{self.size}{more}" + (f", padding {self.padding}" if self.padding else "")
