"""What leaves a chip in a training step, and what a GPU moves for the same step: bytes between chip and DRAM.

A model of traffic, by what must be stored and how often it is read, without a simulation: nothing of it is RTL yet. A
tensor of a minibatch that fits the chip beside the weights of its layer stays there.
"""

from collections import Counter
from dataclasses import dataclass

from trident.snn.network.layers import Layer
from trident.snn.network.network import Network

WORD = 2  # bytes of a weight, a momentum, a sum, an error
KEPT = 0.75  # of the chip's memory, for what stays there; the rest is slots of samples under way


@dataclass(frozen=True)
class Step:
    """A training step: samples of a minibatch, timesteps, and bytes of memory of the chip."""

    network: Network
    samples: int
    timesteps: int
    memory: float

    @property
    def times(self) -> int:
        """Pictures of a layer: samples and timesteps."""
        return self.samples * self.timesteps

    def inputs(self, layer: Layer) -> int:
        """Values that a layer reads, once per sample and timestep; those of a mean are its pixels' mean."""
        y, x, channels = layer.in_shape
        return y * x * channels

    def outputs(self, layer: Layer) -> int:
        """Sums of a layer."""
        y, x, channels = layer.sum_shape
        return y * x * channels

    def input_bits(self, layer: Layer) -> int:
        """Bits of a value that a layer reads: of sums of spikes, of their largest."""
        return len(layer.sources).bit_length()

    def fits(self, size: float, layer: Layer) -> bool:
        """Whether so many bytes stay on the chip beside the layer's weights."""
        return size + WORD * layer.fan_in * layer.out_channels <= KEPT * self.memory


@dataclass(frozen=True)
class Order:
    """An order in which a chip does a training step.

    meaning: as tables say it. keeps: spikes and masks are all that goes out, everything else stays. errors: how often
    an error is read that does not fit. sums: how often a sum is written and read. again: sums are computed again from
    the spikes, which are read so often more. grouped: the first layers whose weights and gradients fit together run as
    a pipeline, so nothing between them leaves. named: everything that the reference's model names is stored: centred
    sums, potentials, errors of potentials, and an optimiser of 32 bits.
    """

    meaning: str
    keeps: bool = False
    errors: int = 1
    sums: int = 0
    again: int = 0
    grouped: bool = False
    named: bool = False


ORDERS = {
    "ideal": Order("every spike and mask once out and in, no errors", keeps=True),
    "pipelined": Order("layer by layer, the first layers as a pipeline; weight standardisation", grouped=True),
    "serial": Order("layer by layer; weight standardisation"),
    "again": Order("layer by layer; batch norm, sums computed again", errors=2, again=3),
    "stored": Order("layer by layer; batch norm, sums stored", errors=2, sums=4),
    "named": Order("all that the reference's model names is stored, Adam", errors=2, sums=5, named=True),
}
"""Orders of a chip by name, from the least traffic on."""


def chip_traffic(step: Step, order: Order) -> Counter:
    """Bytes that leave the chip and come back, by what they are."""
    found: Counter = Counter()
    held, grouped = 0.0, order.grouped
    for layer in step.network.layers:
        weights = WORD * layer.fan_in * layer.out_channels
        held += 2 * weights  # with their gradients
        grouped = grouped and held <= KEPT * step.memory
        values, sums = step.inputs(layer) * step.times, step.outputs(layer) * step.times
        first, fires = None in layer.sources, not layer.readout
        spikes = sums / 8 if fires else 0.0
        read = values * step.input_bits(layer) / 8
        found["weights"] += 3 * weights  # forward, backward, and back from the update
        found["momenta"] += 12 * weights if order.named else 2 * weights
        found["masks"] += 2 * spikes
        if first:  # a byte each, by forward and by weight_grad
            found["samples"] += step.inputs(layer) * step.samples * (4 if order.again else 2)
        found["spikes"] += 2 * spikes
        if order.keeps:
            continue
        if not first:
            found["spikes"] += read * (1 if grouped else 2)
        if grouped or not fires:
            continue
        away = not step.fits(WORD * sums, layer)
        found["errors"] += WORD * sums * (1 + order.errors) * away
        found["sums"] += WORD * sums * order.sums * away
        if order.named:
            found["potentials"] += WORD * sums * (2 + 2) * away  # and their errors
        if order.again and not first:
            found["spikes"] += read * order.again
    return +found


@dataclass(frozen=True)
class Gpu:
    """A GPU without cache hits: ``fused`` neurons are a kernel each way, others one for each operation; ``bytes_`` of a
    number."""

    fused: bool
    bytes_: int

    @property
    def name(self) -> str:
        return f"GPU, {'fp16' if self.bytes_ == 2 else 'fp32'}, {'fused' if self.fused else 'eager'} neurons"

    @property
    def neuron_accesses(self) -> int:
        """Reads and writes of a neuron and timestep, forward and backward, in PyTorch and SpikingJelly."""
        return 1 + 3 + 3 + 1 if self.fused else 14 + 10 + 22 + 14


GPUS = tuple(Gpu(fused, size) for fused in (True, False) for size in (2, 4))


def gpu_traffic(step: Step, gpu: Gpu) -> Counter:
    """Bytes that a GPU moves for the step, by kind of layer: three passes of a convolution, batch norm, neurons, pools
    and additions, SGD with states of 32 bits."""
    found: Counter = Counter()
    size = gpu.bytes_
    for layer in step.network.layers:
        weights = layer.fan_in * layer.out_channels
        values, sums = step.inputs(layer) * step.times, step.outputs(layer) * step.times
        passes = 2 if None in layer.sources else 3
        found["convolutions"] += size * passes * (values + sums) + (size * 2 + 4) * weights
        found["optimiser"] += 6 * 4 * weights
        if layer.readout:
            continue
        found["neurons"] += size * sums * gpu.neuron_accesses
        if layer.kind == "conv":
            found["norms"] += size * sums * (3 + 5)
        if layer.pool > 1 or layer.windows:
            y, x, channels = layer.pooled_shape
            pooled = y * x * channels * step.times
            found["pools and additions"] += 2 * size * (sums + pooled) + 2 * 8 * pooled
    for adds in _additions(step.network):
        found["pools and additions"] += size * 6 * step.times * step.outputs(adds)
    return +found


def _additions(network: Network) -> list[Layer]:
    """For every sum of spikes, the layer that comes last in it."""
    sums = {layer.sources for layer in network.layers if len(layer.sources) > 1}
    return [network.layers[max(source for source in sources if source is not None)] for sources in sums]
