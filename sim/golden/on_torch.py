"""The golden engines on PyTorch, on a graphics processor where there is one: the same bits as the kernels in NumPy.

Sums are float64 matrix products, which are exact here, so whatever order a processor adds in.
"""

import numpy as np

from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.registry import PLACES, first_engine
from trident.sim.golden.backward import usable_factors
from trident.sim.golden.sums import Sums
from trident.snn.network.kernel import Kernel

try:
    import torch
    from torch.nn.functional import pad
except ImportError:
    torch = None

# Of the largest array that is made on the way: a processor's caches hold it, a graphics processor has enough to do
ELEMENTS = {"cpu": 1 << 18, "cuda": 1 << 24}


def engines(cfg: CoreConfig) -> dict:
    """The golden engines of a core by their place. Raises TridentError where PyTorch is missing, and for an engine that
    there is for NumPy only."""
    if torch is None:
        raise TridentError("GOLDEN=torch needs PyTorch: pip install '.[torch]' installs it")
    for place in PLACES:
        if cfg.engine(place) != first_engine(place):
            name = getattr(cfg, f"{place}_engine")
            raise TridentError(f"GOLDEN=torch has no {place}_engine {name!r}: take GOLDEN=numpy")
    return {"forward": forward, "backward": backward, "weight_grad": weight_grad}


def _device():
    return "cuda" if torch.cuda.is_available() else "cpu"


def _tensor(array: np.ndarray):
    return torch.as_tensor(np.ascontiguousarray(array), device=_device())


def _windows(images, kernel: Kernel):
    """What each output position reads: (N, y, x, T, c) to a view (N, out y, out x, T, c, kernel y, kernel x)."""
    (pad_y, pad_x), (y, x) = kernel.padding, kernel.reach
    images = pad(images, (0, 0, 0, 0, pad_x, pad_x, pad_y, pad_y))
    seen = images.unfold(1, y + 1, kernel.stride[0]).unfold(2, x + 1, kernel.stride[1])
    return seen[..., :: kernel.dilation[0], :: kernel.dilation[1]]


