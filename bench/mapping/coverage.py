"""Which of 55 public models the chip trains as published: their declared needs against what a run accepts."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from trident.host.report.figure import Figure
from trident.host.train.spec import RunSpec
from trident.hw.errors import TridentError

SOFT = frozenset({"ADAM", "SURR", "NODET", "DROP", "DROPX", "DROPT", "SUB", "WD"})
"""Needs that have a near substitute: a model counts as near if it lacks nothing else."""

# What a need asks a run for, one whose name has several words for all of these; the others are asked for by nothing
# that there is
PROBES: dict[str, dict] = {
    "CE": {"train": {"loss": "cross-entropy"}},
    "SURR": {"neuron": {"surrogate": "atan:2"}},
    "NODET": {"neuron": {"surrogate": "sigmoid:4", "detach": False}},
    "SUB": {"neuron": {"reset": "soft"}},
    "SYN": {"neuron": {"neuron": "synaptic"}},
    "PLIF": {"neuron": {"neuron": "plif"}},
    "REG": {"net": "64-16-10", "neuron": {"spike_penalty": 0.1}},
    "ADAM": {"train": {"optimizer": "adamw", "weight_decay": 0.01}},
    "WD": {"train": {"weight_decay": 0.01}},
    "READOUT": {"net": "64-12-10r"},
    "ANALOG": {"encoding": "direct"},
    "POOL": {"net": "8x8x1-4c3-mp2-10"},
    "MEAN": {"net": "8x8x1-4c3-ap2-4c3-gap-10"},
    "WINDOW": {"net": "8x8x1-4c3m2-10"},
    "POOLX": {"net": "8x8x1-4c3-mp3s2p1-4c3m3s2p1-10"},
    "POOL1": {"net": "64-12m2-10"},
    "GROUP": {"net": "8x8x1-8c3-dw3-16c1-16c3g2-10"},
    "KERNEL": {"net": "8x8x1-4c8s4p0-4c3x1-4c1x3d1x2-10"},
    "VOTE": {"net": "64-12-100v10"},
    "DROP": {"net": "8x8x1-4c3-mp2-drop0.5-16-drop0.5-10"},
    "DROPX": {"net": "8x8x1-4c3-mp2-drop0.25-16-drop0.1-10"},
    "BN": {"net": "8x8x1-4c3-10", "norm": "bn"},
    "RES": {"net": "8x8x1-4c3-sew4-10"},
    "RESX": {"net": "8x8x1-4c3-res4-res8s2-10", "norm": "bn"},
    "RESX pre-activation": {"net": "8x8x1-4c3-ms4-ms8s2-ms8-10", "norm": "bn", "encoding": "direct"},
    "REC": {"net": "64-12rec-10"},
    "RECOUT": {"net": "64-12rec-10rec"},
    "T32": {"train": {"timesteps": 100}},
    "FRAMES": {"net": "6-4-2", "encoding": "direct"},
}

MODELS: dict[str, str] = {
    "SJ lif_fc_mnist": "T32 ADAM SURR NODET",
    "SJ CSNN Fashion-MNIST": "ANALOG BN POOL SURR NODET",
    "SJ PLIF MNIST/F-MNIST net": "ANALOG BN POOL VOTE DROP PLIF SURR",
    "SJ PLIF N-MNIST net": "ANALOG FRAMES BN POOL VOTE DROP PLIF SURR",
    "SJ PLIF CIFAR10 net": "ANALOG BN POOL VOTE DROP PLIF SURR",
    "SJ DVS Gesture (classify_dvsg)": "ANALOG FRAMES BN POOL VOTE DROP SURR",
    "SJ PLIF CIFAR10-DVS net": "ANALOG FRAMES BN POOL VOTE DROP PLIF SURR",
    "SJ spiking_resnet18 ImageNet": "ANALOG BN POOLX RESX READOUT CE SURR",
    "SJ spiking_vgg16_bn": "ANALOG BN POOL DROP READOUT CE SURR",
    "SJ CIFAR10 ResNet11": "ANALOG FRAMES T32 POOLX RES DROPX READOUT OTHERN SURR WD",
    "SJ lava_mnist": "CE SURR",
    "SJ speechcommands": "ANALOG FRAMES CONVT T32 READOUT CE ADAM SURR NODET",
    "SJ rsnn F-MNIST plain": "ANALOG FRAMES SURR NODET",
    "SJ rsnn F-MNIST stateful synapse": "ANALOG FRAMES SYN PSYN SURR NODET",
    "SJ rsnn F-MNIST feedback": "ANALOG FRAMES REC BARE SURR NODET",
    "SJ memopt CIFAR10DVS VGG": "ANALOG FRAMES BN MEAN DROPT READOUT CE SURR",
    "SJ DSQN Atari": "ANALOG KERNEL READOUT REGR ADAM SURR",
    "snnTorch tutorial 5 (FC)": "ANALOG READOUT CE ADAM SURR SUB",
    "snnTorch tutorial 6 (CNN)": "ANALOG WINDOW T32 CE ADAM SURR SUB",
    "snnTorch tutorial 7 (N-MNIST)": "ANALOG FRAMES WINDOW T32 ADAM SURR SUB",
    "snnTorch quickstart CNN": "ANALOG WINDOW ADAM SURR SUB",
    "snnTorch quickstart FC learn_beta": "ANALOG PLIF ADAM SURR SUB",
    "snnTorch population coding": "ANALOG VOTE ADAM SURR SUB",
    "snnTorch ST-MNIST": "ANALOG FRAMES WINDOW T32 ADAM SURR SUB",
    "snnTorch regression 1": "ANALOG FRAMES PLIF T32 READOUT REGR ADAM SURR SUB",
    "snnTorch regression 2 (RLeaky)": "ANALOG REC RECOUT ADAM SURR SUB",
    "snnTorch spiking autoencoder": "ANALOG BN CONVX READOUT REGR ADAM SURR SUB",
    "snnTorch exoplanet": "ANALOG POOL1 READOUT CE SURR SUB",
    "snnTorch BSNN": "ANALOG BN WINDOW DROPX BINW CE ADAM SURR SUB",
    "snnTorch DVS Gesture (Lee)": "ANALOG FRAMES WINDOW T32 ADAM SURR SUB",
    "NIR paper CNN N-MNIST": "ANALOG FRAMES MEAN T32 CE ADAM SURR",
    "NIR paper SRNN Braille": "T32 REC SYN CE REG ADAM SURR SUB",
    "Norse MNIST": "POOL T32 SYN READOUT CE ADAM SURR",
    "Norse CIFAR10": "POOL T32 SYN READOUT CE ADAM SURR DROPT",
    "Norse speech commands": "ANALOG FRAMES T32 REC SYN OTHERN READOUT CE ADAM SURR",
    "Lava SLAYER N-MNIST": "T32 SYN WNORM DELAY DROPX ADAM SURR",
    "Lava Oxford": "T32 REGR ADAM SURR WD",
    "Lava PilotNet SDNN": "ANALOG FRAMES BN WNORM KERNEL OTHERN REGR DROPX ADAM",
    "Lava bootstrap MNIST": "ANALOG WNORM CE ADAM SURR",
    "Rockpool SHD": "ANALOG FRAMES T32 SYN READOUT CE ADAM SURR",
    "Rockpool hello MNIST": "T32 SYN REGR ADAM SURR",
    "Rockpool WaveSense": "T32 SYN CONVT RES READOUT CE ADAM SURR",
    "SEW ResNet DVS Gesture": "ANALOG FRAMES BN POOL RES PLIF READOUT CE SURR",
    "SEW ResNet-18 ImageNet": "ANALOG BN POOLX RES READOUT CE SURR",
    "PSN CIFAR10": "ANALOG BN MEAN OTHERN READOUT CE SURR",
    "Spikformer-4-384 CIFAR10": "ANALOG BN POOLX RES ATT READOUT CE ADAM SURR",
    "Spikingformer-4-384 CIFAR10": "ANALOG BN POOLX RESX ATT READOUT CE ADAM SURR",
    "CML + Spikingformer": "ANALOG BN POOLX RESX ATT READOUT CE ADAM SURR",
    "QKFormer CIFAR10": "ANALOG BN POOLX RES ATT READOUT CE ADAM SURR",
    "SpikingResformer CIFAR10": "ANALOG BN RESX ATT KERNEL GROUP PLIF POOLX READOUT CE ADAM SURR",
    "Meta-SpikeFormer (SDT V2)": "ANALOG BN RESX ATT GROUP POOLX READOUT CE ADAM SURR",
    "SVFormer UCF101": "ANALOG FRAMES BN RES ATT GROUP PLIF POOLX READOUT CE DROPX ADAM SURR",
    "SpikeSCR SHD": "ANALOG FRAMES T32 BN RES ATT CONVT GROUP READOUT CE DROPX ADAM SURR",
    "DCLS delays SHD": "ANALOG FRAMES T32 BN DELAY READOUT CE DROPX ADAM SURR",
    "EGRU DVS Gesture": "ANALOG FRAMES T32 POOLX REC OTHERN READOUT CE DROPX ADAM SURR",
}
"""Codes of needs by model, of public examples and papers: real-valued input, the same over time or (frames) not, the
largest of spikes in windows, their average or sum (mean), of windows that overlap or have padding (poolx) and of
outputs of linear layers (pool1), kernels that are not square, dilated, larger than 7 or of strides above 2 (kernel),
grouped and depthwise convolutions (group), convolutions over time (convt), transposed ones (convx), batch norm,
residuals that add spikes or (resx) sums before a neuron, cross-entropy, a readout, more than 32 timesteps, learned
leaks, voting, synaptic currents, such that are learned (psyn), recurrence, that of the output as well (recout), linear
layers without neurons between them (bare), attention, other neurons, another task, weight norm, delays, binary weights,
a spike penalty, Adam, a smooth surrogate, a reset that is not detached, dropout of half of the spikes, of another share
(dropx), or anew at each timestep, behind averages or unknown (dropt), a subtracting reset, weight decay."""


def covered() -> set[str]:
    """The needs that a run accepts: each is asked for, on one core."""
    refused = set()
    with TemporaryDirectory() as folder:
        frames = Path(folder, "frames.npz")
        np.savez(frames, frames=np.arange(20 * 8 * 6).reshape(20, 8, 6) % 5, labels=np.arange(20) % 2)
        data = {"FRAMES": {"data": str(frames), "train": {"batch": 4}}}
        for need, options in PROBES.items():
            try:
                RunSpec.make(**({"net": "64-12-10"} | options | data.get(need, {})))
            except TridentError:
                refused.add(need.split()[0])
    return {need.split()[0] for need in PROBES} - refused


def measure_coverage(only: str) -> Iterator[Figure]:
    """Models that lack nothing, and those that lack only what has a near substitute."""
    has = covered()
    lacks = [set(needs.split()) - has for needs in MODELS.values()]
    yield Figure("coverage.models", "models", sum(not lack for lack in lacks), "higher")
    yield Figure("coverage.models_near", "models", sum(not lack - SOFT for lack in lacks), "higher")
    for need in sorted(set(" ".join(MODELS.values()).split()) - has):
        alone = sum(need in lack for lack in lacks)
        yield Figure(f"coverage.lacking.{need.lower()}", "models", alone, "lower")
