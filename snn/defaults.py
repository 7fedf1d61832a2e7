"""The network that many cores train unless another is named."""

from dataclasses import dataclass


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
