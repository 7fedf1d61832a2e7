"""The node of a convolution."""

from dataclasses import dataclass, field

from trident.hw.errors import TridentError
from trident.snn.network.kernel import Kernel, Pair, pair_text
from trident.snn.network.nodes import Node, Shape

MAX_KERNEL, MAX_STRIDE, MAX_DILATION, MAX_PADDING = 11, 4, 16, 31  # along each axis
HALF = -1  # as a padding: half the kernel, times the dilation


@dataclass(frozen=True)
class Conv(Node):
    """A convolution: ``weight`` (taps, input channels, channels), taps in raster order, ``bias`` (channels,).

    kernel, stride, dilation, padding: a number, or (y, x). dilation: pixels from tap to tap. padding: zero pixels
    around the image, by default half the kernel times the dilation. groups: parts of the channels, each of which reads
    a part of the input channels, so that ``weight`` is (taps, input channels / groups, channels). standardise, epsilon:
    as of :class:`Linear`.
    """

    channels: int = field(kw_only=True)
    kernel: int | Pair = field(kw_only=True)
    stride: int | Pair = field(default=1, kw_only=True)
    padding: int | Pair = field(default=HALF, kw_only=True)
    dilation: int | Pair = field(default=1, kw_only=True)
    groups: int = field(default=1, kw_only=True)
    bias: bool = field(default=True, kw_only=True)
    standardise: bool = field(default=False, kw_only=True)
    epsilon: float | None = field(default=None, kw_only=True)
    kind = "conv"

    def __post_init__(self):
        super().__post_init__()
        self._whole("channels", 1)
        self._whole("groups", 1)
        if self.channels % self.groups:
            raise TridentError(f"{self}: groups of {self.groups} must divide channels, which is {self.channels}")
        for name, most in (("kernel", MAX_KERNEL), ("stride", MAX_STRIDE), ("dilation", MAX_DILATION)):
            self._pair(name, 1, (most, most))
        reach = Kernel(_both(self.kernel), dilation=_both(self.dilation)).reach
        if self.padding == HALF:
            sides = zip(_both(self.kernel), _both(self.dilation), strict=True)
            object.__setattr__(self, "padding", tuple(size // 2 * step for size, step in sides))
        y, x = (min(side, MAX_PADDING) for side in reach)
        self._pair("padding", 0, (y, x))
        self._weights(self.bias, self.standardise, self.epsilon)

    def _pair(self, name: str, low: int, high: Pair):
        """Check a number, or a list of two, along y and x; two that are equal become one."""
        value = getattr(self, name)
        pair = (value, value) if isinstance(value, int) else tuple(value) if isinstance(value, list | tuple) else ()
        numbers = len(pair) == 2 and not any(isinstance(n, bool) or not isinstance(n, int) for n in pair)
        if not numbers or any(not low <= n <= most for n, most in zip(pair, high, strict=True)):
            raise TridentError(
                f"{self}: {name} must be a whole number from {low} to {pair_text(high)}, or two such, for y and x, "
                f"not {list(value) if isinstance(value, tuple) else value!r}"
            )
        object.__setattr__(self, name, pair[0] if pair[0] == pair[1] else pair)

    def out_shape(self, *shapes: Shape) -> Shape:
        y, x, channels = shapes[0]
        if channels % self.groups:
            raise TridentError(f"{self}: groups of {self.groups} must divide the {channels} channels that it reads")
        positions = self.geometry.positions(y, x)
        if min(positions) < 1:
            raise TridentError(f"{self} with {self.geometry} does not fit an image of {y}x{x} pixels")
        return (*positions, self.channels)

    @property
    def geometry(self) -> Kernel:
        """Where it reads."""
        return Kernel(*map(_both, (self.kernel, self.stride, self.padding, self.dilation)))

    def tensors(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        weight = {"weight": (self.geometry.taps, shape[2] // self.groups, self.channels)}
        return weight | ({"bias": (self.channels,)} if self.bias else {})

    def fan_in(self, shape: Shape) -> int:
        return self.geometry.taps * shape[2] // self.groups


def _both(value: int | Pair) -> Pair:
    return value if isinstance(value, tuple) else (value, value)
