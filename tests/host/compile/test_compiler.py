"""The compiler: what lies where, what does not fit, and the words of jobs and programs."""

from collections import Counter

import numpy as np
import pytest

from trident.host.compile.chip_plan import ChipPlan
from trident.host.compile.core_plan import CorePlan
from trident.host.compile.fields import signed_field
from trident.host.compile.job_kinds import SINGLE, UPDATES, WALKS
from trident.host.compile.packing import WeightMap, pack_spikes, rows_to_words, unpack_spikes, words_to_rows
from trident.host.compile.regions import Region
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.hw.isa.mesh import MeshConfig, mesh_for
from trident.hw.isa.operations import OPERATIONS, QUEUE_OF, QUEUES, Opcode
from trident.hw.isa.packets import HEADER, ROUTE_LAYOUT, Mode, Packet, Rows
from trident.hw.isa.program import INSTRUCTION, SETUP
from trident.hw.isa.tokens import NO_TOKEN, Token, unpack_tokens
from trident.sim.golden.constants import NeuronConstants, UpdateConstants
from trident.snn.network.network import Network
from trident.snn.network.norms import with_norm
from trident.snn.network.partition import Partition
from trident.snn.neuron_settings import NeuronSettings

NETWORKS = ["5-4-3", "64-128-10", "8x8x1-4c3-6c5s2p1-10", "4x3x5-3c7s2p3-7"]


