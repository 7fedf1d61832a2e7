"""Whole chips under the fast simulation: every memory of every core after training steps, against golden."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tests.cocotb.placing import updates_of
from trident.host.compile.chip_plan import ChipPlan
from trident.host.driver import session
from trident.host.driver.driver import CoreStuck
from trident.host.train.step_bench import StepBench
from trident.hw.chip import check_pair
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.faults import GRADIENT_FAULTS
from trident.hw.isa.job import FAN
from trident.hw.isa.mesh import MeshConfig, mesh_for
from trident.hw.isa.planes import Planes
from trident.hw.isa.spaces import Space
from trident.hw.isa.tokens import Token
from trident.sim.rtl.verilated import VerilatedChip
from trident.snn.network.network import Network
from trident.snn.network.norms import with_norm
from trident.snn.network.partition import Partition, Stage, even_cuts
from trident.snn.neuron_settings import NeuronSettings

SIZES = {
    "weight_rows": 2048, "spike_words": 1024, "error_words": 512, "program_words": 128, "jobs": 64,
}  # fmt: skip
# One core for all meshes of each of these
CONFIGS = {
    "rectangle": CoreConfig.preset("TINY", **SIZES),
    "soft-triangle": CoreConfig.preset(
        "TINY", reset="soft", surrogate="triangle", timesteps=5, multiplier_subnormals=True, gradient_bits=42, **SIZES
    ),
    # Two rows in a flit
    "one-lane": CoreConfig.preset("TINY", lanes=1, **SIZES),
    "columns": CoreConfig.preset(
        "TINY", lanes=4, forward_cols=2, backward_cols=2, weight_grad_cols=2, timesteps=4, accumulators=32,
        gradient_bits=48, **SIZES
    ),
    "shared": CoreConfig.preset("COMPACT", accumulators=16, error_words=512),
    "shared-soft-triangle": CoreConfig.preset(
        "COMPACT", reset="soft", surrogate="triangle", timesteps=8, multiplier_subnormals=True, round_stages=2,
        mul_stages=1, short_paths=False, prefetch_jobs=False, error_words=512
    ),
    "synaptic-atan-adamw": CoreConfig.preset(
        "TINY", charge="synaptic", reset="soft-after-leak", surrogate="atan", detach=False, optimiser="adamw-decay",
        gradient_bits=48, **SIZES
    ),
    "planes": CoreConfig.preset("TINY", planes=True, others="lif/hard/rectangle/still", **SIZES),
    "standardise": CoreConfig.preset("TINY", standardise=True, gradient_bits=48, **SIZES),
    "chunks": CoreConfig.preset(
        "TINY", chunks=3, spare=2, surrogate="atan", gradient_bits=48, carry_words=256,
        **SIZES | {"spike_words": 4096, "error_words": 2048, "jobs": 128}
    ),
    "short-paths": CoreConfig.preset("FPGA", accumulators=16, gradient_bits=48, **SIZES),
}
MESHES = [(1, 1), (2, 1), (2, 2), (3, 2)]


def _mesh(cfg: CoreConfig, width: int, height: int) -> MeshConfig:
    return mesh_for(cfg, MeshConfig(width=width, height=height))


@cache
def _chip(config: str, width: int, height: int) -> VerilatedChip:
    """One simulation per chip, used by many tests one after another."""
    return VerilatedChip(CONFIGS[config], _mesh(CONFIGS[config], width, height))


def _bench(config, width, height, network, partition, seed=0, placement=None, bias=True, link=None) -> StepBench:
    cfg = CONFIGS[config]
    network = Network.parse(network, bias)
    if cfg.planes:
        network = replace(network, planes=Planes(4, seed % 3 - 4, bool(seed % 2)))
    if cfg.standardise and len(network.layers) > 1 and all(layer.fan_in > 1 for layer in network.layers):
        network = with_norm(network, "ws")
    if isinstance(partition, str):
        partition = Partition.parse(partition, network, cfg.lanes)
    neuron = NeuronSettings.of(cfg)
    link = link or _chip(config, width, height)
    return StepBench(network, neuron, cfg, link, seed, _mesh(cfg, width, height), partition, placement)


def _train(bench: StepBench, rng, samples: int, density: float = 0.3, loss_scale: float = 256):
    shape = (samples, bench.cfg.steps, *bench.network.in_shape)
    spikes = (rng.random(shape) < density).astype(np.uint8)
    labels = rng.integers(0, bench.network.classes, samples)
    return bench.step(spikes, labels, updates_of(bench.cfg, samples, loss_scale), loss_scale)


def _random_network(rng) -> str:
    """One to four layers, linear, convolutions, or linear behind convolutions; only what fits a TINY core."""
    if rng.random() < 0.5:
        return "-".join(str(rng.integers(2, 12)) for _ in range(rng.integers(2, 6)))
    y, x = rng.integers(2, 5, 2)
    parts = [f"{y}x{x}x{rng.integers(1, 3)}"]
    for _ in range(rng.integers(1, 3)):
        kernel = rng.integers(1, 4)
        parts.append(f"{rng.integers(1, 9)}c{kernel}s1p{kernel // 2}")
    return "-".join([*parts, str(rng.integers(2, 9))])


def _random_partition(rng, network: Network, cores: int, lanes: int) -> Partition:
    """Replicas, stages of one or several layers, and slices by chance, on at most so many cores."""
    stages, first, left, end = [], 0, cores, len(network.layers) - 1
    while first <= end:
        last = end if left == 1 else min(first + int(rng.integers(0, 3)) if rng.random() < 0.4 else first, end)
        outputs, split = network.layers[last].out_channels, 1
        if last == first:
            most = min(left - (last < end), -(-outputs // lanes), FAN)
            split = int(rng.integers(1, max(most, 1) + 1))
        stages.append(Stage(first, last, tuple(even_cuts(outputs, split, lanes))))
        first, left = last + 1, left - split
    members = sum(stage.cores for stage in stages)
    return Partition(int(rng.integers(1, cores // members + 1)), tuple(stages))


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("width, height", MESHES)
def test_random_chips(config, width, height):
    """Networks, partitions and placements by chance; densities from 0 to 100 %, from 1 sample on, several steps."""
    cfg = CONFIGS[config]
    rng = np.random.default_rng([width, height, list(CONFIGS).index(config)])
    cores = width * height
    trained = 0
    few = cfg.shared_engine  # whose firmware takes long to simulate
    for n in range(3 if few else 6):
        text, bias = _random_network(rng), bool(n % 3)
        partition = _random_partition(rng, Network.parse(text, bias), cores, cfg.lanes)
        placement = tuple(int(core) for core in rng.permutation(cores)[: partition.cores])
        try:
            bench = _bench(config, width, height, text, partition, n, placement, bias)
        except TridentError as refused:
            assert "accumulators" in str(refused), refused
            continue
        where = f"{text}, partition {partition}, placement {placement}"
        for density in ((0.0, 0.5), (0.1, 1.0))[n % 2]:
            mismatch, _ = _train(bench, rng, int(rng.integers(1, 9)), density)
            assert mismatch is None, f"{where}: {mismatch}"
        spikes = (rng.random((4, cfg.steps, *bench.network.in_shape)) < 0.4).astype(np.uint8)
        mismatch, _ = bench.infer(spikes)
        assert mismatch is None, f"{where}: {mismatch}"
        trained += 1
    assert trained >= (2 if few else 4)


# Of a network of four layers, and the mesh of each
SPREADS = {
    "1-4": (1, 1), "1-2,3-4": (2, 1), "2x1-4": (2, 1), "1,2,3,4": (2, 2), "4x1-4": (2, 2), "2x1-2,3-4": (2, 2),
    "1,2/2,3-4": (2, 2), "1/2,2/2,3,4": (3, 2), "1,2,3/3,4": (3, 2), "3x1-2,3-4": (3, 2),
}  # fmt: skip


def _spread(config: str, partitions) -> list[dict[str, np.ndarray]]:
    """The weights that two minibatches have left, of each partition, as the RTL has them."""
    found = []
    for partition in partitions:
        network, rng = "4x4x1-8c3s1p1-8c3s2p1-12-5", np.random.default_rng(7)
        bench = _bench(config, *SPREADS[partition], network, partition)
        for samples in (5, 8):
            assert _train(bench, rng, samples)[0] is None, partition
        found.append(bench.session.read(Space.WEIGHTS, bench.replicas - 1))
    return found


def test_any_partition_trains_the_same_weights():
    """With exact gradients: on one to six cores, in a pipeline, in slices, in replicas with unequal shares."""
    first, *others = _spread("columns", SPREADS)
    for partition, weights in zip(list(SPREADS)[1:], others, strict=True):
        assert all((weights[name] == first[name]).all() for name in first), partition


def test_float_gradients_depend_on_the_partition():
    """What the test above compares is not the same anyway."""
    first, *others = _spread("rectangle", ("1-4", "2x1-4", "1,2,3,4", "4x1-4"))
    assert any((weights[name] != first[name]).any() for weights in others for name in first)


@pytest.mark.parametrize(
    "network, partition, samples",
    [
        ("6-5-3", "4x1-2", 9),  # replicas
        ("6-5-3", "4x1-2", 2),  # of which two have no sample
        ("6-5-4-3", "1,2,3", 7),  # a pipeline
        ("6-8-3", "1/4,2", 4),  # a layer on four cores
        ("6-8-4", "1/2,2/2", 5),  # splits one after another
        ("4x4x1-8c3-3", "1/3,2", 4),  # a linear layer behind a split convolution
        ("4x3x2-4c3-8c3-3", "1,2/3,3/2", 4),
        ("4x4x1-4c3-6c3s2-4-3", "1-2,3-4", 6),  # stages of several layers
        ("4x4x1-3c3-4", "2x1,2/2", 5),  # all of it
        ("5x5x1-4c3-6c3-4", "2x1-2,3", 3),
    ],
)
def test_every_kind_of_partition(network, partition, samples):
    rng = np.random.default_rng(3)
    bench = _bench("rectangle", 3, 2, network, partition)
    for density in (0.2, 0.6):
        mismatch, found = _train(bench, rng, samples, density)
        assert mismatch is None, mismatch
        assert found.counts.shape == (samples, bench.network.classes)


@pytest.mark.parametrize("partition", ["2x1,2", "2x1-2", "1/2,2", "1,2"])
def test_overflow_on_one_core_skips_the_update_on_all(partition):
    """The loss is far too large for one class only: the gradients of some cores overflow, and no weight changes."""
    bench, rng = _bench("rectangle", 2, 2, "9-6-4", partition), np.random.default_rng(6)
    mismatch, found = _train(bench, rng, 6)
    assert mismatch is None and not found.all_faults
    spaces = (Space.WEIGHTS, Space.MOMENTUM)
    before = {space: bench.session.read(space) for space in spaces}
    seen = set()
    for scale in (2**15, 2**17, 2**20):
        mismatch, found = _train(bench, rng, 6, 0.9, scale)
        assert mismatch is None, mismatch
        seen |= {bool(faults & GRADIENT_FAULTS) for faults in found.faults}
        if not found.all_faults & GRADIENT_FAULTS:
            before = {space: bench.session.read(space) for space in spaces}
            continue
        for replica in range(bench.replicas):
            for space, tensors in before.items():
                after = bench.session.read(space, replica)
                assert all((after[name] == values).all() for name, values in tensors.items())
            assert not any(values.any() for values in bench.session.read(Space.GRADIENTS, replica).values())
    assert True in seen
    mismatch, found = _train(bench, rng, 6)
    assert mismatch is None and not found.all_faults, "the next minibatch is whole again"


def test_twenty_cores():
    """The mesh of the reference design: five stages, a split layer, three replicas, placed by chance."""
    rng = np.random.default_rng(8)
    network, partition = "5x5x1-4c3-6c3s2-8-5-3", "3x1,2/2,3,4-5"
    bench = _bench("rectangle", 5, 4, network, partition, placement=tuple(int(n) for n in rng.permutation(20)[:15]))
    for density in (0.2, 0.7):
        mismatch, found = _train(bench, rng, 12, density)
        assert mismatch is None, mismatch
        assert len(found.faults) == 15


def test_threads_change_nothing():
    """Two threads that share the cores, and one: the same results in the same cycles."""
    found = []
    for threads in (1, 2):
        cfg, rng = CONFIGS["rectangle"], np.random.default_rng(5)
        link = VerilatedChip(cfg, _mesh(cfg, 2, 1), threads=threads)
        mismatch, result = _train(_bench("rectangle", 2, 1, "6-5-3", "1,2", link=link), rng, 6)
        assert mismatch is None, mismatch
        found.append((result.counts.tolist(), link.cycles))
        link.close()
    assert found[0] == found[1]


def test_parts_and_whole_are_the_same_chip():
    """Cores and network simulated apart, and the whole chip's Verilog: the same results in the same cycles."""
    cfg = CONFIGS["rectangle"]
    parts = VerilatedChip(cfg, _mesh(cfg, 2, 2))
    whole = VerilatedChip(cfg, _mesh(cfg, 2, 2), whole=True)
    found = []
    for link in (parts, whole):
        rng = np.random.default_rng(4)
        bench = _bench("rectangle", 2, 2, "4x4x1-4c3-5-3", "1,2/2,3", link=link)
        mismatch, result = _train(bench, rng, 6)
        assert mismatch is None, mismatch
        counters = [bench.session.driver.counters(core) for core in range(4)]
        found.append((result.counts.tolist(), link.cycles, counters))
        link.close()
    assert found[0] == found[1]


