"""The configuration: every preset elaborates, every bad value is refused with the parameter and the limit."""

from dataclasses import replace

import pytest
from amaranth.hdl import Fragment

from trident.hw.chip import check_pair
from trident.hw.cores import make_core
from trident.hw.errors import TridentError
from trident.hw.isa.capabilities import Capability
from trident.hw.isa.config import PRESETS, CoreConfig
from trident.hw.isa.mesh import MeshConfig, mesh_for
from trident.hw.isa.registers import config_digest
from trident.hw.isa.registry import PLACES, first_engine

SHARED = {"shared_engine": True, "lanes": 1, "words": 1, "counters": "running"}


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_elaborates(name):
    cfg = CoreConfig.preset(name.lower(), weight_rows=PRESETS[name].lanes * 4, spike_words=16, error_words=8)
    assert len(Fragment.get(make_core(cfg, mesh_for(cfg)), None).subfragments) > 11


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"lanes": 3}, "lanes must be a power of two, not 3"),
        ({"lanes": 64}, "lanes must be a whole number from 1 to 32, not 64"),
        ({"lanes": True}, "lanes must be a whole number"),
        ({"lanes": "8"}, "lanes must be a whole number"),
        ({"timesteps": 0}, "timesteps must be a whole number from 1 to 32, not 0"),
        ({"timesteps": 33}, "not 33"),
        ({"words": 3}, "words must be a power of two, not 3"),
        ({"forward_cols": 3}, "forward_cols must be a power of two, not 3"),
        ({"forward_cols": 16}, "forward_cols of 16 must divide timesteps, which is 8"),
        ({"backward_cols": 4, "timesteps": 6}, "backward_cols of 4 must divide timesteps, which is 6"),
        ({"weight_grad_cols": 16}, "weight_grad_cols of 16 must divide lanes, which is 8"),
        ({"reset": "never"}, "reset must be one of hard, soft, soft-after-leak, none, not 'never'"),
        ({"surrogate": "step"}, "surrogate must be one of rectangle, triangle, atan, sigmoid, fast-sigmoid, sup"),
        ({"loss": "hinge"}, "loss must be one of table, softmax, membrane, steps, not 'hinge'"),
        ({"optimiser": "adamw"}, "optimiser must be one of sgd, sgd-decay, nesterov, nesterov-decay, adam, adam-decay"),
        ({"weight_rows": 4095}, "weight_rows of 4095 must be a multiple of lanes, which is 8"),
        ({"accumulators": 4}, "accumulators of 4 must be at least 8"),
        ({"exp": 9}, "exp must be a whole number from 4 to 8, not 9"),
        ({"round_stages": 5}, "round_stages must be a whole number from 1 to 4, not 5"),
        ({"accumulator_bits": 54}, "accumulator_bits must be a whole number from 8 to 53, not 54"),
        ({"accumulator_bits": 27}, "accumulator_bits of 27 from 2**-24 on are too few: a sum must take more than one "),
        ({"prefetch_jobs": 1}, "prefetch_jobs must be true or false, not 1"),
        ({"shared_engine": True}, "with shared_engine, lanes must be 1, not 8"),
        (SHARED | {"timesteps": 6}, "with shared_engine, timesteps must be 2, 4 or 8, not 6"),
        (SHARED | {"optimiser": "adam"}, "optimiser of adam needs vector programs, which a core with a shared_engine"),
        (SHARED | {"loss": "softmax"}, "loss of softmax needs vector programs, which a core with a shared_engine has"),
        (SHARED | {"loss_tables": 3}, "loss_tables of 3, for class weights, needs a loss table of every label, which"),
        ({"loss_tables": 0}, "loss_tables must be a whole number from 1 to 65536, not 0"),
        ({"loss_tables": 4097}, "loss_tables of 4097 with 8 timesteps take 262144 entries, more than the 131072 that"),
        (SHARED | {"counters": "all"}, "with shared_engine, counters must be running, not all"),
        ({"standalone": True}, "standalone takes a shared_engine"),
        ({"backward_engine": "sine"}, "unknown backward_engine 'sine': choose one of transposed"),
        ({"lane": 8}, "unknown parameter 'lane': choose one of accumulator_bits, "),
    ],
)
def test_bad_values_are_refused(changes, words):
    with pytest.raises(TridentError) as caught:
        CoreConfig.preset("SMALL", **changes)
    assert words in str(caught.value)


