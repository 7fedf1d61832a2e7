"""From a network to a core's memories and programs: what lies where, and what each engine does."""

from dataclasses import dataclass
from math import prod

from host.constants import NeuronConstants, UpdateConstants
from host.network import Layer, Network
from host.packing import WeightMap, blocks
from hw.config import CoreConfig
from hw.errors import TridentError
from hw.layouts import ERROR_SLOTS, INSTRUCTION, JOB, SPIKE_SLOTS, TOKEN_BITS, Opcode, Token

KINDS = ("forward", "backward", "weight_grad", "update", "update_bias")  # jobs of a layer


def sequencer_needs(layers: int) -> dict[str, int]:
    """Parameters of the sequencer that so many layers need at least.

    Queues hold the instructions of two samples: those under way and those that the dispatcher is ahead.
    """
    return {"jobs": len(KINDS) * layers + 2, "program_words": 5 * layers + 7, "queue_depth": 2 * layers}


@dataclass(frozen=True)
class Region:
    """``slots`` areas of ``size`` words from ``base``."""

    base: int
    size: int
    slots: int

    @property
    def step(self) -> int:
        """Words from one sample's area to the next one's."""
        return self.size if self.slots > 1 else 0

    def at(self, sample: int) -> int:
        """First word of a sample, counted from the start of its minibatch."""
        return self.base + self.size * (sample % self.slots)


class Allocator:
    """Hand out consecutive regions of one memory."""

    def __init__(self, parameter: str, capacity: int, unit: int = 1):
        """``unit``: words of the parameter that one word here stands for."""
        self.parameter, self.capacity, self.unit, self.used = parameter, capacity, unit, 0

    def take(self, size: int, slots: int = 1) -> Region:
        region = Region(self.used, size, slots)
        self.used += size * slots
        return region

    def check(self, what: str):
        """Raise TridentError, with the number of words that are missing, if more was taken than there is."""
        if self.used > self.capacity:
            used, capacity = self.used * self.unit, self.capacity * self.unit
            raise TridentError(
                f"{what} need {used} words, {used - capacity} more than {self.parameter} of {capacity}"
            )


@dataclass(frozen=True)
class PlacedLayer:
    """One layer with the places of its weights (tiles), its input and output spikes and its errors (words)."""

    layer: Layer
    image: tuple[int, int, int]  # what it reads, before flattening
    weights: WeightMap
    tile: int
    inputs: Region
    spikes: Region
    errors: Region