def test_missing_token_is_named(monkeypatch):
    """A program that waits for a token that nobody gives ends within seconds, with its core, instruction and token."""
    monkeypatch.setattr(session, "QUIET", 2000)
    cfg = CONFIGS["rectangle"]
    link = VerilatedChip(cfg, _mesh(cfg, 2, 1))  # its own, as it is left stuck
    bench = _bench("rectangle", 2, 1, "6-5-3", "1,2", placement=(1, 0), link=link)
    plan = bench.session.plan
    programs = plan.programs(train=False)
    job = plan.plans[1].job("send")
    wait, post = programs[1].tokens[job]
    programs[1].tokens[job] = (*wait, Token.REDUCED), post
    monkeypatch.setattr(plan, "programs", lambda *_: programs)
    spikes = np.ones((14, cfg.timesteps, 1, 1, 6), np.uint8)
    with pytest.raises(CoreStuck) as caught:
        bench.session.run(spikes, np.zeros(14, np.int64), train=False)
    said = str(caught.value)
    assert f"core 0: send, instruction {job} (send of the spikes of layer 2 (linear 5→3)), waits for REDUCED" in said
    assert "core 1: send" in said and "waits for NEXT_FREE0" in said
    assert link.cycles < 200_000
    link.close()


def test_too_short_packets_are_refused():
    """An element of a wide core needs packets that hold it."""
    cfg = CoreConfig.preset("WIDE")
    with pytest.raises(TridentError, match=r"has \d+ bits: a packet needs \d+ flits of 32 bits, packet is 2"):
        check_pair(cfg, MeshConfig(packet=2))
    assert mesh_for(cfg, MeshConfig(packet=2)).packet > 2


def test_meshes_that_jobs_cannot_say_are_refused():
    cfg = CoreConfig.preset("TINY")
    with pytest.raises(TridentError, match="a mesh of 9x2 is for forecasts: jobs name cores of up to 8x8"):
        ChipPlan(Network.parse("8-4"), cfg, _mesh(cfg, 9, 2))


def test_a_core_for_a_chip_by_itself_is_refused_on_a_mesh():
    cfg = CoreConfig.preset("COMPACT", standalone=True)
    check_pair(cfg, mesh_for(cfg))
    with pytest.raises(TridentError, match="a mesh of 2x1 needs neighbours, which a standalone core has not"):
        check_pair(cfg, _mesh(cfg, 2, 1))