@pytest.mark.parametrize("place", PLACES)
def test_shared_engine_takes_no_engine_of_ones_own(place, monkeypatch):
    """It would do what the first engine of the place does, and golden what the other one does."""
    other = replace(first_engine(place), golden="trident.sim.golden.reduce:reduce")
    monkeypatch.setitem(PLACES, place, PLACES[place] | {"own": other})
    assert CoreConfig.preset("TINY", **{f"{place}_engine": "own"}).engine(place) == other
    with pytest.raises(TridentError) as caught:
        CoreConfig.preset("COMPACT", **{f"{place}_engine": "own"})
    wanted = f"{place}_engine of 'own' needs exchangeable engines, which a core with a shared_engine has not"
    assert str(caught.value) == wanted


def test_capabilities_follow_from_the_kind():
    small = CoreConfig.preset("COMPACT")
    options = {Capability.PLANES, Capability.POOL, Capability.WALKS, Capability.STANDARDISE}
    options |= {Capability.BATCH_NORM, Capability.WINDOWS, Capability.SUMS, Capability.VOTERS, Capability.LEAKS}
    options |= {Capability.DROPOUT, Capability.JOIN, Capability.SPREAD, Capability.KERNELS, Capability.ADDS}
    assert CoreConfig().capabilities == set(Capability) - options
    sums = {"batch_norm": True, "window": 2, "join": 3, "sum_words": 64, "winner_words": 64}
    full = CoreConfig(
        planes=True, pool=2, walks=2, standardise=True, voters=2, charge="plif", dropout=True, kernels=True, adds=True,
        **sums,
    )
    assert full.capabilities == set(Capability)
    assert small.capabilities == {Capability.NEIGHBOURS}
    standalone = replace(small, standalone=True)
    assert standalone.capabilities == frozenset()
    with pytest.raises(TridentError, match="^a mesh of 2x1 needs neighbours, which a standalone core has not$"):
        check_pair(standalone, mesh_for(standalone, MeshConfig(width=2, height=1)))
    check_pair(standalone, mesh_for(standalone, MeshConfig(width=1, height=1)))


def test_unknown_preset_is_refused():
    with pytest.raises(TridentError, match="unknown preset 'HUGE': choose one of TINY, SMALL, FPGA, COMPACT, WIDE"):
        CoreConfig.preset("HUGE")


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_derived_sizes(name):
    cfg = PRESETS[name]
    assert cfg.row_bits == cfg.lanes * (1 + cfg.exp + cfg.frac)
    assert cfg.spike_bits == cfg.lanes * cfg.timesteps
    assert 1 << cfg.lane_bits == cfg.lanes
    assert cfg.timesteps <= 1 << cfg.step_bits < 2 * cfg.timesteps
    assert cfg.error_rows == cfg.error_words * (1 << cfg.step_bits)
    assert max(cfg.weight_tiles, cfg.spike_words, cfg.error_words) < 1 << cfg.address_bits
    assert cfg.accumulators <= 1 << cfg.entry_bits
    for engine in ("forward", "backward", "weight_grad"):
        words = cfg.words_of(engine)
        assert 1 <= words <= cfg.words and cfg.entries_per_word(engine) * words <= cfg.accumulators


def test_digest_tells_configurations_apart():
    """Also cores of another network, but not those of a mesh of another size."""
    mesh = MeshConfig()
    digests = {config_digest(cfg, mesh) for cfg in PRESETS.values()}
    for key, value in (("timesteps", 1), ("words", 1), ("round_stages", 2)):
        digests.add(config_digest(CoreConfig.preset("TINY", **{key: value}), mesh))
    tiny = CoreConfig.preset("TINY")
    digests |= {config_digest(tiny, replace(mesh, buffers=32)), config_digest(tiny, replace(mesh, groups=8))}
    assert len(digests) == len(PRESETS) + 5
    assert config_digest(tiny, mesh) == config_digest(tiny, replace(mesh, width=2, height=8))
