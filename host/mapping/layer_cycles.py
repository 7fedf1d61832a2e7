"""Cycles of every layer per sample, as the cost model has them."""

from trident.host.mapping.cost import CostModel
from trident.host.mapping.prediction import receiving, slices
from trident.snn.network.partition import Partition


def layer_cycles(cost: CostModel, partition: Partition, batch: int) -> list[dict[str, float]]:
    """Per layer the cycles of a sample: of ``forward``, with its neurons and its share of a norm; of ``backward``,
    which makes the layer's errors, with a norm, or of the loss; of ``weight_grad``. Where a layer is split over cores,
    of the core with the most."""
    layers, found = cost.network.layers, []
    for number, stage in enumerate(partition.stages):
        after = partition.after(number, cost.network)
        for n in stage.layers:
            layer = layers[n]
            shares = list(slices(stage)) if n == stage.last else [(0, layer.out_channels)]
            readers = cost.network.spike_readers[n]
            local = not layer.fires or (bool(readers) and readers[0].number in stage.layers)
            above = None if after is None else partition.stages[after]
            cycles = {
                "forward": max(cost.forward(n, *share) for share in shares),
                "backward": cost.backward(n) if local else max(receiving(cost, stage, above)),
                "weight_grad": max(cost.weight_grad(n, *share) for share in shares),
            }
            if layer.keeps_sums:
                cycles["forward"] += cost.fire(n)
            if layer.norm:
                cycles["forward"] += cost.norm(n, batch, backward=False) / batch
                cycles["backward"] += cost.norm(n, batch, backward=True) / batch
            found.append(cycles)
    return found
