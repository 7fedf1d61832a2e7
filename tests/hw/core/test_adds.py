"""Cores that add the sums of layers behind norms, as residual blocks before neurons do."""

from dataclasses import replace

import numpy as np
import pytest

from tests.hw.core.benches import (
    CHUNKS,
    NORM,
    STANDARD,
    WALKS,
    batch_of,
    check_chip,
    check_minibatches,
    constants_of,
    core_of,
)
from trident.host.compile.chip_plan import ChipPlan
from trident.host.train.step_bench import StepBench
from trident.hw.errors import TooLarge, TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.planes import Planes
from trident.snn.network.builder import Builder
from trident.snn.network.network import Network
from trident.snn.network.nodes import INPUT
from trident.snn.network.norms import with_norm
from trident.snn.neuron_settings import NeuronSettings

ADDS = WALKS | {
    "adds": True, "kernels": True, "sum_words": 8192, "program_words": 1024, "spike_words": 16384, "error_words": 8192,
    "surrogate": "atan",
}  # fmt: skip
LEARNED = {"charge": "plif", "optimiser": "adam", "loss": "softmax", "gradient_bits": 48}
MEANS = {
    "planes": True, "pool": 2, "others": "lif/hard/atan/averaged,lif/hard/atan/pooled", "sum_words": 8192,
}  # fmt: skip
GATES = {"others": "lif/hard/rectangle"}
WINDOWS = {"window": 2, "join": 3, "overlap": True, "winner_words": 2048}


