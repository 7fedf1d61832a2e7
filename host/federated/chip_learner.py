"""A network on a chip, as a federated worker trains it."""

from typing import Protocol

import numpy as np

from trident.host.driver.driver import Driver, Link
from trident.host.driver.session import ChipSession
from trident.host.driver.target import Target
from trident.host.federated.message import Weights
from trident.host.train.lockstep import NumericFault
from trident.host.train.spec import RunSpec
from trident.hw.isa.faults import GRADIENT_FAULTS
from trident.hw.isa.spaces import Space
from trident.sim.golden.constants import NeuronConstants, UpdateConstants
from trident.sim.golden.format import raw_dtype
from trident.sim.golden.loss import loss_table
from trident.sim.rtl.verilated import VerilatedChip


class ClosableLink(Link, Protocol):
    """A link that can be ended."""

    def close(self): ...


def connect(spec: RunSpec, target: Target) -> ClosableLink:
    """The chip that ``target`` says. A simulated one takes one thread, because other workers run beside it.

    Raises what :meth:`Target.connect` raises, and :class:`BuildError`.
    """
    if target.kind == "rtl":
        return VerilatedChip(spec.cfg, spec.mesh, threads=1)
    return target.connect(spec.cfg, spec.mesh)


class ChipLearner:
    """A :class:`Learner` on the chip behind ``link``.

    Raises :class:`CoreStuck` and :class:`LinkDown` when the chip does not go on, and
    :class:`NumericFault` for an infinity or a NaN that a smaller loss scale cannot mend.
    """

    def __init__(self, spec: RunSpec, link: ClosableLink):
        self.spec, self.link, self.plan = spec, link, spec.plan
        self.driver = Driver(link, spec.cfg, spec.mesh)
        self.session = ChipSession(self.driver, spec.plan, NeuronConstants.of(spec.neuron, spec.cfg.format))
        self._given = None

    def load(self, weights: Weights):
        """As of :class:`GoldenLearner`."""
        zeros = [tuple(np.zeros_like(part) for part in pair) for pair in weights]
        self.session.load_rows(Space.WEIGHTS, weights)
        self.session.load_rows(Space.MOMENTUM, zeros)
        self.session.load_rows(Space.GRADIENTS, zeros)

    def load_gradients(self, gradients: Weights):
        """As of :class:`GoldenLearner`."""
        self.session.load_rows(Space.GRADIENTS, gradients)

    def train(
        self, spikes: np.ndarray, labels: np.ndarray, constants: UpdateConstants, scale: float
    ) -> tuple[np.ndarray, bool]:
        """As of :class:`GoldenLearner`."""
        if self._given != (constants, scale):
            cfg = self.spec.cfg
            table = loss_table(cfg.timesteps, self.spec.network.classes, scale, cfg.format)
            self.session.set_constants(constants, table)
            self._given = constants, scale
        found = self.session.run(spikes, labels, train=True)
        if found.all_faults & ~GRADIENT_FAULTS:
            raise NumericFault(f"an infinity or a NaN in {found.describe(self.plan)}")
        return found.counts, bool(found.all_faults & GRADIENT_FAULTS)

    def read(self) -> Weights:
        """As of :class:`GoldenLearner`."""
        kind = raw_dtype(self.spec.cfg.format)
        return [tuple(part.astype(kind) for part in pair) for pair in self.session.read_rows(Space.WEIGHTS)]

    def counters(self) -> dict[str, int]:
        """Every counter, summed over the cores; each core's is modulo 2**32."""
        cores = [self.driver.counters(place) for place in self.plan.placement]
        return {name: sum(core[name] for core in cores) for name in cores[0]}

    def close(self):
        """End the link."""
        self.link.close()
