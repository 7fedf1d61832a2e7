"""Between arrays as people think of them and words as the core's memories hold them."""

import numpy as np

from trident.host.compile.bands import Band, bands_of
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.words import WORD, elements_to_words
from trident.snn.network.groups import spread_groups, take_groups
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
    whole = np.pad(spikes, ((0, 0), (0, cfg.spare), (0, 0), (0, 0), (0, 0)))
    chunks = whole.reshape(n, cfg.chunks, cfg.timesteps, y, x, planes, channels)
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
    steps = lanes.transpose(2, 3, 0, 5, 1, 4).reshape(y, x, cfg.word_steps, planes * channels)
    return np.ascontiguousarray(steps[:, :, : cfg.steps])


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
    beside them. Of a grouped convolution the weights and biases of each band lie so, one band behind another.

    in_channels: the hardware's input channels of each channel of the layer (a flattened image has padding between
    pixels); out_channels: likewise its output channels. groups: of output channels; neuron_groups, neurons: of the
    neurons that take their sums, and the hardware's channels of these. bands: see :class:`Band`.
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
        self.bands = bands_of(layer, cfg.lanes, self.blocks, self.groups)
        # Tiles before those of the first vector of the last band, of the leaks and of the gains
        last = self.bands[-1]
        self.vector_tile = last.tile + last.vector_tile
        self.leak_tile = self.vector_tile + layer.bias * last.groups
        self.norm_tile = self.leak_tile + layer.learns * self.groups
        self.tiles = self.leak_tile + (len(layer.vectors) + bool(layer.norm)) * self.groups
        self.rows = self.tiles * cfg.lanes

    @property
    def updated(self) -> int:
        """Rows that an update changes: of weights all, of vectors one for each group."""
        weights = sum(band.vector_tile for band in self.bands) * self.cfg.lanes
        return weights + self.vectors * self.groups

    def _places(self, band: Band) -> tuple[np.ndarray, ...]:
        """The inputs of a band, the hardware's channels of them in it, and likewise its outputs."""
        if self.layer.conv_groups == 1:
            inputs, outputs = self.in_channels, self.out_channels
            return np.arange(len(inputs)), inputs, np.arange(len(outputs)), outputs
        inputs, outputs = np.arange(band.layer.image[2]), np.arange(band.layer.out_channels)
        return band.first + inputs, inputs, band.first_output + outputs, outputs

    def pack(self, weights: np.ndarray, biases: np.ndarray | None, *others: np.ndarray) -> np.ndarray:
        """Raw bits, or exact sums, (taps, in, out) and, for a layer with biases, (out,), and so for each of its other
        vectors, to rows (rows, lanes)."""
        lanes, full, rows = self.cfg.lanes, spread_groups(weights, self.layer.conv_groups), []
        for band in self.bands:
            inputs, at, outputs, to = self._places(band)
            tall = band.vector_tile // band.groups + self.layer.bias
            square = np.zeros((tall, lanes, band.groups * lanes), full.dtype)
            by_tap = square[: len(full) * band.blocks].reshape(len(full), -1, band.groups * lanes)
            by_tap[:, at[:, None], to] = full[:, inputs[:, None], outputs]
            if self.layer.bias and biases is not None:
                square[-1, 0, to] = biases[outputs]
            rows.append(self._tiles(square))
        behind = np.zeros(((self.tiles - self.leak_tile) // self.groups, lanes, self.groups * lanes), full.dtype)
        for n, vector in enumerate(others):
            if vector is not None:
                behind[n, 0, self.out_channels] = vector
        return np.concatenate([*rows, self._tiles(behind)])

    def _tiles(self, square: np.ndarray) -> np.ndarray:
        """(blocks, lanes, groups * lanes) as rows of tiles."""
        lanes = self.cfg.lanes
        tiles = square.reshape(len(square), lanes, square.shape[2] // lanes, lanes)
        return tiles.transpose(0, 2, 1, 3).reshape(-1, lanes)

    def unpack(self, rows: np.ndarray) -> tuple[np.ndarray | None, ...]:
        """The inverse of :meth:`pack`."""
        lanes, layer = self.cfg.lanes, self.layer

        def square(first: int, end: int, groups: int) -> np.ndarray:
            tiles = rows[first * lanes : end * lanes].reshape(-1, groups, lanes, lanes)
            return tiles.transpose(0, 2, 1, 3).reshape(-1, lanes, groups * lanes)

        full = np.zeros((layer.taps, len(self.in_channels), layer.out_channels), rows.dtype)
        biases = np.zeros(layer.out_channels, rows.dtype)
        for band in self.bands:
            inputs, at, outputs, to = self._places(band)
            end = band.tile + band.vector_tile
            by_tap = square(band.tile, end, band.groups).reshape(layer.taps, -1, band.groups * lanes)
            full[:, inputs[:, None], outputs] = by_tap[:, at[:, None], to]
            if layer.bias:
                biases[outputs] = square(end, end + band.groups, band.groups)[0, 0, to]
        behind = square(self.leak_tile, self.tiles, self.groups)
        others = [behind[n, 0, self.out_channels] for n in range(len(layer.vectors))]
        return take_groups(full, layer.conv_groups), biases if layer.bias else None, *others
