"""The numbers that a core is given, rounded to its format once, for hardware and golden alike."""

from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

from trident.hw.errors import TridentError
from trident.hw.isa.charges import leak_program
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.format import FloatFormat
from trident.hw.isa.microcode import SCALE_BITS, UPDATE_NUMBERS, Microcode, number_fields
from trident.hw.isa.optimisers import PRUNE
from trident.hw.isa.vector import Table
from trident.hw.isa.vector_program import Program
from trident.sim.golden.format import to_bits, to_values, value_dtype
from trident.sim.golden.tables import table_values
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings
from trident.snn.train_settings import TrainSettings, step_size


def _bits(value: float, fmt: FloatFormat) -> int:
    return int(to_bits(value, fmt))


def check_epsilon(what: str, epsilon: float, bits: int, cfg: CoreConfig):
    """Raise :class:`TridentError`, naming ``what`` has it, for an epsilon that is no normal number of the format."""
    fmt = cfg.format
    if fmt.min_normal <= bits < fmt.inf:
        return
    found = "0" if bits < fmt.min_normal else "infinity"
    raise TridentError(
        f"{what}: an epsilon of {epsilon:g} is {found} to a float of {cfg.exp} exponent and {cfg.frac} fraction bits, "
        f"whose least normal number is {float(to_values(fmt.min_normal, fmt)):.3g}"
    )


def _value(bits: int, fmt: FloatFormat) -> np.floating:
    return value_dtype(fmt)(to_values(bits, fmt))


@dataclass(frozen=True)
class NeuronConstants:
    """Constants of the neuron units as raw bits.

    forward, backward: by field of the job. functions: by name the lines of the tables that its programs read. penalty:
    by field of the backward job, what a spike adds to the loss, as a number; ``backward`` has it for a loss scale of 1.
    own: by the number of a layer, those of a layer that differ. leak: by field of the job that makes leaks of what
    neurons learn.
    """

    forward: dict[str, int]
    backward: dict[str, int]
    functions: dict[str, tuple[int, ...]] = field(default_factory=dict)
    penalty: dict[str, float] = field(default_factory=dict)
    own: dict[int, "NeuronConstants"] = field(default_factory=dict)
    leak: dict[str, int] = field(default_factory=dict)

    def of_layer(self, number: int) -> "NeuronConstants":
        """Those of the layer with this number."""
        return self.own.get(number, self)

    def at_scale(self, scale: float, fmt: FloatFormat) -> "NeuronConstants":
        """Those with a loss scale."""
        penalty = {name: _bits(value * scale, fmt) for name, value in self.penalty.items()}
        own = {number: constants.at_scale(scale, fmt) for number, constants in self.own.items()}
        return replace(self, backward=self.backward | penalty, own=own)

    @classmethod
    def of_network(cls, network: Network, neuron: NeuronSettings, cfg: CoreConfig) -> "NeuronConstants":
        """Those of all layers of a network; jobs also name the layer's neuron of the core's.

        Raises what :meth:`of` raises, and TridentError for a neuron that the core has not, for a second table, and for
        a spike penalty where lanes of a layer have no channel: these would get errors too.
        """
        own = {}
        for layer in (layer for layer in network.layers if layer.fires):
            settings = neuron.at(layer, cfg.steps)
            if settings.kind not in cfg.neurons:
                raise TridentError(f"{layer.neuron!r} is a neuron {settings.kind}, which the core has not")
            if settings.penalty and layer.out_channels % cfg.lanes:
                raise TridentError(
                    f"{layer.neuron!r} has a spike_penalty, so its {layer.out_channels} channels must be a multiple of "
                    f"lanes, which is {cfg.lanes}"
                )
            constants = cls.of(settings, cfg.format)
            number = {"neuron": cfg.neurons.index(settings.kind)}
            leak = {}
            if settings.kind.learns:
                leak = {"neuron": cfg.leak_programs.index(leak_program(settings.charge))}
            own[layer.number] = replace(
                constants, forward=constants.forward | number, backward=constants.backward | number,
                leak=constants.leak | leak,
            )
        functions: dict[str, tuple[int, ...]] = {}
        for constants in own.values():
            for name, lines in constants.functions.items():
                if functions.setdefault(name, lines) != lines:
                    raise TridentError(f"a core has room for one table of a {name}: all neurons need the same α")
        usual = cls.of(neuron, cfg.format)
        others = [cls.of(NeuronSettings(surrogate=kind.surrogate), cfg.format) for kind in cfg.neurons]
        for constants in (usual, *others):  # of neurons that no layer has
            functions = constants.functions | functions
        return replace(usual, own=own, functions=functions)

    @classmethod
    def of(cls, neuron: NeuronSettings, fmt: FloatFormat) -> "NeuronConstants":
        """Round the settings. Raises TridentError for what rounding makes useless: a threshold of zero or infinity, a
        window that nothing lies within, a slope that is infinite."""
        bits = {name: _bits(value, fmt) for name, value in neuron.constants.items()}
        if not 0 < bits["threshold"] < fmt.inf or bits["high"] >= fmt.inf:
            raise TridentError(
                f"threshold {neuron.threshold} with window {neuron.window} is outside what a float of "
                f"{fmt.exp} exponent and {fmt.frac} fraction bits holds"
            )
        useless = bits["slope"] & fmt.inf == fmt.inf and neuron.surrogate == "triangle"
        if bits["low"] == bits["high"] or useless:
            raise TridentError(
                f"a window of {neuron.window} around the threshold {neuron.threshold} is too narrow for a float of "
                f"{fmt.exp} exponent and {fmt.frac} fraction bits: nothing lies within"
            )
        values = neuron_values(neuron, fmt)
        programs = (*neuron.programs, *([leak_program(neuron.charge)] if neuron.kind.learns else []))
        names = [table.name for program in programs for table in program.tables]
        places = [number_fields(program) for program in programs]
        forward, backward, *leak = ({field: bits[name] for name, field in own.items()} for own in places)
        penalty = {places[1]["penalty"]: neuron.penalty} if neuron.kind.penalty else {}
        functions = {name: _lines(values[name], fmt) for name in names}
        return cls(forward, backward, functions, penalty, leak=leak[0] if leak else {})


