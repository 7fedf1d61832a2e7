"""A network that learns on a chip: minibatches, weights in and out, and the faults that end a run."""

from typing import Protocol

import numpy as np

from trident.host.compile.chip_plan import ChipPlan
from trident.host.driver.driver import BatchResult, Driver, FlitPort
from trident.host.driver.session import ChipSession
from trident.hw.errors import Failure
from trident.hw.isa.faults import GRADIENT_FAULTS
from trident.hw.isa.spaces import Space, kept_spaces
from trident.sim.golden.constants import NeuronConstants, UpdateConstants
from trident.sim.golden.format import raw_dtype
from trident.sim.golden.loss import LossConstants, loss_table
from trident.snn.losses import Loss, usual_loss
from trident.snn.network.network import Tensors


class NumericFault(Failure):
    """An infinity or a NaN outside the gradients; the message names core, layer and engine where that is known."""

    @classmethod
    def of(cls, where: str) -> "NumericFault":
        """The fault with its sentence; ``where``: in what it is."""
        return cls(
            f"an infinity or a NaN in {where}: weights or potentials have grown beyond the format; lower the learning "
            "rate"
        )


class ClosablePort(FlitPort, Protocol):
    """A chip that one can let go of."""

    def close(self): ...


class ChipLearner:
    """A network on a chip. Weights, momenta and gradients are raw bits by the names of parameters.

    Raises :class:`CoreStuck` and :class:`LinkDown` when the chip does not go on, and :class:`NumericFault` for an
    infinity or a NaN that a smaller loss scale cannot mend.
    """

    def __init__(
        self, plan: ChipPlan, neuron: NeuronConstants, chip: ClosablePort, loss: Loss | None = None,
        seed: int = 0,
    ):  # fmt: skip
        self.plan, self.chip, self.cfg = plan, chip, plan.cfg
        self.loss = loss or usual_loss(plan.cfg.loss, 1 if plan.cfg.soft_targets else plan.cfg.loss_tables)
        self.driver = Driver(chip, plan.cfg, plan.mesh)
        self.session = ChipSession(self.driver, plan, neuron, seed)
        self._constants: tuple[UpdateConstants, float] | None = None  # that the chip has

    def load(self, weights: Tensors, minibatch: int = 0):
        """Weights of the next minibatch, which has this number; momenta and gradients become zero. Between minibatches
        only."""
        self.session.minibatch = minibatch
        zeros = {name: np.zeros_like(value) for name, value in weights.items()}
        self.session.load(Space.WEIGHTS, weights)
        for space in kept_spaces(self.session.cfg):
            self.session.load(space, zeros)
        self.session.load(Space.GRADIENTS, zeros)

    def load_gradients(self, gradients: Tensors):
        """What the gradients of every replica begin with in the next minibatch."""
        self.session.load(Space.GRADIENTS, gradients)

    def run(
        self, spikes: np.ndarray, labels: np.ndarray, constants: UpdateConstants, scale: float,
        wanted: np.ndarray | None = None,
    ) -> BatchResult:  # fmt: skip
        """One minibatch, uint8 (N, T, y, x, c), with its update; its faults are the caller's to :meth:`check`.
        ``wanted``: see :meth:`GoldenTrainer.loss_constants`."""
        if wanted is not None or self._constants != (constants, scale):
            network = self.plan.network
            most = network.most_spikes(self.cfg.steps)
            table = loss_table(most, network.classes, scale, self.cfg.format, self.loss, wanted)
            self.session.set_constants(constants, LossConstants(table, scale))
            self._constants = constants, scale
        return self.session.run(spikes, labels, train=True)

    def infer(self, spikes: np.ndarray) -> BatchResult:
        """Only the forward pass of samples, uint8 (N, T, y, x, c)."""
        return self.session.run(spikes, np.zeros(len(spikes), np.int64), train=False)

    def check(self, found: BatchResult, where: str = "", training: bool = True):
        """Raise :class:`NumericFault` for a fault; those of gradients are allowed in training: the minibatch has been
        skipped. ``where``: names the minibatch in the message."""
        if found.all_faults & ~(GRADIENT_FAULTS if training else 0):
            raise NumericFault.of(f"{found.describe(self.plan)}{where and f', {where}'}")

    def train(
        self, spikes: np.ndarray, labels: np.ndarray, constants: UpdateConstants, scale: float
    ) -> tuple[np.ndarray, bool]:
        """One minibatch, uint8 (N, T, y, x, c): spikes per class (N, classes), and whether its update was skipped."""
        found = self.run(spikes, labels, constants, scale)
        self.check(found)
        return found.counts, found.skipped

    def read(self) -> Tensors:
        """The weights as they are now."""
        kind = raw_dtype(self.cfg.format)
        return {name: bits.astype(kind) for name, bits in self.session.read(Space.WEIGHTS).items()}

    def counters(self) -> dict[str, int]:
        """Every counter, summed over the cores; each core's is modulo 2**32."""
        cores = [self.driver.counters(place) for place in self.plan.placement]
        return {name: sum(core[name] for core in cores) for name in cores[0]}

    def close(self):
        """Let go of the chip."""
        self.chip.close()