class Plan:
    """A network placed on one core, with its programs.

    Raises :class:`TridentError` when the network does not fit; the sentence says how many words are missing.
    """

    def __init__(self, network: Network, cfg: CoreConfig):
        self.network, self.cfg = network, cfg
        tiles = Allocator("weight_rows", cfg.weight_tiles, cfg.lanes)
        # As many samples under way as there is memory for
        for self.spike_slots in range(SPIKE_SLOTS, 0, -1):
            spikes = Allocator("spike_words", cfg.spike_words)
            self.input, places = self._place(spikes)
            if spikes.used <= spikes.capacity:
                break
        spikes.check("the spikes of one sample")
        places = [(*place[:3], tiles.take(place[2].tiles).base, *place[3:]) for place in places]
        tiles.check("the rows of weights")
        sizes = [place[5].size for place in places]
        self.error_slots = ERROR_SLOTS if sum(sizes) * ERROR_SLOTS <= cfg.error_words else 1
        errors = Allocator("error_words", cfg.error_words)
        self.layers = [
            PlacedLayer(*place, errors.take(size, self.error_slots))
            for place, size in zip(places, sizes, strict=True)
        ]
        errors.check("the errors of one sample")
        self._check_limits()

    def _place(self, spikes: Allocator) -> tuple[Region, list[tuple]]:
        """Regions for the input's and every layer's spikes: (layer, image it reads, weights, inputs, outputs)."""
        lanes, slots = self.cfg.lanes, self.spike_slots
        y, x, channels = image = self.network.in_shape
        first = inputs = spikes.take(y * x * blocks(channels, lanes), slots)
        places = []
        for layer in self.network.layers:
            weights = WeightMap(layer, self.cfg, image)
            out_y, out_x, _ = image_out = layer.out_shape
            outputs = spikes.take(out_y * out_x * weights.groups, slots)
            places.append((layer, image, weights, inputs, outputs))
            inputs, image = outputs, image_out
        return first, places

    def _check_limits(self):
        for parameter, needed in sequencer_needs(len(self.layers)).items():
            if needed > getattr(self.cfg, parameter):
                raise TridentError(
                    f"{len(self.layers)} layers need {parameter} of at least {needed}, the core has "
                    f"{getattr(self.cfg, parameter)}"
                )
        y, x, _ = max((layer.image for layer in self.layers), key=lambda image: max(image[:2]))
        if max(y, x) > 255:
            raise TridentError(f"an image of {y}x{x} pixels is larger than 255 in one direction")

    def describe(self) -> list[dict]:
        """Per layer: what it is and the words it takes, for tables."""
        return [
            {
                "layer": str(placed.layer),
                "weights": prod(placed.layer.weight_shape) + placed.layer.bias * placed.layer.out_channels,
                "rows": placed.weights.rows,
                "spike words": placed.spikes.size,
                "error words": placed.errors.size,
            }
            for placed in self.layers
        ]

    # Job numbers
    def job(self, kind: str, layer: int = 0) -> int:
        """The number of a job: receive, send, or one of :data:`KINDS` per layer."""
        if kind in ("receive", "send"):
            return ("receive", "send").index(kind)
        return 2 + len(KINDS) * layer + KINDS.index(kind)

    def describe_job(self, number: int) -> str:
        """For messages: which engine and layer a job belongs to."""
        if number < 2:
            return ("receive", "send")[number]
        layer, kind = divmod(number - 2, len(KINDS))
        return f"{KINDS[kind].replace('_bias', '')} of layer {layer + 1} ({self.layers[layer].layer})"

    def jobs(self, neuron: NeuronConstants, updates: UpdateConstants) -> dict[int, list[int]]:
        """The words of every job."""
        last = self.layers[-1]
        result = {
            self.job("receive"): JOB.pack(dst=self.input.base, dst_slot=self.input.step, count=self.input.size),
            self.job("send"): JOB.pack(src=last.spikes.base, src_slot=last.spikes.step, count=last.spikes.size),
        }
        for n, placed in enumerate(self.layers):
            result[self.job("forward", n)] = self._forward(placed, neuron)
            result[self.job("backward", n)] = self._loss(neuron) if n == 0 else self._backward(n, neuron)
            result[self.job("weight_grad", n)] = self._weight_grad(placed)
        return result | self.update_jobs(updates)

    def update_jobs(self, updates: UpdateConstants) -> dict[int, list[int]]:
        """The jobs that change with the learning rate or the loss scale."""
        result = {}
        for n, placed in enumerate(self.layers):
            constants = {"leak": updates.momentum, "threshold": updates.minus_rate, "scale": updates.scale & 0xFF}
            weights = placed.weights
            bias_tiles = weights.groups if placed.layer.bias else 0
            rows = weights.rows - bias_tiles * self.cfg.lanes
            result[self.job("update", n)] = JOB.pack(tile=placed.tile, count=rows, group_step=1, **constants)
            # One row of each of the biases' tiles is in use
            result[self.job("update_bias", n)] = JOB.pack(
                tile=placed.tile + weights.tiles - bias_tiles, count=bias_tiles, group_step=self.cfg.lanes, **constants
            )
        return result

    def _window(self, layer: Layer) -> dict:
        return {"kernel": layer.kernel, "padding": layer.padding, "stride2": layer.stride == 2}

    def _passes(self, engine: str, width: int, groups: int) -> dict:
        """How many positions and groups share the accumulators."""
        per_word = self.cfg.entries_per_word(engine)
        words = min(self.cfg.words, width, self.cfg.accumulators // per_word)
        entries = words * per_word
        return {
            "words": words,
            "group_entries": entries,
            "groups": groups,
            "pass_groups": min(groups, self.cfg.accumulators // entries, 255),
        }

    def _forward(self, placed: PlacedLayer, neuron: NeuronConstants) -> list[int]:
        layer, weights = placed.layer, placed.weights
        out_y, out_x, _ = layer.out_shape
        in_y, in_x, _ = layer.in_shape
        passes = self._passes("forward", out_x, weights.groups)
        return JOB.pack(
            src=placed.inputs.base, src_slot=placed.inputs.step,
            dst=placed.spikes.base, dst_slot=placed.spikes.step,
            tile=placed.tile, block_step=weights.groups, tap_step=weights.groups,
            pass_step=passes["pass_groups"], group_step=1, **passes, **self._window(layer),
            src_y=in_y, src_x=in_x, blocks=weights.blocks, dst_y=out_y, dst_x=out_x,
            leak=neuron.leak, threshold=neuron.threshold, low=neuron.low, high=neuron.high, slope=neuron.slope,
            bias=layer.bias,
        )  # fmt: skip

    def _backward(self, n: int, neuron: NeuronConstants) -> list[int]:
        """Errors of layer n to errors of the layer below."""
        placed, below = self.layers[n], self.layers[n - 1]
        layer, weights = placed.layer, placed.weights
        out_y, out_x, _ = layer.out_shape
        in_y, in_x, _ = layer.in_shape
        passes = self._passes("backward", in_x, weights.blocks)
        return JOB.pack(
            src=placed.errors.base, src_slot=placed.errors.step,
            aux=below.spikes.base, aux_slot=below.spikes.step,
            dst=below.errors.base, dst_slot=below.errors.step,
            tile=placed.tile, block_step=1, tap_step=(weights.blocks - 1) * weights.groups + 1,
            pass_step=passes["pass_groups"] * weights.groups, group_step=weights.groups,
            **passes, **self._window(layer),
            src_y=out_y, src_x=out_x, blocks=weights.groups, dst_y=in_y, dst_x=in_x,
            leak=neuron.leak, threshold=neuron.threshold, slope=neuron.slope,
        )  # fmt: skip

    def _loss(self, neuron: NeuronConstants) -> list[int]:
        last = self.layers[-1]
        return JOB.pack(
            aux=last.spikes.base, aux_slot=last.spikes.step, dst=last.errors.base, dst_slot=last.errors.step,
            groups=last.weights.groups, count=self.network.classes,
            leak=neuron.leak, threshold=neuron.threshold, slope=neuron.slope,
        )  # fmt: skip

    def _weight_grad(self, placed: PlacedLayer) -> list[int]:
        layer, weights = placed.layer, placed.weights
        out_y, out_x, _ = layer.out_shape
        in_y, in_x, _ = layer.in_shape
        entries = self.cfg.words * self.cfg.entries_per_word("weight_grad")
        return JOB.pack(
            src=placed.inputs.base, src_slot=placed.inputs.step,
            aux=placed.errors.base, aux_slot=placed.errors.step,
            tile=placed.tile, group_step=1, groups=weights.groups,
            pass_groups=min(weights.groups, self.cfg.accumulators // entries, 255), group_entries=entries,
            words=self.cfg.words, **self._window(layer),
            src_y=in_y, src_x=in_x, blocks=weights.blocks, dst_y=out_y, dst_x=out_x,
            count=weights.all_blocks, bias=layer.bias,
        )  # fmt: skip

    # Programs
    def _tokens(self, **counts: int) -> int:
        return sum(count << TOKEN_BITS * Token[name] for name, count in counts.items())

    def training_program(self, update: bool = True) -> list[int]:
        """One minibatch: every sample forward, loss, backward, weight_grad; then the update.

        Without ``update`` the gradients stay in their memory, and the next run adds to them.
        """
        count, slots = len(self.layers), self.spike_slots
        program = [self._tokens(INPUT_FREE=slots, SENT=slots, SLOT_FREE=slots, ERRORS_FREE=self.error_slots)]
        program += self._forward_pass((Token.LOSS_READY, Token.OUTPUT_READY), (Token.SENT,))
        program.append(_instruction(
            Opcode.LOSS, self.job("backward", 0), (Token.LOSS_READY, Token.ERRORS_FREE), (Token.ERRORS_READY,)
        ))  # fmt: skip
        for n in reversed(range(1, count)):
            program.append(_instruction(Opcode.BACKWARD, self.job("backward", n), (), (Token.ERRORS_READY,)))
        for n in reversed(range(count)):
            post = () if n else (Token.INPUT_FREE, Token.SLOT_FREE, Token.ERRORS_FREE)
            program.append(_instruction(Opcode.WEIGHT_GRAD, self.job("weight_grad", n), (Token.ERRORS_READY,), post))
        program.append(self._loop())
        program.append(_instruction(Opcode.BARRIER))
        for n, placed in enumerate(self.layers if update else ()):
            program.append(_instruction(Opcode.UPDATE, self.job("update", n)))
            if placed.layer.bias:
                program.append(_instruction(Opcode.UPDATE, self.job("update_bias", n)))
        program.append(_instruction(Opcode.HALT))
        return program

    def _loop(self) -> int:
        (word,) = INSTRUCTION.pack(opcode=Opcode.LOOP, job=1, post=self.spike_slots)
        return word

    def inference_program(self) -> list[int]:
        """Forward only."""
        slots = self.spike_slots
        program = [self._tokens(INPUT_FREE=slots, SENT=slots, SLOT_FREE=slots)]
        program += self._forward_pass((Token.OUTPUT_READY,), (Token.SENT, Token.SLOT_FREE, Token.INPUT_FREE))
        program += [self._loop(), _instruction(Opcode.HALT)]
        return program

    def _forward_pass(self, done: tuple, sent: tuple) -> list[int]:
        count = len(self.layers)
        program = [_instruction(Opcode.RECEIVE, self.job("receive"), (Token.INPUT_FREE,), (Token.INPUT_READY,))]
        for n in range(count):
            wait = (Token.INPUT_READY, Token.SLOT_FREE, Token.SENT) if n == 0 else ()
            post = done if n == count - 1 else ()
            program.append(_instruction(Opcode.FORWARD, self.job("forward", n), wait, post))
        program.append(_instruction(Opcode.SEND, self.job("send"), (Token.OUTPUT_READY,), sent))
        return program


def _instruction(opcode: Opcode, job: int = 0, wait: tuple = (), post: tuple = ()) -> int:
    (word,) = INSTRUCTION.pack(
        opcode=opcode, job=job, wait=sum(1 << token for token in wait), post=sum(1 << token for token in post)
    )
    return word
