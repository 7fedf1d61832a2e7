"""Copies of a network with batch norms, on several cores: statistics and gradients are those of the whole minibatch."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from tests.hw.core.benches import (
    NORM,
    SHORT,
    batch_of,
    branching_network,
    check_chip,
    check_minibatches,
    constants_of,
    normed,
)
from trident.host.compile.chip_plan import ChipPlan
from trident.host.mapping.activity import measure
from trident.host.mapping.cost import CostModel
from trident.host.mapping.prediction import predict
from trident.host.train.step_bench import StepBench
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.faults import Fault
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.planes import Planes
from trident.hw.isa.spaces import Space
from trident.hw.lib.streams import random_stalls
from trident.sim.golden.format import to_bits
from trident.sim.rtl.verilated import VerilatedChip
from trident.snn.network.builder import Builder
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition
from trident.snn.neuron_settings import NeuronSettings

WIDE = {"lanes": 4, "gradient_bits": 48}  # exact gradients
STILL = "lif/hard/rectangle/still"


def chip_of(width: int, height: int, stalls: int | None, **changes) -> tuple[VerilatedChip, CoreConfig, MeshConfig]:
    cfg, mesh = CoreConfig.preset("TINY", **NORM | changes), MeshConfig(width, height)
    with random_stalls(stalls) if stalls is not None else nullcontext():
        return VerilatedChip(cfg, mesh), cfg, mesh


def copies(network: Network, replicas: int) -> Partition:
    return replace(Partition.single(network), replicas=replicas)


def two_norms(frozen: bool = False, outputs: int = 4) -> Network:
    build = Builder((3, 3, 2))
    build.add("conv", channels=3, kernel=3, bias=False)
    build.add("norm")
    build.add("neuron", threshold=0.3)
    build.add("flatten")
    build.add("linear", outputs=5)
    build.add("norm", frozen=frozen)
    build.add("neuron", threshold=0.3)
    build.add("linear", outputs=outputs)
    build.add("neuron")
    return build.network()


@pytest.mark.parametrize("replicas, size, samples, changes, stalls", [
    (2, (2, 1), 5, {"surrogate": "atan"}, 3), (4, (2, 2), 7, WIDE, None), (3, (3, 1), 4, WIDE | SHORT, 2),
])  # fmt: skip
def test_networks(replicas, size, samples, changes, stalls):
    """Random ones with residuals, of samples that copies do not share evenly, trained and run as golden does."""
    chip, cfg, mesh = chip_of(*size, stalls, **changes)
    rng, compared = np.random.default_rng(6), 0
    try:
        while compared < 2:
            network = normed(branching_network(rng, cfg), int(rng.integers(1 << 16)))
            if max(*(layer.walks for layer in network.layers), *map(len, network.spike_readers)) > cfg.walks:
                continue
            places = tuple(int(place) for place in rng.permutation(mesh.cores)[:replicas])
            spread = mesh, copies(network, replicas), places, samples
            try:
                bench = StepBench(network, NeuronSettings.of(cfg), cfg, chip, compared, *spread)
            except TridentError as fault:
                assert "planes of real values" in str(fault), fault
                continue
            check_minibatches(bench, rng, samples, (0.5, 0.1))
            compared += 1
    finally:
        chip.close()


@pytest.mark.parametrize("changes, planes", [
    ({"surrogate": "atan"}, None), (WIDE | {"planes": True, "others": STILL}, Planes(3, -2, True)),
])  # fmt: skip
def test_values_and_frozen_norms(changes, planes):
    """Of values that stay the same, and beside a norm whose statistics stay."""
    chip, cfg, mesh = chip_of(2, 1, None, **changes)
    network, rng = replace(two_norms(frozen=True), planes=planes), np.random.default_rng(2)
    bench = StepBench(network, NeuronSettings.of(cfg), cfg, chip, 0, mesh, copies(network, 2), None, 9)
    try:
        check_minibatches(bench, rng, 9, (0.5, 0.5))
    finally:
        chip.close()


def test_what_overflows_in_one_copy_is_skipped_by_all():
    """Its core alone has the fault of a number, here of a square behind the first sums; all have that of a sum."""
    chip, cfg, mesh = chip_of(2, 1, None, surrogate="atan")
    network, rng = two_norms(), np.random.default_rng(3)
    bench = StepBench(network, NeuronSettings.of(cfg), cfg, chip, 0, mesh, copies(network, 2), None, 3)
    spikes, labels = batch_of(bench, rng, 3, 0.6)
    try:
        mismatch, found = bench.step(spikes, labels, constants_of(bench, 3, 2.0**23), 2.0**23)
        assert mismatch is None and all(found.faults), str(mismatch)
        weights = bench.golden.bits(Space.WEIGHTS)
        weights[network.layers[0].weight][:] = to_bits(28.0, cfg.format)
        for model in (bench.golden, bench.session):
            model.load(Space.WEIGHTS, weights)
        spikes[1:] = 0
        mismatch, found = bench.step(spikes, labels, constants_of(bench, 3, 1), 1)
        assert mismatch is None and found.faults == (1 << Fault.NEURON, 0), str(mismatch or found.faults)
    finally:
        chip.close()


@pytest.mark.parametrize("partition", ["1,2/2,3", "2x1,2-3"])
def test_slices_and_stages_without_norms(partition):
    """Partial errors and gradients take their ways through cores that could have norms."""
    check_chip("6-5-8-3", partition, 2, 2, **NORM | SHORT | {"gradient_bits": 48})


@pytest.mark.slow
@pytest.mark.parametrize("replicas, size", [(2, (2, 1)), (4, (2, 2))])
def test_cycles_are_as_forecast(replicas, size):
    """But that a phase takes as long as the slowest copy."""
    chip, cfg, mesh = chip_of(*size, None, **WIDE)
    network, rng = Network.parse("8x8x2-4c3bn-8c3s2bn-8c3s2bn-5"), np.random.default_rng(1)
    bench = StepBench(network, NeuronSettings.of(cfg), cfg, chip, 0, mesh, copies(network, replicas), None, 12)
    spikes, labels = batch_of(bench, rng, 12, 0.3)
    cost = CostModel(network, cfg, measure(network, cfg, NeuronSettings.of(cfg), spikes, labels), mesh)
    bench.session.set_constants(constants_of(bench, 12), bench.golden.loss_constants(256))
    bench.session.run(spikes, labels, train=True, update=False)  # the program is there
    before = bench.session.driver.counters(0)["cycles"]
    bench.session.run(spikes, labels, train=True)
    measured = bench.session.driver.counters(0)["cycles"] - before
    chip.close()
    assert predict(cost, bench.session.plan.partition, 12).cycles == pytest.approx(measured, rel=0.07)


def test_what_copies_need():
    """A sample each, and layers of their own."""
    network, cfg = two_norms(), CoreConfig.preset("TINY", **NORM)
    with pytest.raises(TridentError, match="3 copies of a network with a batch norm need a minibatch of as many"):
        ChipPlan(network, cfg, MeshConfig(3, 1), copies(network, 3), minibatch=2)
    with pytest.raises(TridentError, match="partition 1,2-3: a network with norm 'norm1' is on one core"):
        Partition.parse("1,2-3", network, cfg.lanes)
