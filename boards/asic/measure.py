"""A minibatch of training on the RTL, and what it takes in standard cells, unit by unit."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from trident.boards.asic.liberty import Library
from trident.boards.asic.netlist import synthesise
from trident.boards.asic.power import Taken, priced
from trident.boards.asic.stimulus import ports
from trident.host.train.step_bench import StepBench
from trident.hw.errors import Failure, TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import mesh_for
from trident.sim.golden.constants import UpdateConstants
from trident.sim.rtl.verilated import VerilatedChip, core_verilog
from trident.sim.rtl.waves import convert
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings

UNITS = ("forward", "backward", "weight_grad", "mac", "neuron", "neuron_grad", "update")
"""Those that compute: engines, the multiply-adds that units share, and these units, by the names of their instances."""

_SCOPE = "TOP.chip_sim.top.core0"
_LOSS_SCALE = 256


@dataclass(frozen=True)
class Measured:
    """A minibatch: samples, clock cycles of its training, and what each unit took."""

    samples: int
    cycles: int
    units: dict[str, Taken]


def refuse(cfg: CoreConfig):
    """Raises :class:`TridentError` for a core without the units of :data:`UNITS`."""
    if cfg.shared_engine:
        raise TridentError("gates are measured of cores with an engine for each pass, not of a shared_engine")


def measure(
    cfg: CoreConfig, network: Network, samples: int, library: Library, density: float = 0.3, seed: int = 1
) -> Measured:
    """Train a minibatch of random spikes of a density on a core, simulated with waves, and play what came to each unit
    to its netlist, which must answer as the RTL did in every cycle.

    Raises what :func:`~trident.boards.asic.netlist.synthesise` and the compiler raise, and :class:`Failure` when
    netlist and RTL differ.
    """
    refuse(cfg)
    mesh = mesh_for(cfg)
    netlists = synthesise(core_verilog(cfg, mesh), UNITS, library)
    with TemporaryDirectory() as folder:
        waves = Path(folder) / "waves"
        _train(cfg, network, samples, waves.with_suffix(".vcd"), density, seed)
        convert(waves.with_suffix(".vcd"), waves.with_suffix(".fst"))
        waves = waves.with_suffix(".fst")
        active = np.flatnonzero(ports(waves, _SCOPE, ["active"])["active"].any(axis=1))
        if not len(active):
            raise Failure("the core has not run")
        first, end = int(active[0]), int(active[-1]) + 1
        units = {}
        for name, unit in netlists.items():
            # The waves begin behind the first edge of the clock
            came = {
                port: np.concatenate([values[:1], values[:end]])
                for port, values in ports(waves, f"{_SCOPE}.{name}", unit.inputs).items()
            }
            awake = None
            if "awake" in unit.outputs:
                (values,) = ports(waves, f"{_SCOPE}.{name}_clock", ["enable"]).values()
                awake = np.concatenate([values[:1], values[:end]])[:, 0]
            run = unit.run(came, first + 1, awake)
            for port, values in ports(waves, f"{_SCOPE}.{name}", unit.outputs).items():
                wrong = np.flatnonzero((run.outputs[port][1:] != values[:end]).any(axis=1))
                if len(wrong):
                    raise Failure(f"{name} in gates differs from its RTL at {port} in cycle {wrong[0]}")
            units[name] = priced(unit, run, library)
    return Measured(samples, end - first, units)


def _train(cfg: CoreConfig, network: Network, samples: int, waves: Path, density: float, seed: int):
    mesh, rng = mesh_for(cfg), np.random.default_rng(seed)
    link = VerilatedChip(cfg, mesh, waves)
    bench = StepBench(network, NeuronSettings.of(cfg), cfg, link, mesh=mesh)
    spikes = (rng.random((samples, cfg.timesteps, *network.in_shape)) < density).astype(np.uint8)
    constants = UpdateConstants.of(0.9, 0.5 / (_LOSS_SCALE * samples), samples, cfg.format)
    bench.session.set_constants(constants, bench.golden.loss_constants(_LOSS_SCALE))
    bench.session.run(spikes, rng.integers(0, network.classes, samples), train=True)
    link.close()
