"""Networks in time: cores take what is predicted, links that are too slow are felt, the objective never loses."""

from dataclasses import replace

import numpy as np
import pytest

from trident.host.compile.sizing import configure
from trident.host.mapping.activity import measure_data
from trident.host.mapping.balance.forecast import balance
from trident.host.mapping.balance.timed import workload_of as pieces_in_time
from trident.host.mapping.cost import CostModel
from trident.host.mapping.mapper import make_map
from trident.host.mapping.placement import Placing, place
from trident.host.mapping.prediction import predict
from trident.host.mapping.timing.partition import workload_of
from trident.host.mapping.timing.simulate import Timing
from trident.host.mapping.timing.workload import GRADIENTS, PACKETS, SPIKES, Stream, Unit, Workload
from trident.host.mapping.traffic import traffic
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig, mesh_for
from trident.hw.noc.topology import HOST
from trident.snn.data.dataset import load
from trident.snn.network.defaults import DEEP
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition
from trident.snn.neuron_settings import NeuronSettings

MESH = MeshConfig(width=5, height=4)
BATCH = 16
SMALL = CoreConfig.preset("SMALL", timesteps=4, lanes=16, words=8, accumulators=64)


@pytest.fixture(scope="module")
def cost():
    """The deep network's cores, with the spikes of digits."""
    cfg = configure(DEEP.preset, **DEEP.core)
    network = Network.parse(DEEP.net)
    activity = measure_data(network, cfg, NeuronSettings(**DEEP.neuron), load("digits"))
    return CostModel(network, cfg, activity, mesh_for(cfg, MESH))


@pytest.mark.parametrize("partition", ["1,2/2+2+2+2,3/4+4,4/6+6,5-6", "2x1,2/2+2+2+2,3/4+4,4/6+6,5-6", "4x1-2,3,4,5-6"])
def test_cores_take_the_cycles_that_are_predicted(cost, partition):
    """Where links are hardly ever busy, the pipeline, the gradients of replicas and the update are those of the
    prediction, which knows no links."""
    given = Partition.parse(partition, cost.network, cost.cfg.lanes)
    expected = predict(cost, given, BATCH)
    flows = traffic(cost.network, given, cost.cfg, cost.mesh, BATCH)
    timing = Timing(workload_of(cost, given, expected, flows))
    assert timing(range(given.cores)) == pytest.approx(expected.per_sample, rel=0.05)
    assert timing(range(given.cores)) == timing(range(given.cores))


