"""Networks that have a name, or are trained unless another is named, and what they learn with."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class DeepTraining:
    """A network for many cores, and the settings with which it learns.

    neuron, train, core : fields of :class:`NeuronSettings`, :class:`TrainSettings` and
    :class:`CoreConfig` that differ from the defaults and the preset
    """

    net: str
    preset: str
    neuron: dict
    train: dict
    core: dict


DEEP = DeepTraining(
    net="8x8x1-6c3s2-8c3-8c3s2-12c3-24-10",
    preset="FPGA",
    neuron={"leak": 0.5, "threshold": 0.25, "window": 0.625},
    train={"batch": 40, "learning_rate": 0.5, "halve_every": 4, "epochs": 10},
    core={"spike_words": 4096, "error_words": 512, "accumulators": 32},
)


@dataclass(frozen=True)
class Recipe:
    """A network with a name, and the options of a run that it learns with.

    net : a shorthand
    neuron, train : fields of :class:`NeuronSettings` and :class:`TrainSettings` that differ from the defaults
    encoding, norm : as of :meth:`trident.host.train.spec.RunSpec.make`
    """

    net: str
    encoding: str = "dither"
    norm: str = "none"
    neuron: dict = field(default_factory=dict)
    train: dict = field(default_factory=dict)


PLAIN = Recipe("")
RECIPES = {
    "resnet": Recipe(
        net="8x8x1-8c3-sew8-sew16s2-sew16-gap-10",
        encoding="direct",
        norm="ws",
        neuron={"surrogate": "atan:2"},
        train={
            "optimizer": "adam", "learning_rate": 0.005, "schedule": "cosine", "loss": "cross-entropy", "epochs": 12,
        },
    ),
}  # fmt: skip
"""By name: ``resnet``, a spike-element-wise residual network of nine layers for digits."""