def residual_network(rng: np.random.Generator, cfg: CoreConfig) -> Network:
    """A convolution and up to three residual blocks: what is added to the sums of a block are those that the neurons
    before it take, their spikes, other sums, or several of these; or its spikes are joined with those that it reads."""
    side, planes = int(rng.choice([2, 4] if cfg.pool == 1 and cfg.join == 1 else [4, 8])), None
    build = Builder((side, side, int(rng.integers(1, 3))))
    if cfg.planes and rng.random() < 0.6:
        planes = Planes(int(rng.integers(1, 4)), int(rng.integers(-4, 1)), bool(rng.integers(2)), still=False)
    plain = [kind for kind in cfg.neurons if not (kind.readout or kind.still or kind.pooled or kind.averaged)]

    def weigh(source: str, read: int, channels: int, stride: int = 1) -> str:
        kernel = int(rng.choice([1, 3]))
        name = build.add(
            "conv", source, channels=channels, kernel=kernel, stride=stride, padding=kernel // 2,
            bias=bool(rng.integers(2)), standardise=bool(cfg.standardise and kernel * read > 1 and rng.integers(2)),
        )  # fmt: skip
        if cfg.batch_norm and rng.random() < 0.7:
            return build.add("norm", name, epsilon=float(2.0 ** rng.uniform(-13, 0)), scale=float(rng.uniform(0.3, 1)))
        return name

    def fire(source: str) -> str:
        own = plain[rng.integers(len(plain))]
        return build.add(
            "neuron", source, neuron=own.charge, reset=own.reset, surrogate=own.surrogate, detach=own.detach,
            threshold=float(rng.uniform(0.2, 0.5)), **({"leak": 0.5} if own.learns else {}),
        )  # fmt: skip

    gated = any(str(kind) == "lif/hard/rectangle" for kind in cfg.neurons)
    channels = int(rng.integers(1, 4))
    sums = weigh(INPUT, build.in_shape[2], channels)
    if cfg.window > 1 and rng.random() < 0.6:
        sums, side = build.add("pool", sums, size=2), side // 2
    now = fire(sums)
    for _ in range(int(rng.integers(1, 4))):
        stride = 2 if side > 2 and rng.random() < 0.3 else 1
        wanted = channels if stride == 1 and rng.random() < 0.7 else int(rng.integers(1, 5))
        inner = int(rng.integers(1, 4))
        branch = weigh(fire(weigh(now, channels, inner, stride)), inner, wanted)
        others = [now, *([sums] if sums else []), ""] if stride == 1 and wanted == channels else [""]
        if gated and len(others) > 1 and rng.random() < 0.6:
            both = [now, fire(branch)]
            now, sums = build.add("add", *both[:: rng.choice([1, -1])], method=str(rng.choice(["and", "iand"]))), ""
            continue
        chosen = {others[int(n)] for n in rng.integers(0, len(others), 2)}
        shortcut = [weigh(now, channels, wanted, stride)] if "" in chosen else []
        sums = build.add("add", branch, *sorted(chosen - {""}), *shortcut)
        channels, side, now = wanted, -(-side // stride), fire(sums)
        if cfg.pool > 1 and side % cfg.pool == 0 and rng.random() < 0.5:
            now, sums = build.add("pool", now, size=cfg.pool, method=str(rng.choice(["max", "average"]))), ""
            side, gated = side // cfg.pool, False
        elif cfg.join > 1 and side > 2 and rng.random() < 0.5:
            now, sums = build.add("pool", now, size=3, stride=2, padding=1), ""
            side = -(-side // 2)
    if side > 1:
        now = build.add("flatten", now)
    build.add("linear", now, outputs=int(rng.integers(2, 7)))
    fire("linear1")
    return replace(build.network(), planes=planes)


def check_networks(changes: dict, stalls: int | None, count: int, seed: int = 6) -> int:
    """Minibatches of several sizes and densities, and forward passes with what they have left; returns how many sums
    others have added."""
    core, cfg = core_of("TINY", stalls, **ADDS | changes)
    rng, compared, added = np.random.default_rng(seed), 0, 0
    while compared < count:
        network = residual_network(rng, cfg)
        samples = int(rng.integers(2, 12))
        try:
            bench = StepBench(network, NeuronSettings.of(cfg), cfg, core, compared, minibatch=samples)
        except TridentError as fault:
            assert any(text in str(fault) for text in ("core has walks", "core has not", "groups differ")), fault
            continue
        compared += 1
        added += sum(len(layer.adds) for layer in network.layers)
        check_minibatches(bench, rng, samples, (0.5, 0.2))
    return added


@pytest.mark.parametrize("changes, stalls", [
    (GATES, 1), (NORM | {"gradient_bits": 40}, 7), (STANDARD | {"lanes": 4, "gradient_bits": 48}, 2),
    (CHUNKS | {"jobs": 1024, "program_words": 2048, "spike_words": 32768, "error_words": 16384}, 5),
    (LEARNED | NORM | {"lanes": 4}, None), (NORM | MEANS | {"lanes": 4, "backward_cols": 2}, 3),
    (WINDOWS, None), (NORM | WINDOWS | {"weight_grad_cols": 2}, 4), (NORM | {"exp": 8, "frac": 7, "lanes": 8}, 5),
    ({"short_paths": True, "prefetch_jobs": False, "multiplier_subnormals": True}, 6),
    (NORM | {"surrogate": "rectangle", "lanes": 4, "gradient_bits": 40}, 2),
])  # fmt: skip
def test_random_networks(changes, stalls):
    assert check_networks(changes, stalls, 4) >= (1 if changes is GATES else 3)  # gates add no sums


def test_what_adds_need():
    """Units for them, and room for the sums that are kept."""
    neuron, network = NeuronSettings(surrogate="atan"), Network.parse("4x4x2-3c3-ms3-4")
    plain = CoreConfig.preset("TINY", surrogate="atan", jobs=64)
    with pytest.raises(TridentError, match="'neuron2', behind added sums, needs units that add sums, which a core wit"):
        StepBench(network, neuron, plain, None)
    small = replace(plain, adds=True, sum_words=48)
    with pytest.raises(TooLarge, match="the sums of one sample need 64 words, 16 more than sum_words of 48"):
        StepBench(network, neuron, small, None)
    normed = CoreConfig.preset("TINY", **ADDS | NORM | {"sum_words": 64, "spike_words": 32768})
    with pytest.raises(TooLarge, match="the sums of a minibatch need"):
        StepBench(with_norm(network, "bn"), neuron, normed, None, minibatch=9)


def test_copies_on_several_cores():
    check_chip("4x4x2-3c3-ms3-4", "2x1-4", 2, 1, **ADDS)


def test_one_region_serves_a_chain_of_blocks():
    """Of sums that all blocks add to, however many there are."""
    cfg = CoreConfig.preset("TINY", **ADDS | {"sum_words": 1 << 14, "spike_words": 32768, "error_words": 32768})
    plan = ChipPlan(Network.parse("4x4x2-2c3-ms2-ms2-ms2-4"), cfg).plans[0]
    kept = [placed.total for placed in plan.layers if placed.layer.kept]
    assert len(kept) == 3 and len(set(kept)) == 1


def test_errors_that_are_too_large_are_faults():
    """Sums of errors that are no float."""
    core, cfg = core_of("TINY", 1, **ADDS | GATES)
    bench = StepBench(Network.parse("4x4x2-3c3-ms3-ms3-4"), NeuronSettings.of(cfg), cfg, core)
    spikes, labels = batch_of(bench, np.random.default_rng(3), 6, 0.5)
    skipped = 0
    for scale in (2.0**20, 2.0**23):
        mismatch, found = bench.step(spikes, labels, constants_of(bench, 6, scale), scale)
        assert mismatch is None, str(mismatch)
        skipped += found.skipped
    assert skipped
