"""Between arrays as people think of them and words as the core's memories hold them."""

import numpy as np

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.words import WORD, elements_to_words
from trident.snn.network.layers import Layer


def blocks(channels: int, lanes: int) -> int:
    """Groups of lanes that hold the channels."""
    return -(-channels // lanes)


def out_groups(layer: Layer, lanes: int) -> int:
    """Groups of lanes that hold a layer's output channels: those of its classes, once for each of their voters, or of
    its neurons, once for each output of which one takes the largest."""
    many = layer.voters * layer.line
    return blocks(layer.out_channels // many, lanes) * many


def out_places(layer: Layer, lanes: int) -> np.ndarray:
    """The hardware's output channel of each output channel of a layer: all voters of a class are in the class's lane,
    in groups one after another, and so are outputs of which a neuron takes the largest."""
    many = layer.voters * layer.line
    number, vote = np.divmod(np.arange(layer.out_channels), many)
    return (number // lanes * many + vote) * lanes + number % lanes


def pack_spikes(spikes: np.ndarray, cfg: CoreConfig, planes: int = 1) -> np.ndarray:
    """Spike words of samples: (N, T, y, x, c) of 0 and 1 to uint32 (N, words, 32-bit pieces); with ``planes``, which
    have words of their own, (N, T, y, x, planes * c).

    Word ``(((chunk * planes + plane) * height + y) * width + x) * blocks + block``, bit ``lane * timesteps + t``.
    """
    n, _, y, x, channels = spikes.shape
    channels //= planes
    padded = np.zeros((n, cfg.chunks, planes, y, x, blocks(channels, cfg.lanes) * cfg.lanes, cfg.timesteps), np.uint8)
    chunks = spikes.reshape(n, cfg.chunks, cfg.timesteps, y, x, planes, channels)
    padded[..., :channels, :] = chunks.transpose(0, 1, 5, 3, 4, 6, 2)
    bits = padded.reshape(n, -1, cfg.spike_bits)
    pieces = elements_to_words(cfg.spike_bits)
    full = np.zeros((*bits.shape[:2], pieces * WORD), np.uint8)
    full[..., : cfg.spike_bits] = bits
    return np.packbits(full, axis=-1, bitorder="little").view("<u4").astype(np.uint32)


def unpack_spikes(
    words: np.ndarray, shape: tuple[int, int, int], cfg: CoreConfig, planes: int = 1, places: np.ndarray | None = None
) -> np.ndarray:
    """The inverse for one sample: uint32 (words, pieces) to uint8 (y, x, T, planes * c). ``places``: of the channels in
    the hardware, by default in their order."""
    y, x, channels = shape
    bits = _bits(words, cfg.spike_bits)
    chosen = slice(channels) if places is None else places
    lanes = bits.reshape(cfg.chunks, planes, y, x, -1, cfg.timesteps)[..., chosen, :]
    return np.ascontiguousarray(lanes.transpose(2, 3, 0, 5, 1, 4)).reshape(y, x, cfg.steps, planes * channels)


def unpack_outputs(words: np.ndarray, cfg: CoreConfig) -> np.ndarray:
    """What readouts wrote: uint32 (words, pieces) to raw bits (groups, lanes), ``output_words`` words of a group one
    after another, lowest bits first."""
    rows = _bits(words, cfg.spike_bits).reshape(-1, cfg.output_words * cfg.spike_bits)
    return _lanes(rows[:, : cfg.row_bits], cfg, 1).astype(np.uint32)


def rows_to_words(rows: np.ndarray, cfg: CoreConfig, parts: int = 1) -> np.ndarray:
    """Rows of raw bits (n, lanes) to uint32 (n, 32-bit pieces); ``parts``: rows of which each is an exact sum's."""
    places = np.arange(parts * cfg.width).reshape(parts, 1, cfg.width)
    bits = (rows[:, None, :, None].astype(np.int64) >> places) & 1
    flat = bits.reshape(len(rows), parts * cfg.row_bits).astype(np.uint8)
    full = np.zeros((len(rows), elements_to_words(flat.shape[1]) * WORD), np.uint8)
    full[:, : flat.shape[1]] = flat
    return np.packbits(full, axis=-1, bitorder="little").view("<u4").astype(np.uint32)


def words_to_rows(words: np.ndarray, cfg: CoreConfig) -> np.ndarray:
    """The inverse: uint32 (n, pieces) to raw bits (n, lanes)."""
    return _words_to_lanes(words, cfg, 1).astype(np.uint32)


def words_to_sums(words: np.ndarray, cfg: CoreConfig) -> np.ndarray:
    """The inverse for exact sums: uint32 (n, pieces) to int64 (n, lanes)."""
    unused = 64 - cfg.sum_bits
    return _words_to_lanes(words, cfg, cfg.sum_rows) << unused >> unused


def _words_to_lanes(words: np.ndarray, cfg: CoreConfig, parts: int) -> np.ndarray:
    return _lanes(_bits(words, parts * cfg.row_bits), cfg, parts)


def _bits(words: np.ndarray, width: int) -> np.ndarray:
    """The first ``width`` bits of uint32 (n, pieces), as uint8 (n, width)."""
    octets = np.ascontiguousarray(words.astype("<u4")).view(np.uint8)
    return np.unpackbits(octets, axis=-1, bitorder="little")[:, :width]


def _lanes(bits: np.ndarray, cfg: CoreConfig, parts: int) -> np.ndarray:
    """Rows of bits as int64 (n, lanes); ``parts``: as of :func:`rows_to_words`."""
    lanes = bits.reshape(len(bits), parts, cfg.lanes, cfg.width).astype(np.int64)
    places = np.arange(parts * cfg.width).reshape(parts, 1, cfg.width)
    return (lanes << places).sum(axis=(1, 3))


class WeightMap:
    """Where a layer's weights lie in weight memory: row ``((tap * blocks + block) * groups + group) * lanes + input
    lane``, one value per output lane. Vectors of a value per output follow, each as one more block with a single row in
    use per group: the biases; the neurons' leaks; of a norm its gains, its offsets, and a block for what the core keeps
    beside them.

    in_channels: the hardware's input channels of each channel of the layer (a flattened image has padding between
    pixels); out_channels: likewise its output channels. groups: of output channels; neuron_groups, neurons: of the
    neurons that take their sums, and the hardware's channels of these.
    """

    def __init__(self, layer: Layer, cfg: CoreConfig):
        self.layer, self.cfg = layer, cfg
        y, x, channels = layer.image
        if layer.kind == "linear":
            per_pixel = blocks(channels, cfg.lanes)
            pixel, channel = np.divmod(np.arange(y * x * channels), channels)
            self.in_channels = pixel * per_pixel * cfg.lanes + channel
            self.blocks = y * x * per_pixel
        else:
            self.in_channels = np.arange(channels)
            self.blocks = blocks(channels, cfg.lanes)
        self.groups, self.out_channels = out_groups(layer, cfg.lanes), out_places(layer, cfg.lanes)
        self.neuron_groups = self.groups // layer.line
        self.neurons = np.arange(layer.out_shape[2]) if layer.line > 1 else self.out_channels
        self.vectors = layer.bias + len(layer.vectors)
        self.all_blocks = layer.taps * self.blocks + self.vectors + bool(layer.norm)
        # Tiles before those of the first vector, of the leaks and of the gains
        self.vector_tile = layer.taps * self.blocks * self.groups
        self.leak_tile = self.vector_tile + layer.bias * self.groups
        self.norm_tile = self.leak_tile + layer.learns * self.groups
        self.tiles = self.all_blocks * self.groups
        self.rows = self.tiles * cfg.lanes

    def pack(self, weights: np.ndarray, biases: np.ndarray | None, *others: np.ndarray) -> np.ndarray:
        """Raw bits, or exact sums, (taps, in, out) and, for a layer with biases, (out,), and so for each of its other
        vectors, to rows (rows, lanes)."""
        lanes, taps = self.cfg.lanes, self.layer.taps
        full = np.zeros((self.all_blocks * lanes, self.groups * lanes), weights.dtype)
        for tap in range(taps):
            full[np.ix_(tap * self.blocks * lanes + self.in_channels, self.out_channels)] = weights[tap]
        for n, vector in enumerate((*([biases] if self.layer.bias else []), *others)):
            if vector is not None:
                full[(taps * self.blocks + n) * lanes, self.out_channels] = vector
        return full.reshape(self.all_blocks, lanes, self.groups, lanes).transpose(0, 2, 1, 3).reshape(-1, lanes)

    def unpack(self, rows: np.ndarray) -> tuple[np.ndarray | None, ...]:
        """The inverse of :meth:`pack`."""
        lanes, taps = self.cfg.lanes, self.layer.taps
        tiles = rows.reshape(self.all_blocks, self.groups, lanes, lanes).transpose(0, 2, 1, 3)
        full = tiles.reshape(self.all_blocks * lanes, self.groups * lanes)
        weights = np.stack([
            full[np.ix_(tap * self.blocks * lanes + self.in_channels, self.out_channels)] for tap in range(taps)
        ])  # fmt: skip
        vectors = [full[(taps * self.blocks + n) * lanes, self.out_channels] for n in range(self.vectors)]
        return weights, *([] if self.layer.bias else [None]), *vectors
