"""Standardised weights: the unit's RTL against golden on every memory, its parts against exact arithmetic."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from amaranth.sim import Simulator

from tests.cocotb.units import BENCHES, CONFIGS, check_unit
from trident.host.compile.packing import WeightMap
from trident.host.compile.standardise import standard_fields
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.units.parts.lane_sums import LaneSums
from trident.hw.units.parts.row_walk import RowWalk
from trident.sim.golden.constants import UpdateConstants
from trident.sim.golden.format import to_bits, to_values
from trident.sim.golden.standardise import StandardConstants, Standardiser
from trident.snn.network.network import Network
from trident.snn.network.norms import with_norm

CFG = CoreConfig(standardise=True)


@pytest.mark.parametrize("config, stalls", [
    *BENCHES, ("lanes2-adam-pruned", 3), pytest.param("lanes4-pruned-bf16", None, marks=pytest.mark.slow),
])  # fmt: skip
def test_against_golden(config, stalls):
    assert check_unit("standardise", config, stalls) > 0


def _simulated(unit, bench):
    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("config", ["lanes2-one-step", "lanes4-cols2-bf16", "lanes8-cols4"])
def test_sums_are_exact_and_rounded_once(config):
    """Against fractions: numbers of any size, sums that cancel to less than the least number, every power of two."""
    cfg = replace(CONFIGS[config], standardise=True)
    unit, fmt, rng, found = LaneSums(cfg), cfg.format, np.random.default_rng(3), []
    limit, place = cfg.pass_fixed.limit(fmt, 8, room=1), Fraction(2) ** cfg.pass_fixed.place
    cases = []
    for power in range(16):
        rows = rng.integers(0, limit << fmt.frac, (int(rng.integers(1, 8)), cfg.lanes))
        if power % 2:  # small sums of large numbers
            rows = np.concatenate([rows, rows ^ fmt.negative_zero, rng.integers(0, 3, (1, cfg.lanes))])
        rows ^= fmt.negative_zero * rng.integers(0, 2, rows.shape) * (power % 4 < 2)
        cases.append((power, rows[rng.permutation(len(rows))]))

    async def bench(context):
        context.set(unit.limit, limit)
        for power, rows in cases:
            context.set(unit.power, power)
            context.set(unit.clear, 1)
            await context.tick()
            context.set(unit.clear, 0)
            for row in rows:
                context.set(unit.row, sum(int(value) << n * cfg.width for n, value in enumerate(row)))
                context.set(unit.en, 1)
                await context.tick()
            context.set(unit.en, 0)
            context.set(unit.round, 1)
            await context.tick()
            context.set(unit.round, 0)
            large = 0
            while not context.get(unit.done):
                large |= context.get(unit.large)
                await context.tick()
            large |= context.get(unit.large)
            await context.tick()
            found.append((context.get(unit.total), large))

    _simulated(unit, bench)
    for (power, rows), (total, large) in zip(cases, found, strict=True):
        for lane, values in enumerate(to_values(rows, fmt).T.tolist()):
            terms = [round(Fraction(value) / place) * place for value in values]
            exact = sum(terms) / 2**power
            least, (top, bottom) = Fraction(2) ** (1 - fmt.bias - fmt.frac), exact.as_integer_ratio()
            unit_place = least
            if exact:
                size = abs(top).bit_length() - bottom.bit_length()
                size -= Fraction(2) ** size > abs(exact)
                unit_place = max(least, Fraction(2) ** (size - fmt.frac))
            wanted = int(to_bits(float(round(exact / unit_place) * unit_place) + 0.0, fmt))
            assert total >> lane * cfg.width & (1 << cfg.width) - 1 == wanted, (power, lane, float(exact))
        assert not large


def test_numbers_too_large_are_left_out():
    cfg = replace(CFG, lanes=2)
    unit, found = LaneSums(cfg), []
    one, two, large = (int(to_bits(value, cfg.format)) for value in (1.0, 2.0, 1024.0))

    async def bench(context):
        context.set(unit.limit, large >> cfg.frac)
        for row in (one | large << 16, two | one << 16):
            context.set(unit.row, row)
            context.set(unit.en, 1)
            await context.delay(1e-8)
            found.append(context.get(unit.large))
            await context.tick()
        context.set(unit.en, 0)
        context.set(unit.round, 1)
        await context.tick()
        context.set(unit.round, 0)
        while not context.get(unit.done):
            await context.tick()
        await context.tick()
        found.append(context.get(unit.total))

    _simulated(unit, bench)
    assert found == [1, 0, int(to_bits(3.0, cfg.format)) | one << 16]


@pytest.mark.parametrize("text", ["5x4x3-2c1-5c3-4", "3x3x5-2c1-6", "7-2-3", "2x3x9-17c1-3c2p1-4"])
@pytest.mark.parametrize("lanes", [1, 2, 8])
def test_the_walk_is_over_the_inputs_of_a_layer(text, lanes):
    """Of every group, each once, where the map of weights has them, without padding."""
    cfg = replace(CFG, lanes=lanes, accumulators=64)
    network = with_norm(Network.parse(text), "ws")
    for layer in (layer for layer in network.layers if layer.standardised):
        weights = WeightMap(layer, cfg)
        fields = standard_fields(weights.bands[0], cfg)
        places = np.arange(layer.taps)[:, None] * weights.blocks * lanes + weights.in_channels
        block, lane = np.divmod(places.ravel(), lanes)
        for group in range(weights.groups):
            unit, found = RowWalk(cfg), []

            async def bench(context, unit=unit, found=found, group=group, fields=fields):
                context.set(unit.first, group * lanes)
                context.set(unit.step, fields["group_step"] * lanes)
                context.set(unit.channels, fields["blocks"])
                context.set(unit.count, fields["count"])
                context.set(unit.start, 1)
                await context.tick()
                context.set(unit.start, 0)
                context.set(unit.o.ready, 1)
                while context.get(unit.o.valid):
                    found.append(context.get(unit.o.payload))
                    await context.tick()

            _simulated(unit, bench)
            assert found == ((block * weights.groups + group) * lanes + lane).tolist()


@pytest.mark.parametrize("text", ["8x8x3-12c3-10", "100-7-10", "20x20x16-4c7-3"])
def test_golden_is_the_formula(text):
    """Against float64: weights within 1 %, raw gradients within 1 % of the largest of a channel."""
    layer = with_norm(Network.parse(text), "ws").layers[0]
    rng, n = np.random.default_rng(5), layer.fan_in
    standard, fmt = Standardiser(layer, CFG), CFG.format

    def values(scale):
        found = to_values(to_bits(rng.normal(size=layer.weight_shape) * scale, fmt), fmt)
        return found.astype(np.float32)

    raw, gradients = values(n**-0.5) + np.float32(0.25), values(8.0)
    raw = to_values(to_bits(raw, fmt), fmt).astype(np.float32)
    weights, fault = standard.weights(raw)
    w, g = (array.astype(np.float64).reshape(n, -1) for array in (raw, gradients))
    size = np.sqrt(n * w.var(axis=0, ddof=1) + layer.epsilon)
    z = (w - w.mean(axis=0)) / size
    assert not fault.any() and np.abs(weights.reshape(z.shape) - z).max() < 0.01 * np.abs(z).max()
    wanted = (g - g.mean(axis=0) - n / (n - 1) * z * (g * z).sum(axis=0)) / size
    momentum, before = np.zeros_like(raw), raw.copy()
    updates = UpdateConstants.of(momentum=0.9, rate=2.0**-10, samples=1, fmt=fmt)
    numbers = updates.values(CFG.update_program, fmt)
    fault = standard.update(raw, weights, {"v": momentum}, gradients, numbers)
    assert not fault.any()
    assert np.abs(momentum.reshape(n, -1) - wanted).max() < 0.01 * np.abs(wanted).max()
    assert np.abs(raw - (before - 2.0**-10 * momentum)).max() <= 2.0**-11
    again, _ = standard.weights(raw)
    assert (again == weights).all()


def test_sums_of_large_gradients_fit():
    """4,608 gradients of 50 each, whose sum no float16 holds: those at raw weights are next to nothing."""
    layer = with_norm(Network.parse("8x8x512-1c3-3"), "ws").layers[0]
    standard, fmt, rng = Standardiser(layer, CFG), CFG.format, np.random.default_rng(1)
    raw = to_values(to_bits(rng.normal(size=layer.weight_shape) / 64, fmt), fmt).astype(np.float32)
    weights, _ = standard.weights(raw)
    gradients, momentum = np.full_like(raw, 50), np.zeros_like(raw)
    numbers = UpdateConstants.of(0.9, 2.0**-10, 1, fmt).values(CFG.update_program, fmt)
    assert not standard.update(raw, weights, {"v": momentum}, gradients, numbers).any()
    assert np.abs(momentum).max() < 0.1


def test_a_channel_of_equal_weights_is_zero():
    layer = with_norm(Network.parse("9-2-3"), "ws").layers[0]
    weights, fault = Standardiser(layer, CFG).weights(np.full(layer.weight_shape, 0.5, np.float32))
    assert not fault.any() and not weights.any()


@pytest.mark.parametrize("network, changes, words", [
    ("9-2-3:ws:1e-6", {}, "'linear1': an epsilon of 1e-06 is 0 to a float of 5 exponent and 10 fraction bits"),
    ("9-2-3:ws:1e6", {}, "'linear1': an epsilon of 1e+06 is infinity to a float of 5 exponent"),
    ("9-2-3:ws", {"standardise": False}, "'linear1' needs a unit for standardised weights, which a core"),
    ("9-2-3:ws", {"exp": 8, "frac": 7, "accumulator_place": -48}, "'linear1': a sum over 9 standardised weights"),
])  # fmt: skip
def test_what_cannot_be_is_refused(network, changes, words):
    text, _, norm = network.partition(":")
    layer = with_norm(Network.parse(text), norm).layers[0]
    cfg = replace(CFG, accumulator_bits=53, gradient_bits=53, **changes)
    with pytest.raises(TridentError) as caught:
        StandardConstants.of(layer, cfg)
    assert str(caught.value).startswith(words)


def test_cores_with_a_shared_engine_have_none():
    with pytest.raises(TridentError, match="^standardise needs a unit for standardised weights, which a core without"):
        CoreConfig.preset("COMPACT", standardise=True)