def chain(units: int, flits: int, samples: int = 8) -> Workload:
    """Cores in a row, each of which computes for 100 cycles and sends so many flits to the next."""
    own = [Unit(n, 100, 0, 0, 0, 0, 0, 15, 2, samples) for n in range(units)]
    ends = zip([HOST, *range(units - 1)], range(units))
    streams = [Stream(SPIKES, a, (b,), -(-flits // 8), flits, flits) for a, b in ends]
    return Workload(MESH, units, tuple(own), tuple(streams), False, False, samples, 0.0, (1,) * 5)


def test_a_link_that_is_too_slow_is_felt():
    """The first of eight samples is sent and computed with three times; each of the others follows when the slower of
    both is done."""
    for flits in (40, 400):
        cycles = Timing(chain(3, flits))(range(3)) * 8
        assert cycles == pytest.approx(3 * (flits + 100) + 7 * max(flits, 100), rel=0.05)


def test_a_link_that_two_share_takes_twice_as_long():
    """Two pairs of cores on one row: side by side, or one within the other."""
    own = tuple(Unit(n, 1, 0, 0, 0, 0, 0, 15, 2, 8) for n in range(4))
    streams = [Stream(SPIKES, n, (n + 1,), 50, 400, 400) for n in (0, 2)]
    timing = Timing(Workload(MESH, 4, own, tuple(streams), False, False, 8, 0.0, (1,) * 5))
    apart, together = timing((0, 1, 2, 3)), timing((0, 2, 1, 3))
    assert apart == pytest.approx(400, rel=0.05) and together == pytest.approx(800, rel=0.05)


def test_a_core_waits_for_room_at_its_receiver():
    """A receiver with one slot takes a sample when it has done with the one before."""
    def cycles(slots):
        streams = (Stream(SPIKES, HOST, (0,), 1, 2, 2), Stream(SPIKES, 0, (1,), 20, 160, 160))
        units = (Unit(0, 10, 0, 0, 0, 0, 0, 15, 2, 8), Unit(1, 300, 0, 0, 0, 0, 0, slots, 2, 8))
        return Timing(Workload(MESH, 2, units, streams, False, False, 8, 0.0, (1,) * 5))((0, 1))

    assert cycles(2) * 8 == pytest.approx(2 + 10 + 160 + 8 * 300, rel=0.05)
    assert cycles(1) * 8 == pytest.approx(2 + 10 + 8 * (160 + 300), rel=0.05)


def test_gradients_go_from_replica_to_replica_and_back():
    """The last of them begins to send them back when the first has sent nearly all."""
    units = tuple(Unit(n, 100, 0, 0, 0, 0, 0, 15, 2, 1) for n in range(3))
    streams = [Stream(GRADIENTS, n, (n + 1,), 40, 320, 1000) for n in (0, 1)]
    timing = Timing(Workload(MESH, 3, units, tuple(streams), False, False, 3, 7.0, (1,) * 5))
    assert timing((0, 1, 2)) * 3 == pytest.approx(100 + 1000 + 7, rel=0.05)


def test_large_workloads_are_simulated_in_small():
    whole = chain(4, 4000, 400)
    assert sum(stream.packets for stream in whole.image.streams) * whole.image.samples <= 1.1 * PACKETS
    assert whole.image.scale > 1 and whole.image.samples < whole.samples
    less = replace(whole, units=tuple(replace(unit, samples=8) for unit in whole.units), batch=8)
    assert less.image.scale == 1 and less.image.samples == 8
    assert Timing(whole)(range(4)) == pytest.approx(4000, rel=0.05)
    assert Timing(less)(range(4)) == pytest.approx(4000 * 11 / 8, rel=0.05)


def test_pieces_that_share_a_core_take_turns():
    network = Network.parse("64x64x3-64c3-64c3-128c3s2-128c3-256-10", bias=False)
    mesh = mesh_for(SMALL, MeshConfig(width=4, height=4))
    found = balance(network, SMALL, mesh, 8, Placing(budget=0.01))
    workload = pieces_in_time(network, found.found, found.replicas, SMALL, mesh, 8)
    assert len(workload.units) > found.cores and {unit.core for unit in workload.units} == set(range(16))
    period = Timing(workload)(found.placement)
    assert 0.97 * found.period < period < 1.5 * found.period  # the busiest core's cycles, and what it waits


def test_latency_is_an_objective_that_never_loses(cost):
    """A placement for it takes no more cycles than that for flits x hops of the same seed; and its own again."""
    partition = "1,2/2+2+2+2,3/4+4,4/6+6,5-6"
    maps = [
        make_map(cost, cost.mesh, BATCH, None, partition, Placing(objective=objective, budget=0.02), 1)
        for objective in ("flit-hops", "latency", "latency")
    ]
    timing = maps[1].timing
    assert maps[0].timing is None and maps[1].placement == maps[2].placement
    assert maps[1].per_sample == timing(maps[1].placement) < timing(maps[0].placement)
    assert maps[1].per_sample < np.mean([
        timing(place(Placing("random"), maps[1].traffic, maps[1].mesh, seed)) for seed in range(3)
    ])  # fmt: skip


def test_a_network_that_waits_for_itself_is_refused():
    units = tuple(Unit(n, 10, 0, 0, 0, 0, 0, 2, 2, 4) for n in range(2))
    circle = tuple(Stream(SPIKES, n, (1 - n,), 1, 4, 4) for n in range(2))
    timing = Timing(Workload(MESH, 2, units, circle, False, False, 4, 0.0, (1,) * 5))
    with pytest.raises(TridentError, match="its cores wait for each other"):
        timing((0, 1))
