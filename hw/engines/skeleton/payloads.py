"""What the three engines share: the payloads that flow from walker to array to drain.

::

    WordRequest -> Gather -> Matrix -> Scan -> Vector -> RowLoop -> Row -> BeatLoop -> Op -> Array -> Drained
      (walker)                                                                (drain)
"""

from amaranth.lib import data

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.planes import SHIFT


class Payloads:
    """Layouts of one engine's streams, derived from the configuration.

    cols: columns of processing elements; words: spike words that are gathered at once; vectors: column vectors per
    spike word (lanes, or timesteps); elements: bits that one gathered word adds to a vector (timesteps, or lanes).
    planes: words may hold planes of real values where they hold timesteps otherwise. walks: a sum may be that of
    several walks, so what only some of them have goes along with their requests; scales: what a walk adds is multiplied
    by a power of two of its own. apart: inputs and outputs that share words may be of different groups of a
    convolution, and are not joined. marks: it is known which word is that of biases.
    """

    def __init__(self, cfg: CoreConfig, engine: str):
        self.cfg, self.engine = cfg, engine
        self.cols, self.words = getattr(cfg, f"{engine}_cols"), cfg.words_of(engine)
        by_time = engine == "weight_grad"
        self.planes = cfg.planes and engine != "backward"
        self.walks = 1 if by_time else cfg.walks
        self.vectors = cfg.timesteps if by_time else cfg.lanes
        self.elements = cfg.lanes if by_time else cfg.timesteps
        self.beats = self.words * self.elements // self.cols
        address = cfg.address_bits
        groups = range(max(cfg.accumulators // cfg.entries_per_word(engine), 2))  # as many find place in a pass
        several = self.walks > 1
        self.scales = several and cfg.planes
        self.apart = by_time and cfg.kernels and cfg.lanes > 1
        self.marks = self.planes or self.apart
        # Which group of a layer's channels a neuron is of, whose leak it has
        group = {"group": address} if cfg.learns and not by_time else {}
        self.meta = data.StructLayout({
            **group,  # of the pass, the first one
            **({"group_step": address} if several else {}),  # from the tile of one group to the next
            **({"shift": SHIFT, "negative": 1} if self.scales else {}),  # of all that the walk adds
            "tile": address,  # row memory: tile (or error word) of the first group
            "dst": address,  # drain: word (or tile) of the first position and group
            "last_group": groups,  # number of the last group of this pass
            "words": 4,  # gathered words that are in use
            "final": 1,  # last matrix of its accumulator tile at the last position
            "end": 1,  # last matrix of its accumulator tile
        })  # fmt: skip
        self.request = data.StructLayout({
            "y": 8,  # pixel of the image that is read
            "x": 8,
            "start": address,  # of the word in the first pixel
            **({"blocks": address, "row": address} if several else {}),  # words per pixel, and per row of the image
            "fetch": 1,  # read the word; otherwise it is zero padding
            "ones": 1,  # the bias word: channel 0 spikes at every timestep
            "last": 1,  # last word of its matrix
            "meta": self.meta,
        })  # fmt: skip
        self.matrix = data.StructLayout({
            "words": data.ArrayLayout(cfg.spike_bits, self.words),
            "addresses": data.ArrayLayout(address if engine == "backward" else 0, self.words),
            "ones": self.words if self.marks else 0,  # which is the bias word
            "meta": self.meta,
        })  # fmt: skip
        bits = self.words * self.elements
        self.vector = data.StructLayout({
            "number": cfg.vector_bits,  # lane (or timestep) that the vector belongs to
            "bits": bits,  # element `word * elements + n`
            "later": bits if by_time else 0,  # elements that have another vector to come in this matrix
            "addresses": self.matrix["addresses"].shape,
            "ones": self.matrix["ones"].shape,
            "null": 1,  # nothing to add, only the end of a tile
            "meta": self.meta,
        })  # fmt: skip
        self.row = data.StructLayout({
            "vector": self.vector,
            "entry": cfg.entry_bits,  # accumulator entry of the group's first beat
            "last": 1,  # last row of its accumulator tile
        })  # fmt: skip
        self.tag = data.StructLayout({
            **group,
            "address": address,  # word that a drained position and group goes to (or tile)
            "entry": cfg.entry_bits,
            "item": range(max(cfg.items(engine), 1 << cfg.entry_bits)),  # of the position and group within the tile
            "step": cfg.vector_bits,  # timestep (or first lane of the beat)
            "col": range(max(self.cols, 2)),  # column that is drained
        })  # fmt: skip
        self.place = data.StructLayout({  # what of it is needed behind the drain
            "address": address, "item": range(max(cfg.items(engine), 2)), "step": cfg.vector_bits, **group,
        })  # fmt: skip
        later = {"carry": 1, "word": address} if cfg.chunks > 1 else {}
        self.error_place = data.StructLayout({**self.place.members, **later})  # whose states go on, and which they are
        # Of the row, or of its products: a power of two, and its sign
        plane = {"shift": SHIFT, "negative": 1} if self.planes or self.scales else {}
        self.op = data.StructLayout({
            **plane,
            "row": cfg.row_bits,
            "mask": self.cols,  # columns that add
            **({"joins": data.ArrayLayout(cfg.lanes, self.cols)} if self.apart else {}),  # and to which of its lanes
            "entry": cfg.entry_bits,
            "first": 1,  # the accumulator starts afresh
            "drain": 1,  # the result leaves
            "number": cfg.vector_bits,
            "source": address if engine == "backward" else 0,  # error word whose lane `number` multiplies
            "beat": range(max(self.elements // self.cols, 2)),  # beat within its word
            "tag": self.tag,
        })  # fmt: skip
        self.error_rows = data.ArrayLayout(cfg.row_bits, self.cols)  # of which backward's operands are lanes
        self.operand = data.ArrayLayout(cfg.width, self.cols)  # what multiplies the row, one per column
        self.control = data.StructLayout({  # of an operation, in the array
            "fire": 1,
            "taking": 1,  # a row that another core has summed is added
            **{name: self.op[name].shape for name in ("mask", "entry", "first", "drain", "tag", *plane)},
            **({"joins": self.op["joins"].shape} if self.apart else {}),
        })  # fmt: skip
        # Bits of a row that drains: floats, or sums that are kept or travel on as they are
        self.value_bits = {"backward": cfg.sum_row_bits, "weight_grad": cfg.gradient_row_bits}.get(engine, cfg.row_bits)
        self.drained = data.StructLayout({
            "values": data.ArrayLayout(self.value_bits, self.cols if by_time else 1),
            "tag": self.tag,
        })  # fmt: skip
