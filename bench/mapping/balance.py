"""How evenly large networks are cut for a mesh, in work and in memory, and what is predicted of them."""

from collections.abc import Iterator
from time import process_time

from trident.host.cli.balance import BATCH, DEFAULT, core_for
from trident.host.mapping.balance.demand import demands
from trident.host.mapping.balance.forecast import BALANCED, DENSITY, MIB, balance
from trident.host.mapping.balance.spread import spread
from trident.host.report.figure import Figure
from trident.hw.isa.mesh import MeshConfig, mesh_for
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings

NETWORKS = {
    "resnet18": DEFAULT,
    "vgg16": "224x224x3-64c3-64c3-mp2-128c3-128c3-mp2-256c3-256c3-256c3-mp2-512c3-512c3-512c3-mp2-512c3-512c3-512c3"
    "-mp2-4096-4096-1000r",
}  # fmt: skip
SIDE = 8


def measure_balance(only: str) -> Iterator[Figure]:
    """S-ResNet18 and S-VGG16 on 64 cores: the largest core's work, and its memory, over the mean; what that costs in
    copies; the predicted step; the same if work alone is balanced."""
    for name, net in NETWORKS.items():
        figure = f"map.balance.{name}"
        if not (figure.startswith(only) or only.startswith(figure)):
            continue
        network, began = Network.parse(net, bias=False), process_time()
        cfg = core_for(network, NeuronSettings(), None, {})
        result = balance(network, cfg, mesh_for(cfg, MeshConfig(width=SIDE, height=SIDE)), BATCH)
        seconds, found = process_time() - began, result.found
        yield Figure(figure, "ratio", found.worst, "lower", BALANCED)
        yield Figure(f"{figure}.work", "ratio", found.work_balance, "lower", BALANCED)
        yield Figure(f"{figure}.storage", "ratio", found.storage_balance, "lower", BALANCED)
        yield Figure(f"{figure}.replicas", "copies", result.replicas, "lower")
        yield Figure(f"{figure}.copies", "ratio", found.copies, "lower")
        yield Figure(f"{figure}.largest", "MiB", float(found.bits.max()) / MIB, "lower")
        yield Figure(f"{figure}.cycles", "cycles", result.period, "lower")
        yield Figure(f"{figure}.of_zigzag", "ratio", result.load.flit_hops / result.zigzag.flit_hops, "lower")
        yield Figure(f"{figure}.seconds", "s", seconds, "lower")
        alone = spread(demands(network, cfg, DENSITY, SIDE**2), SIDE**2, storage=False)
        yield Figure(f"{figure}.work_alone.storage", "ratio", alone.storage_balance, "lower")
        yield Figure(f"{figure}.work_alone.cycles", "cycles", float(alone.work.max()), "lower")
