"""Samples that end within a spike word: what is behind their end is not there, and the rest is golden's."""

import numpy as np
import pytest

from tests.hw.core.benches import (
    CHUNKS,
    PLANES,
    POOL,
    READOUT,
    SHORT,
    WALKS,
    batch_of,
    bench_of,
    check,
    constants_of,
    pooled_network,
    random_network,
    train,
)
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.spaces import Space

SPARE = CHUNKS | {"spare": 3}  # nine timesteps in words of four
LEAKS = WALKS | CHUNKS | {"charge": "plif", "gradient_bits": 48, "spare": 2, "leak_groups": 64}


@pytest.mark.parametrize("changes, stalls", [
    (SPARE, None), ({"timesteps": 4, "spare": 1} | SHORT, 7), (READOUT | SPARE | SHORT, 7),
    (READOUT | SPARE | {"loss": "steps", "others": "lif/mean", "accumulators": 32}, None), (LEAKS, None),
    (PLANES | CHUNKS | {"others": "lif/hard/triangle/still", "timesteps": 5, "spare": 4}, 3),
    (POOL | CHUNKS | {"others": "lif/hard/triangle/pooled", "spare": 1}, None),
    (SPARE | {"backward_cols": 4, "forward_cols": 2, "surrogate": "atan", "detach": False, "reset": "soft"}, None),
])  # fmt: skip
def test_random_networks(changes, stalls):
    """Every memory of small networks, at densities from 0 to 100 %."""
    rng, pool = np.random.default_rng(3), changes.get("pool", 1)
    for n in range(6):
        network = random_network(rng, 12) if pool == 1 else pooled_network(rng, 12, pool)
        if changes.get("loss") == "steps":
            network += "r"
        elif changes.get("loss") == "membrane":
            network += ("r", "rlast", "rmax")[n % 3]
        if changes.get("charge") == "plif":
            network = ("9-7-5-3", "4x4x1-3c3-3", "5x5x3-5c3-6c3s2-4")[n % 3]
        bench = bench_of(network, "TINY", stalls, n, bool(n % 3), **{"spike_words": 1024, "error_words": 512} | changes)
        for density in (0.0, 0.3, 1.0):
            mismatch, _ = train(bench, rng, int(rng.integers(1, 6)), density)
            assert mismatch is None, f"{network}: {mismatch}"
        mismatch, _ = bench.infer(batch_of(bench, rng, 4, 0.4)[0])
        assert mismatch is None, f"{network}: {mismatch}"


@pytest.mark.parametrize(("steps", "word"), [(25, 8), (50, 8), (100, 16), (101, 8), (126, 16), (300, 16)])
def test_any_number_of_timesteps(steps, word):
    chunks = -(-steps // word)
    bench = bench_of(
        "6-5-3", "SMALL", timesteps=word, chunks=chunks, spare=word * chunks - steps, jobs=512, program_words=512,
        spike_words=1024, error_words=512,
    )  # fmt: skip
    assert bench.cfg.steps == steps
    assert check(bench, np.random.default_rng(8), f"{steps} timesteps") > 0.1 * steps


def test_nothing_is_behind_the_end():
    """Biases that fire at every timestep fire at none behind the last, and no error is there: in the chip's words."""
    bench = bench_of("5-6-4", "TINY", **SPARE)
    bits = bench.golden.bits(Space.WEIGHTS)
    for name in bits:
        if name.endswith("bias"):
            bits[name] = np.full_like(bits[name], 0x4000)  # 2
    bench.golden.load(Space.WEIGHTS, bits)
    bench.session.load(Space.WEIGHTS, bits)
    spikes, labels = batch_of(bench, np.random.default_rng(1), 1, 0.5)
    mismatch, _ = bench.step(spikes, labels, constants_of(bench, 1), 256)
    assert mismatch is None, mismatch
    session, cfg = bench.session, bench.cfg
    for placed in session.plan.plans[0].layers:
        for space, region in ((Space.SPIKES, placed.spikes), (Space.ERROR_MASKS, placed.errors)):
            words = session.driver.read(0, space, region.base, region.chunk * cfg.chunks)[:, 0]
            bits_of = (words[:, None] >> np.arange(cfg.spike_bits)) & 1
            by_step = bits_of.reshape(cfg.chunks, -1, cfg.lanes, cfg.timesteps)
            assert not by_step[-1, ..., cfg.timesteps - cfg.spare :].any()
            assert space != Space.SPIKES or by_step[:-1, :, 0].all()


def test_a_core_needs_no_bits_for_what_is_spare():
    """Nor has the reading of a core's words more timesteps than the sample."""
    cfg = CoreConfig.preset("SMALL", timesteps=8, chunks=13, spare=3)
    assert (cfg.steps, cfg.word_steps, cfg.last_step, cfg.most_spikes) == (101, 104, 4, 101)