def _parts(samples: int, elements: int) -> list[slice]:
    """Samples some at a time, each of which takes so many elements."""
    step = max(ELEMENTS[_device()] // max(elements, 1), 1)
    return [slice(first, first + step) for first in range(0, samples, step)]


def forward(spikes, weights, biases, has_bias, kernel: Kernel, terms, sums: Sums):
    """As :func:`sim.golden.forward.forward`."""
    usable, too_large = sums.terms(weights, terms)
    bias, large = sums.terms(biases if has_bias else np.zeros_like(biases), terms)
    # Beside the weights those that are too large, so that a sum tells whether one was added
    rows = _tensor(np.concatenate([usable, too_large], axis=-1) if too_large.any() else usable)
    rows = rows.permute(1, 0, 2).reshape(-1, rows.shape[-1])  # in, taps
    images, outputs, exact = _tensor(spikes), weights.shape[-1], []
    for part in _parts(len(spikes), spikes[0].size * kernel.taps):
        seen = _windows(images[part], kernel)
        shape = seen.shape[:4]
        exact.append((seen.reshape(shape.numel(), -1).double() @ rows).reshape(*shape, -1).cpu().numpy())
    found = np.concatenate(exact)
    fault = np.broadcast_to(large, (len(spikes), outputs))
    if too_large.any():
        fault = fault | found[..., outputs:].any(axis=(1, 2, 3))
    return found[..., :outputs] + bias, fault


def weight_grad(spikes, errors, has_bias, kernel: Kernel, terms, sums: Sums):
    """As :func:`sim.golden.weight_grad.weight_grad`."""
    usable, too_large = sums.terms(errors, terms)
    outputs, fault = errors.shape[-1], np.zeros(errors.shape[-1], bool)
    images, rows, wrong = _tensor(spikes), _tensor(usable), _tensor(too_large)
    gradients = torch.zeros((spikes.shape[-1] * kernel.taps, outputs), dtype=torch.float64, device=rows.device)
    for part in _parts(len(spikes), spikes[0].size * kernel.taps):
        seen = _windows(images[part], kernel)
        columns = seen.reshape(seen.shape[:4].numel(), -1)
        gradients += columns.double().T @ rows[part].reshape(-1, outputs)
        if too_large.any():
            added = torch.ones_like(columns[:, 0], dtype=torch.bool) if has_bias else columns.any(dim=1)
            fault |= (wrong[part].reshape(-1, outputs) & added[:, None]).any(dim=0).cpu().numpy()
    found = gradients.reshape(spikes.shape[-1], kernel.taps, outputs).permute(1, 0, 2)
    return found.cpu().numpy(), usable.sum(axis=(0, 1, 2, 3)), fault


def backward(errors, columns, kernel: Kernel, in_shape, subnormals, terms, sums: Sums, scale=1.0):
    """As :func:`sim.golden.backward.backward`."""
    (usable, weights), fault = usable_factors(errors, columns, subnormals, sums)
    work = sums.parameters.work
    rounding = _Rounding(work, subnormals, sums)
    limit = 2.0 ** (sums.limit(terms) - sums.fmt.bias)
    rows, factors = _tensor(usable) * scale, _tensor(weights)
    samples, out_y, out_x, steps, _ = errors.shape
    strides, paddings = kernel.stride, kernel.padding
    sides = zip((out_y, out_x), strides, kernel.reach, strict=True)
    padded = [(out - 1) * step + reach + 1 for out, step, reach in sides]
    exact = torch.zeros((samples, *padded, steps, weights.shape[-1]), dtype=torch.float64, device=rows.device)
    wrong = torch.zeros(samples, dtype=torch.bool, device=rows.device)
    for part in _parts(samples, errors[0].size * weights.shape[-1]):
        for tap in range(kernel.taps):
            offsets = kernel.offset(tap)
            # Only the products that fall into the image are made, and only those can be too large
            rows_in, cols_in = (
                [n for n in range(out) if 0 <= n * step + offset - padding < side]
                for out, step, offset, padding, side in zip(
                    (out_y, out_x), strides, offsets, paddings, in_shape, strict=True
                )
            )
            if not rows_in or not cols_in:
                continue
            ys, xs = (slice(found[0], found[-1] + 1) for found in (rows_in, cols_in))
            products = rounding(rows[part, ys, xs, :, :, None] * factors[tap])
            large = products.abs() >= limit
            wrong[part] |= large.flatten(1).any(dim=1)
            total = torch.where(large, 0, rounding.term(products)).sum(dim=4)
            at = (
                slice(s.start * step + o, (s.stop - 1) * step + o + 1, step)
                for s, step, o in zip((ys, xs), strides, offsets, strict=True)
            )
            exact[part, *at] += total
    top, left = paddings
    sides = zip(in_shape, paddings, padded, strict=True)
    bottom, right = (max(side + padding - size, 0) for side, padding, size in sides)
    exact = pad(exact, (0, 0, 0, 0, 0, right, 0, bottom))
    inside = exact[:, top : top + in_shape[0], left : left + in_shape[1]]
    return inside.cpu().numpy(), fault | wrong.cpu().numpy()


class _Rounding:
    """Exact products to the format, as :func:`sim.golden.mul.mul_value` does it."""

    def __init__(self, work, subnormals: bool, sums: Sums):
        self.work, self.subnormals, self.sums = work, subnormals, sums
        self.integer = torch.int32 if sums.dtype is np.float32 else torch.int64
        self.floating = torch.float32 if sums.dtype is np.float32 else torch.float64

    def __call__(self, products):
        work = self.work
        bits = products.view(self.integer) & int(work.exponent_mask)
        bits = bits.clamp(min=int(work.min_normal_bits) if self.subnormals else 0) + int(work.magic_offset)
        magic = bits.view(self.floating)
        rounded = (products + magic) - magic
        return rounded if self.subnormals else torch.where(rounded.abs() >= float(work.min_normal), rounded, 0)

    def term(self, values):
        """Rounded products as terms of a sum, in float64."""
        values, parameters = values.double(), self.sums.parameters
        return torch.round(values / parameters.place) * parameters.place if parameters.coarse else values
