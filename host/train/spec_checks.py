"""What of a training run does not fit together, before anything is built."""

from math import frexp

import numpy as np

from trident.host.compile.chip_plan import ChipPlan
from trident.host.compile.fields import limit_of_sums
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.registry import PLACES
from trident.sim.golden.constants import NeuronConstants, UpdateConstants, penalty_value
from trident.sim.golden.norm import NormConstants
from trident.sim.golden.standardise import StandardConstants
from trident.snn.losses import OF_READOUTS, STEPS
from trident.snn.network.layers import Layer
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings
from trident.snn.train_settings import TrainSettings

LOSS_HALVINGS = 14  # below a loss scale of 1, before the scaler gives up


def check_suits(cfg: CoreConfig, suited: CoreConfig):
    """Refuse a chip that has been built as ``cfg`` where the network needs one that is ``suited``."""
    if suited.timesteps != cfg.timesteps:
        raise TridentError(
            f"the chip has been built with spike words of {cfg.timesteps} timesteps, the network needs one timestep"
        )
    for name in ("pool", "walks", "window", "join", "voters"):
        if (own := getattr(cfg, name)) != (needed := getattr(suited, name)):
            raise TridentError(f"the chip has been built with {name} of {own}, the network needs {needed}")
    whats = {"standardise": "standardised weights", "batch_norm": "batch norm", "dropout": "dropout",
             "overlap": "windows that overlap", "kernels": "convolutions of any kind"}  # fmt: skip
    for name, what in whats.items():
        if getattr(suited, name) != getattr(cfg, name):
            raise TridentError(f"the chip has been built without {what}, which the network has")
    if suited.planes != cfg.planes:
        raise TridentError("the chip has been built without planes of real values: encoding cannot be direct")


def check_readout(loss: str, last: Layer | None):
    """Refuse a loss of membrane potentials where the last layer fires, and one of spikes where it does not."""
    readout = dict(last.changes).get("readout") if last else None
    if (loss in OF_READOUTS) != (readout is not None):
        if readout:
            raise TridentError(f"{last.neuron!r} does not fire, so its loss is {' or '.join(OF_READOUTS)}, not {loss}")
        raise TridentError(f"the loss {loss} is of potentials: end the network with a readout, as in 64-128-10r")
    if loss == STEPS and readout != "mean":
        raise TridentError(f"the loss {STEPS} is of a readout that takes the mean, as in 64-128-10r, not the {readout}")


def check_penalties(network: Network, neuron: NeuronSettings, train: TrainSettings, cfg: CoreConfig):
    """Refuse penalties of spikes that rounding makes useless."""
    for layer in network.layers:
        own = neuron.at(layer, cfg.steps)
        if own.penalty and not 0 < penalty_value(own, train.loss_scale, cfg.format) < np.inf:
            raise TridentError(
                f"a spike_penalty of {own.spike_penalty} adds {own.penalty * train.loss_scale:.3g} at a spike of "
                f"{layer.neuron!r}, which a float of {cfg.exp} exponent and {cfg.frac} fraction bits does not hold"
            )


def check_plan(
    plan: ChipPlan | None, network: Network, cfg: CoreConfig, constants: NeuronConstants, updates: UpdateConstants
):
    """Refuse what the instructions cannot say and, also where there is no chip, sums of too many terms."""
    for layer in network.layers:
        for engine in PLACES:
            limit_of_sums(network, layer.number, engine, cfg, updates.samples)
        if layer.learns:
            limit_of_sums(network, layer.number, "leak", cfg, updates.samples)
        for part in layer.parts:
            if part.standardised:
                StandardConstants.of(part, cfg)
        if layer.norm:
            NormConstants.of(layer, cfg, updates.samples)
    for number, program in enumerate(plan.programs(train=True) if plan else ()):
        plan.jobs(number, program, constants, updates)


def check_rate(train: TrainSettings, samples: int):
    """Refuse a learning rate whose power of two, at any loss scale and in any minibatch, does not fit the 8 bits it
    has."""
    least = min(train.rate(0), train.rate(train.epochs - train.batch / samples))
    largest = frexp(train.learning_rate / train.batch)[1] + LOSS_HALVINGS
    smallest = frexp(least / (train.loss_scale * train.batch))[1] - 1
    if largest > 127 or smallest < -128:
        raise TridentError(
            f"a learning rate of {train.learning_rate}, which becomes {least:.3g}, is outside what the update unit can "
            f"multiply by: choose one nearer to 1, or another schedule"
        )


def built_core(cfg: CoreConfig, asked: dict) -> CoreConfig:
    """``cfg``; refuses parameters, ``cols`` among them, that are not as it has them."""
    columns = {"forward_cols", "backward_cols", "weight_grad_cols"}
    for name, value in asked.items():
        for own in columns if name == "cols" else {name}:
            if own == "timesteps" and value == cfg.steps:  # in whatever chunks
                continue
            if value is not None and getattr(cfg, own, value) != value:
                raise TridentError(f"the chip has been built with {own} of {getattr(cfg, own)}, not {value}")
    return cfg


def built_mesh(mesh: MeshConfig, asked: MeshConfig | None, preset: str | None) -> MeshConfig:
    """``mesh``; refuses another size, and a preset, as the chip has its core."""
    if preset:
        raise TridentError(f"the chip has been built already: its core is not chosen by a preset, as {preset!r} is")
    if asked and (asked.width, asked.height) != (mesh.width, mesh.height):
        raise TridentError(
            f"the chip has been built with {mesh.width}x{mesh.height} cores, not {asked.width}x{asked.height}"
        )
    return mesh
