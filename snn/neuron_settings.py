"""What a user may set about the neurons, checked when it is made."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

from trident.hw.errors import TridentError
from trident.hw.isa.charges import DECAYING, LEARNING, SHARED
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.dropout import POWERS
from trident.hw.isa.neurons import ALPHAS, READOUTS, RESETS, SURROGATES, NeuronKind
from trident.hw.isa.vector_program import Program
from trident.snn.checks import choice, number, parsed, positive

if TYPE_CHECKING:
    from trident.snn.network.layers import Layer

NEURONS = ("lif", "if", "synaptic", *LEARNING)
LEARN_THRESHOLD = ("none", "layer", "channel")
DECAY_INPUT = ("lif", "plif")


@dataclass(frozen=True)
class NeuronSettings:
    """The neuron and the surrogate of its derivative; their formulas are in docs/vector.md.

    neuron: one of :data:`NEURONS`; leak: what a potential keeps from step to step, within 0 to 1, of plif and leaky
    before it is trained; threshold: potential at which it fires, above 0, before it is trained where it is learned;
    learn_threshold: "none", or one for a "layer" or each "channel"; window: half width of the surrogates rectangle and
    triangle, above 0; reset: see :data:`RESETS`; surrogate: see :data:`SURROGATES`, those with an α as in "atan:2";
    decay_input: the input is multiplied by 1 - leak; synapse: what a synaptic current keeps from step to step, within 0
    to 1; detach: no error flows through a reset. readout: it does not fire, and what its output is: one of
    :data:`READOUTS`; share: what a mean takes of the potential of each timestep, 1 / T. v_reset: the potential that a
    hard reset leaves, below the threshold, and that a neuron leaks to. spike_penalty: λ, at least 0: a sample's loss
    grows by λ times the mean over neurons and timesteps of a layer's spikes, summed over the layers that fire but the
    last; penalty: what each spike of a layer adds, λ / (neurons * T). still: its input stays the same over time;
    pooled: its spikes are joined by windows, or dropped; averaged: what is read is the mean of windows, of which each
    pixel has the share pixel_share, or a spike that is left counts for so much. Raises :class:`TridentError` for
    anything else.
    """

    leak: float = 0.5
    threshold: float = 0.5
    window: float = 1.5
    reset: str = "hard"
    surrogate: str = "rectangle"
    neuron: str = "lif"
    decay_input: bool = False
    synapse: float = 0.5
    detach: bool = True
    readout: str = ""
    share: float = 1.0
    v_reset: float = 0.0
    spike_penalty: float = 0.0
    penalty: float = 0.0
    still: bool = False
    pooled: bool = False
    averaged: bool = False
    pixel_share: float = 1.0
    learn_threshold: str = "none"

    def __post_init__(self):
        if self.readout:
            choice("readout", self.readout, tuple(READOUTS))
        for name in ("decay_input", "detach", "still", "pooled", "averaged"):
            if not isinstance(getattr(self, name), bool):
                raise TridentError(f"{name} must be true or false, not {getattr(self, name)!r}")
        for name in ("leak", "synapse"):
            if not 0 <= number(name, getattr(self, name)) <= 1:
                raise TridentError(f"{name} must be within 0 to 1, not {getattr(self, name)}")
        positive("threshold", self.threshold)
        positive("window", self.window)
        if number("v_reset", self.v_reset) and self.reset != "hard":
            raise TridentError(f"v_reset is of the reset hard, not of {self.reset}")
        if number("spike_penalty", self.spike_penalty) < 0:
            raise TridentError(f"spike_penalty must be at least 0, not {self.spike_penalty}")
        if self.v_reset >= self.threshold:
            raise TridentError(f"v_reset of {self.v_reset} must be below the threshold, which is {self.threshold}")
        choice("neuron", self.neuron, NEURONS)
        choice("learn_threshold", self.learn_threshold, LEARN_THRESHOLD)
        if self.learn_threshold != "none" and self.neuron in LEARNING:
            raise TridentError(f"a {self.neuron} neuron learns its leak: learn_threshold must be none")
        choice("reset", self.reset, tuple(RESETS))
        text = self.surrogate
        name, colon, alpha = text.partition(":") if isinstance(text, str) else (text, "", "")
        choice("surrogate", name, tuple(SURROGATES))
        if colon and name not in ALPHAS:
            raise TridentError(f"the surrogate {name} has no α: the window is its width")
        if colon:
            positive(f"the α of the surrogate {name}", parsed(alpha))
        if self.decay_input and self.neuron not in DECAY_INPUT:
            raise TridentError(f"decay_input is for {' and '.join(DECAY_INPUT)} neurons, not for {self.neuron}")
        if self.neuron in SHARED and not 0 < self.leak < 1:
            raise TridentError(f"a {self.neuron} neuron begins with a leak above 0 and below 1, not {self.leak}")

    @property
    def charge(self) -> str:
        """How the neuron charges: a name of :data:`trident.hw.isa.neurons.CHARGES`."""
        return self.neuron + DECAYING * self.decay_input

    @property
    def surrogate_name(self) -> str:
        """The surrogate without its α."""
        return self.surrogate.partition(":")[0]

    @property
    def programs(self) -> tuple[Program, Program]:
        """The programs of the forward and of the backward pass."""
        return self.kind.forward, self.kind.backward

    @property
    def kind(self) -> NeuronKind:
        """What of it decides its programs."""
        if self.readout:
            return NeuronKind(self.charge, "none", readout=self.readout, still=self.still)
        return NeuronKind(
            self.charge, self.reset, self.surrogate_name, self.detach, penalty=self.spike_penalty > 0, still=self.still,
            averaged=self.averaged, threshold=self.learn_threshold != "none",
            pooled=self.pooled and self.surrogate_name != "rectangle",  # whose error is where the bit m is set anyway
        )  # fmt: skip

    def at(self, layer: "Layer", steps: int = 1) -> "NeuronSettings":
        """The neuron of a layer, of samples of so many timesteps: this one with what the layer has of its own.

        Raises :class:`TridentError`, naming the node, for what does not go together.
        """
        own = {"spike_penalty": 0.0 if layer.last else self.spike_penalty} | dict(layer.changes)
        if not layer.fires:  # whatever it says, nothing runs it
            own |= {"neuron": "lif", "learn_threshold": "none", "spike_penalty": 0.0}
        try:
            if layer.last and own["spike_penalty"]:
                raise TridentError("a spike_penalty is of neurons that are not the network's output")
            rest: dict[str, Any] = {}
            if layer.readout:
                rest = {"v_reset": 0.0, "reset": "none", "learn_threshold": "none"}
            penalty = own["spike_penalty"] / (prod(layer.out_shape) * steps)
            power = POWERS.get(layer.drop, 0)
            result = replace(
                self, **own, **rest, share=1 / steps, penalty=penalty, still=layer.planes is not None,
                pooled=layer.drop > 0 or (layer.pool > 1 and layer.method == "max"),
                averaged=power > 0 or layer.method == "average",
                pixel_share=2.0**power if power else 1 / layer.pool**2,
            )  # fmt: skip
            if result.kind.learns and not layer.learns:
                raise TridentError(
                    f"the network has no {result.kind.learned}s for {result.neuron} neurons, see with_leaks"
                )
            if result.pooled and result.spike_penalty and result.surrogate_name == "rectangle":
                raise TridentError("a spike_penalty of pooled or dropped spikes needs another surrogate than rectangle")
            attached = not result.detach and result.reset != "none"
            if result.pooled and attached and result.surrogate_name == "rectangle":  # both read the bit m
                raise TridentError(
                    "pooled or dropped spikes with a reset that is not detached need another surrogate than rectangle"
                )
            return result
        except TridentError as fault:
            raise TridentError(f"{layer.neuron!r}: {fault}") from None

    def core(self, layers: "Iterable[Layer]" = ()) -> dict[str, str | bool]:
        """What a core must be built with for it and for the neurons of these layers, of any where none are given:
        parameters of its configuration."""
        kinds = dict.fromkeys([self.at(layer).kind for layer in layers if layer.fires] or [self.kind])
        first = replace(self.kind, penalty=False, threshold=False)
        return {
            "charge": self.charge, "reset": self.reset, "surrogate": self.surrogate_name, "detach": self.detach,
            "others": ",".join(str(kind) for kind in kinds if kind != first),
        }  # fmt: skip

    @staticmethod
    def built(cfg: CoreConfig) -> dict[str, Any]:
        """The settings that a core is built for, by name."""
        return {
            "neuron": cfg.charge.removesuffix(DECAYING), "decay_input": cfg.charge.endswith(DECAYING),
            "reset": cfg.reset, "surrogate": cfg.surrogate, "detach": cfg.detach,
        }  # fmt: skip

    @classmethod
    def of(cls, cfg: CoreConfig) -> "NeuronSettings":
        """What a core is built for, with the usual constants."""
        return cls(**cls.built(cfg))

    @property
    def constants(self) -> dict[str, float]:
        """Constants of the neuron's programs, by name."""
        name, _, alpha = self.surrogate.partition(":")
        threshold = self.threshold - self.v_reset  # potentials are counted from where they start again
        middle = threshold if self.learn_threshold == "none" else 0.0
        return {
            "leak": self.leak, "threshold": threshold, "low": middle - self.window,
            "high": middle + self.window, "slope": -1 / self.window, "gain": 1 - self.leak,
            "synapse": self.synapse, "share": self.share, "zero": 0.0, "one": 1.0, "penalty": self.penalty,
            "pixel_share": self.pixel_share,
            "alpha": float(alpha) if alpha else ALPHAS.get(name, 1.0),
        }  # fmt: skip
