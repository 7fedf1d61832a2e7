"""The compiler: what lies where, what does not fit, and the words of jobs and programs."""

import numpy as np
import pytest

from host.compiler import KINDS, Plan, Region
from host.constants import NeuronConstants, UpdateConstants
from host.network import Network
from host.packing import WeightMap, pack_spikes, rows_to_words, unpack_spikes, words_to_rows
from host.settings import NeuronSettings
from hw.config import CoreConfig
from hw.errors import TridentError
from hw.layouts import HEADER, INSTRUCTION, JOB, Opcode, Packet, Token

NETWORKS = ["5-4-3", "64-128-10", "8x8x1-4c3-6c5s2p1-10", "4x3x5-3c7s2p3-7"]


def _plan(network: str, preset: str = "SMALL", **changes) -> Plan:
    return Plan(Network.parse(network), CoreConfig.preset(preset, **changes))


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("preset", ["TINY", "SMALL", "FPGA", "WIDE"])
def test_regions_neither_overlap_nor_leave_memory(network, preset):
    plan = _plan(network, preset, weight_rows=65536, spike_words=8192, error_words=8192)
    cfg = plan.cfg
    places = {
        "spike_words": [plan.input, *(placed.spikes for placed in plan.layers)],
        "error_words": [placed.errors for placed in plan.layers],
        "tiles": [Region(placed.tile, placed.weights.tiles, 1) for placed in plan.layers],
    }
    for name, regions in places.items():
        end = 0
        for region in regions:
            assert region.base == end and region.size > 0
            end += region.size * region.slots
            assert region.at(region.slots) == region.base  # the slots are used in turn
        assert end <= (cfg.weight_tiles if name == "tiles" else getattr(cfg, name))


@pytest.mark.parametrize(
    "network, changes, words",
    [
        ("64-128-10", {"weight_rows": 64}, "rows of weights need 1424 words, 1360 more than weight_rows of 64"),
        ("64-128-10", {"spike_words": 16}, "spikes of one sample need 26 words, 10 more than spike_words of 16"),
        ("64-128-10", {"error_words": 8}, "errors of one sample need 18 words, 10 more than error_words of 8"),
        ("4-4-4-4", {"jobs": 16}, "3 layers need jobs of at least 17, the core has 16"),
        ("4-4-4-4", {"program_words": 20}, "3 layers need program_words of at least 22, the core has 20"),
        ("4-4-4-4", {"queue_depth": 4}, "3 layers need queue_depth of at least 6, the core has 4"),
        ("256x1x1-1c1-2", {"spike_words": 4096, "error_words": 4096}, "256x1 pixels is larger than 255"),
    ],
)
def test_what_does_not_fit_is_refused(network, changes, words):
    with pytest.raises(TridentError) as caught:
        _plan(network, **changes)
    assert words in str(caught.value)


def test_slots_shrink_before_the_network_is_refused():
    assert [_plan("64-128-10", spike_words=words).spike_slots for words in (26, 52, 78)] == [1, 2, 3]
    assert [_plan("64-128-10", error_words=words).error_slots for words in (18, 36)] == [1, 2]
    assert _plan("64-128-10", spike_words=26).input.step == 0


@pytest.mark.parametrize("network", NETWORKS)
def test_programs_keep_the_tokens_in_balance(network):
    """Over a sample, every token is taken as often as it is given."""
    plan = _plan(network, weight_rows=65536, spike_words=8192, error_words=8192)
    programs = {"train": plan.training_program(), "gradients": plan.training_program(update=False),
                "infer": plan.inference_program()}  # fmt: skip
    for name, program in programs.items():
        assert len(program) <= plan.cfg.program_words
        fields = [INSTRUCTION.unpack([word]) for word in program[1:]]
        for token in Token:
            waits, posts = (
                sum(f[key] >> token & 1 for f in fields if f["opcode"] != Opcode.LOOP) for key in ("wait", "post")
            )
            assert waits == posts, f"{name}: {token.name} is taken {waits} and given {posts} times a sample"
        opcodes = [f["opcode"] for f in fields]
        assert opcodes[-1] == Opcode.HALT
        assert (Opcode.UPDATE in opcodes) == (name == "train")
        assert opcodes.count(Opcode.FORWARD) == len(plan.layers)
        assert opcodes.count(Opcode.WEIGHT_GRAD) == (0 if name == "infer" else len(plan.layers))


def test_job_numbers_and_names():
    plan = _plan("8x8x1-4c3-10")
    numbers = {plan.job("receive"), plan.job("send"), *(plan.job(kind, n) for kind in KINDS for n in (0, 1))}
    assert numbers == set(range(12))
    assert plan.describe_job(plan.job("receive")) == "receive"
    assert plan.describe_job(plan.job("weight_grad", 1)) == "weight_grad of layer 2 (linear 256→10)"
    assert plan.describe_job(plan.job("update_bias", 0)).startswith("update of layer 1 (conv 8x8x1→4")
    fmt = plan.cfg.format
    jobs = plan.jobs(NeuronConstants.of(NeuronSettings(), fmt), UpdateConstants.of(0.9, 0.01, fmt))
    assert set(jobs) == numbers
    job = JOB.unpack(jobs[plan.job("forward", 0)])
    assert (job["kernel"], job["padding"], job["stride2"], job["src_y"], job["dst_x"]) == (3, 1, 0, 8, 8)
    assert JOB.unpack(jobs[plan.job("update", 1)])["scale"] == (-7) & 0xFF  # 0.01 = 1.28 * 2**-7


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("lanes", [1, 2, 8])
def test_weights_come_back_from_their_rows(network, lanes):
    cfg, rng = CoreConfig(lanes=lanes, weight_rows=8), np.random.default_rng(1)
    image = Network.parse(network).in_shape
    for layer in Network.parse(network).layers:
        layout = WeightMap(layer, cfg, image)
        weights = rng.integers(1, 1 << 16, layer.weight_shape).astype(np.uint32)
        biases = rng.integers(1, 1 << 16, layer.out_channels).astype(np.uint32)
        rows = layout.pack(weights, biases)
        assert rows.shape == (layout.rows, lanes)
        assert (rows != 0).sum() == weights.size + biases.size
        back = layout.unpack(words_to_rows(rows_to_words(rows, cfg), cfg))
        assert (back[0] == weights).all() and (back[1] == biases).all()
        image = layer.out_shape


@pytest.mark.parametrize("lanes, steps", [(1, 1), (2, 5), (8, 8), (16, 3)])
def test_spikes_come_back_from_their_words(lanes, steps):
    cfg = CoreConfig(lanes=lanes, timesteps=steps, weight_rows=16)
    spikes = np.random.default_rng(2).integers(0, 2, (3, steps, 4, 5, 11)).astype(np.uint8)
    words = pack_spikes(spikes, cfg)
    for sample, packed in zip(spikes, words, strict=True):
        assert (unpack_spikes(packed, (4, 5, 11), cfg) == sample.transpose(1, 2, 0, 3)).all()


def test_fields_refuse_what_they_cannot_hold():
    assert HEADER.unpack(HEADER.pack(packet=Packet.READ, space=3, count=70000)) == {
        "packet": Packet.READ, "space": 3, "count": 70000,
    }  # fmt: skip
    with pytest.raises(TridentError, match="header: count of 16777216 does not fit its 24 bits"):
        HEADER.pack(count=1 << 24)
    with pytest.raises(TridentError, match="job has no field kernels"):
        JOB.pack(kernels=3)
