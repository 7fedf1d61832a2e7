"""The forecast for cores with a controller against cycles that the cores count; what the controller costs is fitted."""

import pytest

from trident.bench.chip.meshes import simulate
from trident.host.mapping.chip_choice import ChipChoice
from trident.host.mapping.firmware_cycles import jobs, row_packets
from trident.host.train.spec import RunSpec
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig, mesh_for
from trident.snn.network.defaults import DEEP
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition

TOLERANCE = 0.25


@pytest.mark.slow
@pytest.mark.parametrize(
    "size, net, partition",
    [("2x2", "8x8x1-6c3s2-8c3s2-10", "1,2/4+4,3"), ("2x2", "8x8x1-6c3s2-8c3s2-10", "4x1-3")],
)
def test_a_minibatch_takes_about_as_long_as_predicted(size, net, partition):
    cfg = CoreConfig.preset("COMPACT")
    width, height = map(int, size.split("x"))
    built = cfg, mesh_for(cfg, MeshConfig(width=width, height=height))
    spec = RunSpec.make(
        net=net, neuron=DEEP.neuron, train={"batch": 16}, chip=ChipChoice(size, partition=partition), built=built
    )
    measured, _ = simulate(spec)
    assert spec.forecast.per_sample == pytest.approx(measured, rel=TOLERANCE)


def test_packets_of_rows_by_hand():
    cfg, mesh = CoreConfig.preset("COMPACT"), mesh_for(CoreConfig.preset("COMPACT"))
    # Passes of 4 channels of 4 timesteps, 14 rows to a packet
    assert row_packets(cfg, mesh, 16, 3) == 16 * 1
    assert row_packets(cfg, mesh, 16, 4) == 16 * 2
    assert row_packets(cfg, mesh, 4, 12) == 4 * (2 + 2 + 2)


def test_jobs_by_hand():
    network = Network.parse("8x8x1-6c3s2-8c3s2-10")
    first, second = Partition.parse("1,2-3", network, 1).stages
    assert jobs(first, ()) == 4  # forward, weight_grad, receive, send
    assert jobs(second, (0, 6)) == 2 * 3 + 2
    assert jobs(second, (0, 3, 6)) == 2 * 3 + 3
