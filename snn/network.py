"""A spiking network as the user writes it: ``64-128-10`` or ``8x8x1-16c3-32c3s2-10``."""

import re
from dataclasses import dataclass
from math import prod

import numpy as np

from trident.hw.errors import TridentError

MAX_KERNEL = 7

_CONV = re.compile(r"(\d+)c(\d+)(?:s(\d+))?(?:p(\d+))?")
_IMAGE = re.compile(r"(\d+)x(\d+)x(\d+)")


@dataclass(frozen=True)
class Layer:
    """One trainable layer: a square convolution over (y, x, channel); linear is the 1x1 convolution of a 1x1 image.

    Weights are an array ``[kernel * kernel, in_channels, out_channels]``, biases ``[out_channels]``.
    """

    kind: str
    in_shape: tuple[int, int, int]
    out_channels: int
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    bias: bool = True

    @property
    def out_shape(self) -> tuple[int, int, int]:
        """(y, x, channel) of the spikes that the layer fires."""
        y, x, _ = self.in_shape
        return (
            (y + 2 * self.padding - self.kernel) // self.stride + 1,
            (x + 2 * self.padding - self.kernel) // self.stride + 1,
            self.out_channels,
        )

    @property
    def taps(self) -> int:
        return self.kernel * self.kernel

    @property
    def weight_shape(self) -> tuple[int, int, int]:
        return (self.taps, self.in_shape[2], self.out_channels)

    @property
    def fan_in(self) -> int:
        return self.taps * self.in_shape[2]

    def __str__(self) -> str:
        if self.kind == "linear":
            return f"linear {self.in_shape[2]}→{self.out_channels}"
        y, x, c = self.in_shape
        return (
            f"conv {y}x{x}x{c}→{self.out_channels}, kernel {self.kernel}, stride {self.stride}, "
            f"padding {self.padding}"
        )


@dataclass(frozen=True)
class Network:
    """A chain of layers over an input of shape (y, x, channel).

    A linear layer behind an image takes it flattened in (y, x, channel) order.
    """

    in_shape: tuple[int, int, int]
    layers: tuple[Layer, ...]

    @property
    def classes(self) -> int:
        return prod(self.layers[-1].out_shape)

    @property
    def weights(self) -> int:
        """Trainable values: weights and biases."""
        return sum(prod(layer.weight_shape) + layer.bias * layer.out_channels for layer in self.layers)

    def initial_weights(self, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Weights and biases of every layer, uniform in ±1/sqrt(fan_in), as float64; the same for the same seed."""
        rng = np.random.default_rng(seed)
        values = []
        for layer in self.layers:
            bound = 1 / np.sqrt(layer.fan_in)
            weights = rng.uniform(-bound, bound, layer.weight_shape)
            biases = rng.uniform(-bound, bound, layer.out_channels) if layer.bias else np.zeros(layer.out_channels)
            values.append((weights, biases))
        return values

    @classmethod
    def parse(cls, text: str, bias: bool = True) -> "Network":
        """Read ``INPUT-LAYER-...``: INPUT is ``64`` or ``8x8x1`` (y, x, channels); a layer is ``128`` (linear) or
        ``16c3s2p1`` (16 channels, kernel 3, stride 2, padding 1; without them stride 1 and padding kernel // 2).

        Raises :class:`TridentError` for what it cannot read and for layers whose shapes do not meet.
        """
        first, *rest = text.strip().split("-")
        if not rest:
            raise TridentError(f"network {text!r} has no layer: write an input and at least one layer, as in 64-128-10")
        if image := _IMAGE.fullmatch(first):
            in_shape = tuple(int(n) for n in image.groups())
        elif first.isdigit():
            in_shape = (1, 1, int(first))
        else:
            raise TridentError(f"network {text!r}: input {first!r} is neither a number (64) nor an image (8x8x1)")
        if min(in_shape) < 1:
            raise TridentError(f"network {text!r}: input {first!r} has a size of 0")
        layers, shape = [], in_shape
        for part in rest:
            layers.append(_parse_layer(text, part, shape, bias))
            shape = layers[-1].out_shape
        if layers[-1].kind != "linear":
            raise TridentError(f"network {text!r} must end with a linear layer, one output per class, not {rest[-1]!r}")
        return cls(in_shape, tuple(layers))


def _parse_layer(text: str, part: str, shape: tuple[int, int, int], bias: bool) -> Layer:
    if part.isdigit():
        if int(part) < 1:
            raise TridentError(f"network {text!r}: a layer needs at least 1 output, not {part}")
        return Layer("linear", (1, 1, prod(shape)), int(part), bias=bias)
    conv = _CONV.fullmatch(part)
    if not conv:
        raise TridentError(
            f"network {text!r}: layer {part!r} is neither a number of outputs (128) nor a convolution (16c3s2p1)"
        )
    channels, kernel, stride, padding = (int(n) if n else None for n in conv.groups())
    stride = 1 if stride is None else stride
    padding = kernel // 2 if padding is None else padding
    if channels < 1:
        raise TridentError(f"network {text!r}: layer {part!r} needs at least 1 channel")
    if not 1 <= kernel <= MAX_KERNEL:
        raise TridentError(f"network {text!r}: kernel {kernel} of {part!r} is not within 1 to {MAX_KERNEL}")
    if stride not in (1, 2):
        raise TridentError(f"network {text!r}: stride {stride} of {part!r} is neither 1 nor 2")
    if padding >= kernel:
        raise TridentError(f"network {text!r}: padding {padding} of {part!r} must be below its kernel of {kernel}")
    if min(shape[:2]) + 2 * padding < kernel:
        raise TridentError(
            f"network {text!r}: layer {part!r} with kernel {kernel} and padding {padding} does not fit "
            f"an input of {shape[0]}x{shape[1]} pixels"
        )
    return Layer("conv", shape, channels, kernel, stride, padding, bias)
