"""The nodes that a network is made of: what each takes, gives and learns.

A shape is (y, x, channels); a vector of n values is (1, 1, n). Every value is there at each of the T timesteps.
"""

import re
from dataclasses import Field, dataclass, field, fields
from math import log, prod
from typing import Any, ClassVar

from trident.hw.errors import TridentError
from trident.hw.isa.charges import LEARNING, SHARED
from trident.hw.isa.dropout import WORD, left_below
from trident.hw.isa.neurons import READOUTS
from trident.snn.network.windows import Windows
from trident.snn.neuron_settings import NeuronSettings

Shape = tuple[int, int, int]

INPUT = "input"
"""The name that nodes give the samples by."""

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_EDGE = re.compile(rf"({NAME.pattern})(?:\[t-([0-9]{{1,3}})\])?")
HIGH = 1e300  # a threshold that any other number may be below: which one the run has is not known here
POOLS = ("max", "average", "sum")
NORMS = ("batch",)
GATES = ("and", "iand")
BATCH_EPSILON, BATCH_MOMENTUM = 1e-4, 0.1  # of batch norm, where a node has none of its own
EPSILON = 1e-4  # of standardised weights, where a node has none of its own


@dataclass(frozen=True)
class Edge:
    """What a node reads: the output of the node called ``node``, of so many timesteps ago."""

    node: str
    delay: int = 0

    def __str__(self) -> str:
        return f"{self.node}[t-{self.delay}]" if self.delay else self.node

    @classmethod
    def parse(cls, text: str) -> "Edge":
        """Read ``conv1`` or ``neuron1[t-1]``. Raises :class:`TridentError` for anything else."""
        match = _EDGE.fullmatch(text) if isinstance(text, str) else None
        if not match:
            raise TridentError(f"{text!r} names no node: write a name, as in conv1, or neuron1[t-1] for a delay")
        return cls(match.group(1), int(match.group(2) or 0))