def _plan(network: str, preset: str = "SMALL", **changes) -> CorePlan:
    """What the only core of a chip holds."""
    (plan,) = ChipPlan(Network.parse(network), CoreConfig.preset(preset, **changes)).plans
    return plan


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("preset", ["TINY", "SMALL", "FPGA", "COMPACT", "WIDE"])
def test_regions_neither_overlap_nor_leave_memory(network, preset):
    plan = _plan(network, preset, weight_rows=65536, spike_words=8192, error_words=8192)
    cfg = plan.cfg
    places = {
        "spike_words": [plan.input, *(placed.spikes for placed in plan.layers)],
        "error_words": [placed.errors for placed in plan.layers],
        "tiles": [Region(placed.tile, placed.weights.tiles, 1, placed.weights.tiles) for placed in plan.layers],
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
        ("4-4-4-4", {"jobs": 16}, "3 layers need jobs of at least 21, the core has 16"),
        ("4-4-4-4", {"program_words": 20}, "3 layers need program_words of at least 54, the core has 20"),
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


def _targets(plan: ChipPlan, route: int) -> list[int | str]:
    """The logical cores that a route leads to, or the host."""
    fields = ROUTE_LAYOUT.unpack([route])
    if fields["mode"] == Mode.HOST:
        return ["host"]
    places = [fields["x"] + fields["y"] * plan.mesh.width]
    if fields["mode"] == Mode.MULTICAST:
        number = fields["x"] + 8 * fields["y"]
        ((_, places),) = (group for group, other in plan.groups.items() if other == number)
    return [plan.placement.index(place) for place in places]


def _constants(fmt) -> tuple[NeuronConstants, UpdateConstants]:
    return NeuronConstants.of(NeuronSettings(), fmt), UpdateConstants.of(0.9, 0.01, 1, fmt)


def _balance(plan: ChipPlan, train: bool, update: bool = True) -> tuple[Counter, Counter]:
    """Tokens that a sample's instructions take and give, and those after the last sample: by core (or the host), token,
    and part of the program: 0, or 1 after the loop, and so on in further phases."""
    taken, given = Counter(), Counter()
    constants = _constants(plan.cfg.format)
    for core, program in enumerate(plan.programs(train, update)):
        assert len(program.words) <= plan.cfg.program_words
        jobs = {number: JOB.unpack(words) for number, words in plan.jobs(core, program, *constants).items()}
        for after, part in enumerate(part for phase in program.phases for part in phase):
            for opcode, number in (pair for pairs in part.values() for pair in pairs if pair[0] in QUEUE_OF):
                job = jobs[number]
                given_fields = {name for name, value in job.items() if value} - {"wait", "post"}
                assert given_fields <= set(OPERATIONS[opcode].fields), opcode.name
                for token in unpack_tokens(job["wait"]):
                    taken[core, token, after] += 1
                for token in unpack_tokens(job["post"]):
                    given[core, token, after] += 1
                if opcode in (Opcode.SEND, Opcode.NOTIFY) and job["token"] != NO_TOKEN:
                    for target in _targets(plan, job["target"]):
                        given[target, Token(job["token"]), after] += 1
    return taken, given


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("partition", ["1", "stages", "split", "replicas"])
@pytest.mark.parametrize("train, update", [(True, True), (True, False), (False, True)])
def test_programs_keep_the_tokens_in_balance(network, partition, train, update):
    """Over a sample, every token is taken as often as it is given, by whomever, and so it is after the last sample."""
    network = Network.parse(network)
    last = len(network.layers)
    text = {"1": f"1-{last}", "stages": f"1,2-{last}", "split": f"1/2,{','.join(map(str, range(2, last + 1)))}",
            "replicas": f"3x1,2-{last}"}[partition]  # fmt: skip
    cfg = CoreConfig.preset("TINY", weight_rows=65536, spike_words=8192, error_words=8192, program_words=128, jobs=64
                            )  # fmt: skip
    mesh = mesh_for(cfg, MeshConfig(width=4, height=3))
    plan = ChipPlan(network, cfg, mesh, Partition.parse(text, network, cfg.lanes))
    cores = plan.partition.cores
    taken, given = _balance(plan, train, update)
    first = [core for core in range(cores) if plan.partition.locate(core)[1] == 0]
    assert given.pop(("host", Token.INPUT_FREE, False)) == len(first)
    for core in first:
        given[core, Token.INPUT_READY0, False] += 1  # the host's
    votes = given.pop(("host", Token.GO, True), 0)
    assert votes == (cores if train and update and cores > 1 else 0)
    for core in range(cores) if votes else ():
        given[core, Token.GO, True] += 1  # the host tile's
    assert +taken == +given


@pytest.mark.parametrize("text", [
    "4x4x2-3c3m2-5", "8x8x1-3c3-mp2-4c3-6", "6x6x1-2c3m2-3c3-sew3-4", "9x7x1-2c3m2-2c3-4-5r", "5-4-3",
    "9x7x1-2c3-mp3s2p1-3c3m3s2p1-4",
])  # fmt: skip
@pytest.mark.parametrize("norm", ["none", "bn"])
@pytest.mark.parametrize("train, update", [(True, True), (True, False), (False, True)])
def test_phases_keep_the_tokens_in_balance(text, norm, train, update):
    """Of networks with norms and windows: in every phase by itself, so that a barrier leaves nothing behind."""
    network = with_norm(Network.parse(text), norm)
    sizes = {"spike_words": 8192, "error_words": 8192, "program_words": 1024, "jobs": 256, "walks": 2, "pool": 2}
    windows = {"join": 3, "overlap": True, "winner_words": 8192}
    cfg = CoreConfig.preset("TINY", sum_words=8192, batch_norm=True, window=3, **windows, **sizes)
    plan = ChipPlan(network, cfg, minibatch=20)
    taken, given = _balance(plan, train, update)
    assert len(plan.programs(train, update)[0].phases) == 1 + 2 * len(network.norms) * train
    assert given.pop(("host", Token.INPUT_FREE, 0)) == 1
    given[0, Token.INPUT_READY0, 0] += 1  # the host's
    assert +taken == +given


def test_programs_have_what_their_mode_needs():
    plan = ChipPlan(Network.parse("4-3-2"), CoreConfig.preset("TINY"))
    for mode in ((True, True), (True, False), (False, True)):
        (program,) = plan.programs(*mode)
        ((loops, after),) = program.phases
        words = [INSTRUCTION.unpack([word]) for word in program.words[SETUP.words :]]
        opcodes = [word["opcode"] for word in words]
        assert opcodes.count(Opcode.HALT) == len(QUEUES)
        for n, queue in enumerate(QUEUES):  # every queue: its loop, if it has one, then what follows, up to HALT
            assert words[n]["opcode"] == Opcode.JUMP
            at = words[n]["job"] - SETUP.words
            if loops[queue]:
                assert words[at]["opcode"] == Opcode.ENTER
                end = words[at]["job"] - SETUP.words
                assert words[end - 1] == {"opcode": Opcode.LOOP, "job": at + 1 + SETUP.words}
                found = [(word["opcode"], word["job"]) for word in words[at + 1 : end - 1]]
                assert found == loops[queue]
                at = end
            found = [(word["opcode"], word["job"]) for word in words[at : at + len(after[queue])]]
            assert found == after[queue] and found[-1][0] == Opcode.HALT
            assert all(QUEUE_OF.get(opcode, (n,))[0] == n for opcode, _ in found)
        assert program.words[: SETUP.words] == SETUP.pack(**SETUP.unpack(program.words[: SETUP.words]))


def test_job_numbers_and_names():
    chip = ChipPlan(Network.parse("8x8x1-4c3-10"), CoreConfig.preset("SMALL"))
    (plan,) = chip.plans
    kinds = *WALKS, *UPDATES
    own = [(kind, n) for kind in kinds for n in (0, 1) if (kind, n) != ("backward", 1)]  # the loss makes its errors
    numbers = {*map(plan.job, SINGLE), *(plan.job(*names) for names in own)}
    assert numbers == set(range(len(SINGLE) + len(own)))
    assert plan.describe_job(plan.job("errors")) == "loss of layer 2 (linear 256→10)"
    assert plan.describe_job(plan.job("weight_grad", 1)) == "weight_grad of layer 2 (linear 256→10)"
    assert plan.describe_job(plan.job("update_bias", 0)).startswith("update of layer 1 (conv 8x8x1→4")
    (program,) = chip.programs(train=True)
    jobs = chip.jobs(0, program, *_constants(plan.cfg.format))
    assert set(jobs) == set(program.tokens) <= numbers
    job = JOB.unpack(jobs[plan.job("forward", 0)])
    names = ("last_tap", "origin", "stride2", "src_y", "last_y", "last_x")
    assert [job[name] for name in names] == [2, -1 % 64, 0, 8, 6, 6]
    assert JOB.unpack(jobs[plan.job("update", 1)])["exponent"] == (-7) & 0xFF  # 0.01 = 1.28 * 2**-7


def test_pooled_layers_have_a_job_more():
    (plan,) = ChipPlan(Network.parse("8x8x1-4c3-mp2-10"), CoreConfig.preset("SMALL", pool=2)).plans
    assert plan.describe_job(plan.job("pool", 0)).startswith("pool of the spikes of layer 1 (conv 8x8x1→4")
    job = plan.jobs(*_constants(plan.cfg.format))[plan.job("pool", 0)]
    assert (job["src_y"], job["src_x"], job["groups"], job["count"]) == (4, 4, 1, 8)
    assert job["dst"] == plan.layers[1].inputs[0].base != plan.layers[0].spikes.base == job["src"]
    with pytest.raises(KeyError):
        plan.job("pool", 1)


def test_slices_have_their_own_jobs():
    """Layer 2 on two cores: where their spikes go, and whom their errors go to."""
    network = Network.parse("6-8-8-3")
    cfg = CoreConfig.preset("TINY", program_words=64, jobs=64)
    mesh = mesh_for(cfg, MeshConfig(width=2, height=2))
    chip = ChipPlan(network, cfg, mesh, Partition.parse("1,2/2,3", network, cfg.lanes), (3, 0, 1, 2))
    assert [plan.describe_job(plan.job("owner", 0)) for plan in chip.plans[1:]] == [
        f"backward to core 0 of the stage before of layer {n} ({layer})"
        for n, layer in ((2, chip.plans[1].layers[0].layer), (2, chip.plans[2].layers[0].layer),
                         (3, chip.plans[3].layers[0].layer))
    ]  # fmt: skip
    fmt = cfg.format
    constants = NeuronConstants.of(NeuronSettings(), fmt), UpdateConstants.of(0.9, 0.01, 1, fmt)
    jobs = [
        {number: JOB.unpack(words) for number, words in chip.jobs(core, program, *constants).items()}
        for core, program in enumerate(chip.programs(train=True))
    ]
    sends = [jobs[core][chip.plans[core].job("send")] for core in range(4)]
    base = chip.plans[3].input.base
    assert [send["dst"] - base for send in sends[1:3]] == [0, 2]  # two blocks of each pixel are the first core's
    assert [_targets(chip, send["target"]) for send in sends] == [[1, 2], [3], [3], ["host"]]
    chain = [jobs[core][chip.plans[core].job("owner", 0)] for core in (1, 2)]
    assert [job["take"] for job in chain] == [0, 1]
    assert [(_targets(chip, job["target"]), job["channel"]) for job in chain] == [
        ([2], Rows.PARTIALS), ([0], Rows.ERRORS),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "placement, words",
    [
        ((0,), "a placement of 2 cores names 2 mesh cores, not 1"),
        ((0, 4), "puts core 1 on mesh core 4, but the mesh 2x2 has cores 0 to 3"),
        ((2, 2), "the placement names mesh core 2 twice, for cores 0 and 1"),
    ],
)
def test_placements_that_make_no_sense_are_refused(placement, words):
    network, cfg = Network.parse("4-4-2"), CoreConfig.preset("TINY")
    mesh = mesh_for(cfg, MeshConfig(width=2, height=2))
    with pytest.raises(TridentError, match=words):
        ChipPlan(network, cfg, mesh, Partition.parse("1,2", network, cfg.lanes), placement)


def test_partitions_that_do_not_fit_the_mesh_are_refused():
    network, cfg = Network.parse("4-4-2"), CoreConfig.preset("TINY")
    partition = Partition.parse("3x1,2", network, cfg.lanes)
    with pytest.raises(TridentError, match="partition 3x1,2 needs 6 cores, the mesh of 2x2 has 4"):
        ChipPlan(network, cfg, mesh_for(cfg, MeshConfig(width=2, height=2)), partition)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("lanes", [1, 2, 8])
def test_weights_come_back_from_their_rows(network, lanes):
    cfg, rng = CoreConfig(lanes=lanes, weight_rows=8), np.random.default_rng(1)
    for layer in Network.parse(network).layers:
        layout = WeightMap(layer, cfg)
        weights = rng.integers(1, 1 << 16, layer.weight_shape).astype(np.uint32)
        biases = rng.integers(1, 1 << 16, layer.out_channels).astype(np.uint32)
        rows = layout.pack(weights, biases)
        assert rows.shape == (layout.rows, lanes)
        assert (rows != 0).sum() == weights.size + biases.size
        back = layout.unpack(words_to_rows(rows_to_words(rows, cfg), cfg))
        assert (back[0] == weights).all() and (back[1] == biases).all()


@pytest.mark.parametrize("lanes, steps", [(1, 1), (2, 5), (8, 8), (16, 3)])
def test_spikes_come_back_from_their_words(lanes, steps):
    cfg = CoreConfig(lanes=lanes, timesteps=steps, weight_rows=16)
    spikes = np.random.default_rng(2).integers(0, 2, (3, steps, 4, 5, 11)).astype(np.uint8)
    words = pack_spikes(spikes, cfg)
    for sample, packed in zip(spikes, words, strict=True):
        assert (unpack_spikes(packed, (4, 5, 11), cfg) == sample.transpose(1, 2, 0, 3)).all()


def test_fields_refuse_what_they_cannot_hold():
    assert HEADER.unpack(HEADER.pack(packet=Packet.READ, space=3, address=70000)) == {
        "mode": 0, "x": 0, "y": 0, "packet": Packet.READ, "space": 3, "address": 70000,
    }  # fmt: skip
    with pytest.raises(TridentError, match="header: address of 131072 does not fit its 17 bits"):
        HEADER.pack(address=1 << 17)
    with pytest.raises(TridentError, match="job has no field kernels"):
        JOB.pack(kernels=3)


def test_bounds_are_twos_complement():
    assert [signed_field("origin", value) for value in (-32, -1, 0, 31)] == [32, 63, 0, 31]
    for value in (-33, 32):
        with pytest.raises(TridentError, match=f"^origin of {value} in a job is not within -32 to 31$"):
            signed_field("origin", value)


@pytest.mark.parametrize("kernel, stride, padding", [(1, 1, 0), (3, 1, 1), (5, 2, 1), (7, 2, 6)])
def test_bounds_of_walks(kernel, stride, padding):
    """From ``origin`` on, so many steps lead to ``last_y`` and ``last_x`` as the image that is walked has positions."""
    plan = _plan(f"9x6x1-2c1-3c{kernel}s{stride}p{padding}-3")
    layer, jobs = plan.layers[1].layer, plan.jobs(*_constants(plan.cfg.format))
    for kind, image, step in (("forward", layer.out_shape, stride), ("weight_grad", layer.out_shape, stride),
                              ("backward", layer.in_shape, 1)):  # fmt: skip
        job = jobs[plan.job(kind, int(kind != "backward"))]
        origin = job["origin"] - 64 * (job["origin"] > 31)
        assert origin == (padding if kind == "backward" else -padding) and job["last_tap"] == kernel - 1
        for name, size in (("last_y", image[0]), ("last_x", image[1])):
            last = job[name] - 1024 * (job[name] > 511)
            assert list(range(origin, last + 1, step))[-1] == last and len(range(origin, last + 1, step)) == size


@pytest.mark.parametrize("lanes, places", [
    (1, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]), (2, [0, 2, 1, 3, 4, 6, 5, 7, 8, 10]), (4, [0, 4, 1, 5, 2, 6, 3, 7, 8, 12]),
    (8, [0, 8, 1, 9, 2, 10, 3, 11, 4, 12]),
])  # fmt: skip
def test_voters_are_in_the_lane_of_their_class(lanes, places):
    """Two of each of five classes, whose groups lie side by side; weights and biases are found where they were put."""
    layer = Network.parse("3-10v2").layers[0]
    weights = WeightMap(layer, CoreConfig(lanes=lanes))
    assert weights.out_channels.tolist() == places and weights.groups == 2 * -(-5 // lanes)
    values, biases = np.arange(1, 31).reshape(1, 3, 10), np.arange(31, 41)
    rows = weights.pack(values, biases)
    assert np.count_nonzero(rows) == 40
    assert all((found == own).all() for found, own in zip(weights.unpack(rows), (values, biases), strict=True))