def _lines(table: np.ndarray, fmt: FloatFormat) -> tuple[int, ...]:
    """The lines of :func:`table_values` as the function table has them: slope, base and scale, lowest first."""
    scales = table[:, 2].astype(np.int64) % (1 << SCALE_BITS)
    slopes, bases = to_bits(table[:, :2], fmt).T.astype(np.int64)
    return tuple((slopes | bases << fmt.width | scales << 2 * fmt.width).tolist())


@cache
def fixed_table(table: Table, fmt: FloatFormat) -> np.ndarray:
    """As :func:`table_values`, of a function without constants."""
    return table_values(lambda x: table.function(np, x, {}), fmt)


def function_lines(cfg: CoreConfig, neuron: NeuronConstants) -> list[int]:
    """The function table of a core: the lines of all functions that its programs read."""
    fmt = cfg.format
    parts = (neuron.functions.get(table.name) or _lines(fixed_table(table, fmt), fmt) for table in cfg.tables)
    return [line for part in parts for line in part]


def neuron_values(neuron: NeuronSettings, fmt: FloatFormat) -> dict[str, Any]:
    """The numbers and tables of a neuron's golden programs by name, rounded."""
    values: dict[str, Any] = {name: _value(_bits(value, fmt), fmt) for name, value in neuron.constants.items()}
    own = (leak_program(neuron.charge),) if neuron.kind.learns else ()
    for table in (table for program in (*neuron.programs, *own) for table in program.tables):
        values[table.name] = table_values(lambda x, t=table: t.function(np, x, neuron.constants), fmt)
    return values


def penalty_value(neuron: NeuronSettings, scale: float, fmt: FloatFormat) -> np.floating:
    """What a spike of a layer adds to the loss, times a loss scale, rounded."""
    return _value(_bits(neuron.penalty * scale, fmt), fmt)


_KEPT = {"momentum": "a momentum", "keep": "a momentum", "keep_squares": "a beta2"}


