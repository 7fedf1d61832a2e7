"""What the fast twin does with images of values: windows, timesteps of before, and columns of a convolution."""

import numpy as np

from trident.snn.network.layers import Layer
from trident.snn.network.windows import Windows


def at_steps(values: np.ndarray, span: slice, later: int) -> np.ndarray:
    """The timesteps of (T, ...) that are so much later than those of a span, 0 where there are none."""
    if not later:
        return values[span]
    found = np.zeros_like(values[span])
    for n, t in enumerate(range(span.start + later, span.stop + later)):
        if 0 <= t < len(values):
            found[n] = values[t]
    return found


def pool_windows(spikes: np.ndarray, size: int, method: str) -> tuple[np.ndarray, np.ndarray]:
    """The largest of every window of ``size`` x ``size`` pixels of (T, B, Y, X, C), and where it is first; or their
    average or sum, and what each pixel counts for."""
    if method != "max":
        steps, samples, y, x, channels = spikes.shape
        windows = spikes.reshape(steps, samples, y // size, size, x // size, size, channels)
        share = 1 / size**2 if method == "average" else 1.0
        return windows.sum(axis=(3, 5)) * share, np.full(spikes.shape, share)
    pooled, chosen = np.full_like(spikes[:, :, ::size, ::size], -1), np.zeros(spikes.shape, bool)
    at = [(slice(None), slice(None), slice(y, None, size), slice(x, None, size)) for y, x in np.ndindex(size, size)]
    for window in at:
        pooled = np.maximum(pooled, spikes[window])
    left = np.ones(pooled.shape, bool)
    for window in at:
        chosen[window] = left & (spikes[window] == pooled)
        left &= ~chosen[window]
    return pooled, chosen


def largest(values: np.ndarray, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """The largest of every window of (T, B, Y, X, C), and which pixel of it that is first, in raster order."""
    pad, sides, stride = windows.padding, (windows.height, windows.size), windows.stride
    around = ((0, 0), (0, 0), (pad, pad), (pad, pad), (0, 0))
    values = np.pad(values, around, constant_values=-np.inf)
    found = np.lib.stride_tricks.sliding_window_view(values, sides, (2, 3))[:, :, ::stride, ::stride]
    flat = found.reshape(*found.shape[:5], -1)
    return flat.max(axis=-1), flat.argmax(axis=-1)


def spread(errors: np.ndarray, winners: np.ndarray, layer: Layer) -> np.ndarray:
    """Errors of a layer's windows (T, B, Y, X, C), added where their pixels are the largest."""
    windows, (height, width, channels) = layer.windows, layer.pixels_shape
    assert windows is not None
    spread = np.zeros((*errors.shape[:2], height, width, channels), errors.dtype)
    down, along = np.divmod(winners, windows.size)
    step, sample, y, x, channel = np.indices(errors.shape, sparse=True)
    y, x = (place * windows.stride - windows.padding + tap for place, tap in ((y, down), (x, along)))
    np.add.at(spread, (step, sample, y, x, channel), errors)
    return spread.swapaxes(3, 4).reshape(*spread.shape[:3], 1, -1) if layer.line > 1 else spread


def im2col(x: np.ndarray, layer: Layer) -> np.ndarray:
    """Inputs (N, Y, X, C) as rows of (tap, channel) per output position: (N, Y_out * X_out, taps * C)."""
    if layer.kind == "linear":
        return x.reshape(len(x), 1, -1)
    kernel = layer.kernel
    (pad_y, pad_x), (reach_y, reach_x) = kernel.padding, kernel.reach
    x = np.pad(x, ((0, 0), (pad_y, pad_y), (pad_x, pad_x), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (reach_y + 1, reach_x + 1), (1, 2))
    windows = windows[:, :: kernel.stride[0], :: kernel.stride[1], :, :: kernel.dilation[0], :: kernel.dilation[1]]
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(len(x), -1, layer.taps * x.shape[-1])


def col2im(d: np.ndarray, weights: np.ndarray, layer: Layer) -> np.ndarray:
    """Errors (N, Y_in, X_in, C_in) at the inputs of a layer with errors ``d`` (N, Y_out, X_out, C_out)."""
    if layer.kind == "linear":
        return d @ weights[0].T
    height, width, channels = layer.in_shape
    rows, columns, _ = layer.sum_shape
    (top, left), (down, along) = layer.kernel.padding, layer.kernel.stride
    errors = np.zeros((len(d), height + 2 * top, width + 2 * left, channels), d.dtype)
    for tap in range(layer.taps):
        y, x = layer.kernel.offset(tap)
        errors[:, y : y + down * rows : down, x : x + along * columns : along] += d @ weights[tap].T
    return errors[:, top : top + height, left : left + width]