@dataclass(frozen=True)
class Node:
    """A node of a network: its name, and what it reads.

    Raises :class:`TridentError` for fields that no network can have; shapes are checked by :class:`Network`.
    """

    name: str
    inputs: tuple[Edge, ...]

    kind: ClassVar[str]
    takes: ClassVar[str] = "one input"

    def __post_init__(self):
        if not NAME.fullmatch(self.name) or self.name == INPUT:
            raise TridentError(f"{self.name!r} is no name for a node: letters, digits and _, beginning with a letter")
        one = self.takes == "one input"
        if (len(self.inputs) != 1) if one else (len(self.inputs) < 2):
            raise TridentError(f"{self}: a node of this kind takes {self.takes}, not {len(self.inputs)}")

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}"

    def out_shape(self, *shapes: Shape) -> Shape:
        """The shape of the output, from those of the inputs. Raises :class:`TridentError` where they do not suit."""
        return shapes[0]

    def tensors(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters by name, from that of the input."""
        return {}

    def fan_in(self, shape: Shape) -> int:
        """Inputs that are summed for an output; initial weights are drawn within 1 / sqrt(fan_in)."""
        return 1

    @property
    def initial(self) -> dict[str, float]:
        """What parameters begin with that are not drawn, by name."""
        return {}

    def _whole(self, name: str, low: int, high: int | None = None):
        value = getattr(self, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < low or (high is not None and value > high):
            limits = f"from {low} to {high}" if high is not None else f"of at least {low}"
            raise TridentError(f"{self}: {name} must be a whole number {limits}, not {value!r}")

    def _choice(self, name: str, known: tuple[str, ...]):
        if getattr(self, name) not in known:
            raise TridentError(f"{self}: {name} must be {' or '.join(known)}, not {getattr(self, name)!r}")

    def _weights(self, bias: bool, standardise: bool, epsilon: float | None):
        """Check what all nodes with weights have."""
        for name, value in (("bias", bias), ("standardise", standardise)):
            if not isinstance(value, bool):
                raise TridentError(f"{self}: {name} must be true or false, not {value!r}")
        if epsilon is None:
            return
        if not standardise:
            raise TridentError(f"{self}: epsilon is of standardised weights: give standardise = true as well")
        if isinstance(epsilon, bool) or not isinstance(epsilon, int | float) or not 0 < epsilon < HIGH:
            raise TridentError(f"{self}: epsilon must be a number above 0, not {epsilon!r}")


@dataclass(frozen=True)
class Linear(Node):
    """A vector times a matrix: ``weight`` (1, inputs, outputs), ``bias`` (outputs,).

    standardise: outputs are of standardised weights, see :mod:`trident.hw.isa.standardise`, made of ``weight``;
    epsilon: what is added to their variance, by default :data:`EPSILON`.
    """

    outputs: int = field(kw_only=True)
    bias: bool = field(default=True, kw_only=True)
    standardise: bool = field(default=False, kw_only=True)
    epsilon: float | None = field(default=None, kw_only=True)
    kind = "linear"

    def __post_init__(self):
        super().__post_init__()
        self._whole("outputs", 1)
        self._weights(self.bias, self.standardise, self.epsilon)

    def out_shape(self, *shapes: Shape) -> Shape:
        y, x, _ = shapes[0]
        if (y, x) != (1, 1):
            raise TridentError(f"{self} reads an image of {y}x{x} pixels: put a flatten before it")
        return (1, 1, self.outputs)

    def tensors(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        weight = {"weight": (1, shape[2], self.outputs)}
        return weight | ({"bias": (self.outputs,)} if self.bias else {})

    def fan_in(self, shape: Shape) -> int:
        return shape[2]


@dataclass(frozen=True)
class Norm(Node):
    """Normalisation per channel over a minibatch, all pixels and timesteps: ``gain`` and ``offset`` (channels,), see
    :mod:`trident.hw.isa.batch_norm`.

    epsilon: what is added to a variance. momentum: the share of a minibatch in the running mean and variance. scale:
    what gains begin with; of threshold-dependent batch norm a multiple of the threshold. frozen: training, too, takes
    the running mean and variance, as PyTorch's in eval mode, and leaves them; gains and offsets are learned.
    """

    method: str = field(default="batch", kw_only=True)
    epsilon: float = field(default=BATCH_EPSILON, kw_only=True)
    momentum: float = field(default=BATCH_MOMENTUM, kw_only=True)
    scale: float = field(default=1.0, kw_only=True)
    frozen: bool = field(default=False, kw_only=True)
    kind = "norm"

    def __post_init__(self):
        super().__post_init__()
        self._choice("method", NORMS)
        if not isinstance(self.frozen, bool):
            raise TridentError(f"{self}: frozen must be true or false, not {self.frozen!r}")
        for name, high in (("epsilon", HIGH), ("momentum", 1), ("scale", HIGH)):
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0 < value <= high:
                limit = f"above 0, at most {high}" if high == 1 else "above 0"
                raise TridentError(f"{self}: {name} must be a number {limit}, not {value!r}")

    def tensors(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        return {"gain": (shape[2],), "offset": (shape[2],)}

    @property
    def initial(self) -> dict[str, float]:
        return {"gain": self.scale, "offset": 0.0}

    @property
    def gain(self) -> str:
        """The name of its gains."""
        return f"{self.name}.gain"

    @property
    def offset(self) -> str:
        """The name of its offsets."""
        return f"{self.name}.offset"


@dataclass(frozen=True)
class Pool(Node):
    """The largest value, the average or the sum of every window of ``size`` x ``size`` pixels, one every ``stride``
    pixels; ``padding``: pixels around the image, which are never the largest, at most half of the size. Of a vector,
    windows of ``size`` values."""

    method: str = field(default="max", kw_only=True)
    size: int = field(default=2, kw_only=True)
    stride: int = field(default=0, kw_only=True)
    padding: int = field(default=0, kw_only=True)
    kind = "pool"

    def __post_init__(self):
        super().__post_init__()
        self._choice("method", POOLS)
        self._whole("size", 1)
        if self.stride == 0:
            object.__setattr__(self, "stride", self.size)
        self._whole("stride", 1)
        self._whole("padding", 0)
        if 2 * self.padding > self.size:
            raise TridentError(f"{self}: padding must be at most half of size, {self.size // 2}, not {self.padding}")

    @property
    def windows(self) -> Windows:
        """Where its windows are."""
        return Windows(self.size, self.stride, self.padding)

    def out_shape(self, *shapes: Shape) -> Shape:
        y, x, values = shapes[0]
        if (y, x) == (1, 1) and self.size <= values and not self.padding:
            return (1, 1, (values - self.size) // self.stride + 1)
        if min(y, x) + 2 * self.padding < self.size:
            raise TridentError(f"{self} has a window of {self.size} pixels, its input is an image of {y}x{x}")
        return self.windows.shape(shapes[0])


@dataclass(frozen=True)
class Dropout(Node):
    """In training, spikes of the share ``p`` of values are dropped, at all timesteps, and others count 1 / (1 - p)."""

    p: float = field(default=0.5, kw_only=True)
    kind = "dropout"

    def __post_init__(self):
        super().__post_init__()
        if isinstance(self.p, bool) or not isinstance(self.p, int | float) or not 0 < self.p < 1:
            raise TridentError(f"{self}: p must be a number above 0 and below 1, not {self.p!r}")
        if not 0 < left_below(self.p) < 1 << WORD:
            raise TridentError(f"{self}: a p of {self.p!r} rounds to 0 or 1: a core drops multiples of 2**-{WORD}")


@dataclass(frozen=True)
class _Own(Node):
    """A node with fields of :class:`NeuronSettings` of its own; None: those of the run."""

    neuron: str | None = field(default=None, kw_only=True)
    leak: float | None = field(default=None, kw_only=True)
    decay_input: bool | None = field(default=None, kw_only=True)
    synapse: float | None = field(default=None, kw_only=True)

    def __post_init__(self):
        super().__post_init__()
        try:
            NeuronSettings(**{"threshold": HIGH} | dict(self.changes))
        except TridentError as fault:
            raise TridentError(f"{self}: {fault}") from None

    @property
    def changes(self) -> tuple[tuple[str, Any], ...]:
        """The fields that differ from those of the run, with their values."""
        own = ((name, getattr(self, name)) for name in own_fields(type(self)))
        return tuple((name, value) for name, value in own if value is not None)


@dataclass(frozen=True)
class Neuron(_Own):
    """A spiking neuron per value. Of plif and leaky ``leak`` (channels,) is learned, of plif the same w for all, see
    :data:`trident.hw.isa.charges.CHARGES`; the field leak is what they begin with. With ``learn_threshold``,
    ``threshold`` (channels,) is learned instead.

    voters: of the network's output, how many consecutive neurons vote for a class, whose output is their spikes
    together; None: one.
    """

    threshold: float | None = field(default=None, kw_only=True)
    learn_threshold: str | None = field(default=None, kw_only=True)
    window: float | None = field(default=None, kw_only=True)
    reset: str | None = field(default=None, kw_only=True)
    surrogate: str | None = field(default=None, kw_only=True)
    detach: bool | None = field(default=None, kw_only=True)
    v_reset: float | None = field(default=None, kw_only=True)
    spike_penalty: float | None = field(default=None, kw_only=True)
    voters: int | None = field(default=None, kw_only=True)
    kind = "neuron"

    def __post_init__(self):
        super().__post_init__()
        if self.voters is not None:
            self._whole("voters", 1)

    @property
    def changes(self) -> tuple[tuple[str, Any], ...]:
        return tuple((name, value) for name, value in super().changes if name != "voters")

    @property
    def votes(self) -> bool:
        """Several of its neurons vote for a class."""
        return self.voters is not None and self.voters > 1

    def tensors(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        return {self.learned: (shape[2],)} if self.learned else {}

    @property
    def learned(self) -> str:
        """The name of what is learned, or nothing."""
        if self.neuron in LEARNING:
            return "leak"
        return "threshold" if self.learn_threshold not in (None, "none") else ""

    @property
    def initial(self) -> dict[str, float]:
        if self.learned == "threshold":
            threshold = NeuronSettings.threshold if self.threshold is None else self.threshold
            return {"threshold": threshold - (self.v_reset or 0.0)}
        leak = NeuronSettings.leak if self.leak is None else self.leak
        return {"leak": log(1 / leak - 1) if self.neuron in SHARED else leak} if self.learned else {}


@dataclass(frozen=True)
class Readout(_Own):
    """A neuron that adds up and leaks, and never fires. Its output is one value per sample: the ``mean`` of its
    potentials over time, the ``last`` or the ``max``, the largest."""

    readout: str = field(default="mean", kw_only=True)
    kind = "readout"

    def __post_init__(self):
        super().__post_init__()
        self._choice("readout", tuple(READOUTS))
        if self.neuron in LEARNING:
            raise TridentError(f"{self}: a readout has no leak that is learned, as that of {self.neuron}")


@dataclass(frozen=True)
class Add(Node):
    """The sum of all inputs, which have one shape. method: of two spikes a and b instead, "and": a · b, or "iand":
    a · (1 - b)."""

    method: str | None = field(default=None, kw_only=True)
    kind = "add"
    takes = "two inputs or more"

    def __post_init__(self):
        super().__post_init__()
        if self.method is not None:
            self._choice("method", GATES)
            if len(self.inputs) != 2:
                raise TridentError(f"{self}: {self.method} joins two inputs, not {len(self.inputs)}")

    def out_shape(self, *shapes: Shape) -> Shape:
        if len(set(shapes)) > 1:
            found = ", ".join("x".join(map(str, shape)) for shape in shapes)
            raise TridentError(f"{self} adds inputs of different shapes: {found}")
        return shapes[0]


@dataclass(frozen=True)
class Flatten(Node):
    """An image as a vector, in (y, x, channel) order."""

    kind = "flatten"

    def out_shape(self, *shapes: Shape) -> Shape:
        return (1, 1, prod(shapes[0]))


def own_fields(kind: type[Node]) -> dict[str, Field]:
    """The fields that a kind of node has beside its name and its inputs."""
    return {own.name: own for own in fields(kind) if own.name not in ("name", "inputs")}