@dataclass(frozen=True)
class UpdateConstants:
    """Constants of one update: the numbers of the optimiser's program by name, floats as raw bits and powers of two,
    and the samples whose gradients it applies, which bound the terms of an exact sum. What is not there is 0. given:
    the same numbers, not yet rounded."""

    numbers: dict[str, int] = field(default_factory=dict)
    samples: int = 1
    given: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, momentum: float, rate: float, samples: int, fmt: FloatFormat) -> "UpdateConstants":
        """Those of gradient descent with momentum. ``rate`` is what multiplies the scaled gradient, summed over
        ``samples``: learning rate / (loss scale * samples). Raises what :meth:`round` raises."""
        return cls.round({"momentum": momentum} | step_size(rate), samples, fmt)

    @classmethod
    def round(cls, numbers: dict[str, float], samples: int, fmt: FloatFormat) -> "UpdateConstants":
        """Round numbers; whole ones are powers of two. Raises TridentError if a power does not fit the 8 bits it has,
        for what is kept of a momentum if it is below 1 and rounds to 1, and for an epsilon that rounds to 0."""
        rounded = {name: n % (1 << SCALE_BITS) if isinstance(n, int) else _bits(n, fmt) for name, n in numbers.items()}
        for name, number in numbers.items():
            if isinstance(number, int) and not -128 <= number <= 127:
                raise TridentError(f"{name} of 2**{number} is beyond what an update can multiply by, 2**-128 to 2**127")
            what = _KEPT.get(name)
            if what and number < 1 and rounded[name] == _bits(1, fmt):
                raise TridentError(f"{what} of {number} rounds to 1, so that no gradient would ever be forgotten")
            if name == "epsilon" and rounded[name] < fmt.min_normal:
                raise TridentError(f"an epsilon that becomes {number:.3g} where Adam adds it rounds to 0: raise it")
        return cls(rounded, samples, dict(numbers))

    def held(self, factor: float, program: Program, fmt: FloatFormat) -> "UpdateConstants":
        """Those for weights that are held times a ``factor``, behind a dropout: gradients by them are the factor's part
        of those by the weights themselves. An epsilon is at least the least normal number. Raises what :meth:`round`
        raises."""
        if factor == 1 or not self.given:
            return self
        numbers = dict(self.given)
        adaptive, decoupled = "r" in program.inputs, program.name.startswith("adamw")  # a step has no gradient's scale
        rate = -numbers["minus_rate"] * 2.0 ** numbers["scale"] * factor ** (1 if adaptive else 2)
        changes = {"decay": 1 if decoupled else factor**-2, "prune": factor, "epsilon": 1 / factor}
        numbers |= {name: numbers[name] * change for name, change in changes.items() if name in numbers}
        if "epsilon" in numbers:
            numbers["epsilon"] = max(numbers["epsilon"], 2.0 ** (1 - fmt.bias))
        return self.round(numbers | step_size(rate), self.samples, fmt)

    @property
    def of_vectors(self) -> "UpdateConstants":
        """Those for biases, gains and offsets, which are not pruned."""
        return replace(self, numbers=self.numbers | {PRUNE.name: 0})

    def fields(self, program: Program) -> dict[str, int]:
        """The numbers of a program by field of the job."""
        return {to: self.numbers.get(name, 0) for name, to in number_fields(program, UPDATE_NUMBERS).items()}

    def values(self, program: Program, fmt: FloatFormat) -> dict[str, Any]:
        """The numbers and tables of a program by name, for golden."""
        powers, half = Microcode(program).powers, 1 << SCALE_BITS - 1
        values: dict[str, Any] = {table.name: fixed_table(table, fmt) for table in program.tables}
        for name in number_fields(program, UPDATE_NUMBERS):
            bits = self.numbers.get(name, 0)
            values[name] = (bits + half) % (2 * half) - half if name in powers else _value(bits, fmt)
        return values


def check_prune(train: TrainSettings, updates: UpdateConstants, cfg: CoreConfig):
    """Raise :class:`TridentError` for a soft threshold of a run's first update that rounding makes useless."""
    if train.prune and not 0 < updates.numbers[PRUNE.name] < cfg.format.inf:
        raise TridentError(
            f"prune of {train.prune:g} is {train.learning_rate * train.prune:.3g} in an update, which a float of "
            f"{cfg.exp} exponent and {cfg.frac} fraction bits does not hold"
        )
