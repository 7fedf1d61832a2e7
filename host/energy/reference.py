"""The reference's cost model (NeuroMC, arXiv 2412.05302): a dense dataflow, priced by layer and pass.

Every multiply-accumulate is counted, whether a spike or an error is zero or not; DRAM and the network on chip cost
nothing. An array sums up 16 channels at once; what it has summed goes to a memory of sums and comes back for the next
16 channels and for the next tap. It is here to compare with: figures of the chip itself are in
:mod:`host.energy.chip`.
"""

from dataclasses import dataclass
from math import ceil, prod

from trident.host.energy.counts import Counts
from trident.snn.network.kernel import PIXEL, Kernel

CHANNELS = 16  # that the array sums up, or shares an operand between, at once
WORD = 16  # bits of a number


@dataclass(frozen=True)
class DenseLayer:
    """A convolution of ``inputs`` to ``outputs`` channels whose output has ``height`` x ``width`` pixels; a linear
    layer is one of a pixel. values: it reads numbers instead of spikes. groups: parts of the channels that are not
    joined."""

    inputs: int
    outputs: int
    height: int = 1
    width: int = 1
    kernel: Kernel = PIXEL
    timesteps: int = 1
    samples: int = 1
    values: bool = False
    groups: int = 1

    @property
    def weights(self) -> int:
        return self.inputs * self.outputs * self.kernel.taps // self.groups

    @property
    def results(self) -> int:
        """Sums that leave it, over all samples and timesteps."""
        return self.samples * self.timesteps * self.outputs * self.height * self.width

    @property
    def read(self) -> int:
        """Values that it reads, over all samples and timesteps."""
        return self.samples * self.timesteps * self.inputs * self.height * self.width * prod(self.kernel.stride)

    @property
    def macs(self) -> int:
        """Dense multiply-accumulates of one pass."""
        return self.results * self.inputs * self.kernel.taps // self.groups

    @property
    def input_bits(self) -> int:
        return WORD if self.values else 1


def forward(layer: DenseLayer) -> Counts:
    """Sums of inputs times weights."""
    counts = Counts()
    counts.do(layer.macs, "add", "multiply" if layer.values else "select")
    _sums(counts, layer, "weights" if layer.values else "spikes", layer.inputs, layer.results, layer.input_bits)
    return counts


def backward(layer: DenseLayer) -> Counts:
    """Errors times transposed weights. The reference takes as many additions as forward has, at any stride."""
    counts = Counts()
    counts.do(layer.macs, "add", "multiply")
    _sums(counts, layer, "errors", layer.outputs, layer.read, WORD)
    return counts


def _sums(counts: Counts, layer: DenseLayer, source: str, channels: int, results: int, bits: int):
    """Registers and memories of a pass that sums up over ``channels`` of ``source``, ``bits`` each, and the kernel."""
    # Of a sum, each of which is a round trip to memory
    parts = ceil(channels // layer.groups / CHANNELS) * layer.kernel.taps
    again, streamed = results * (parts - 1), results * parts
    counts.access("register", layer.macs * bits, layer.macs * bits)  # operands
    counts.access("register", layer.weights * WORD, layer.weights * WORD)
    counts.access("register", (2 * layer.macs - results) * WORD, (layer.macs + again) * WORD)  # sums
    counts.access("weights", layer.weights * WORD)
    counts.access(source, streamed * bits)
    counts.access("sums", again * WORD, streamed * WORD)


def weight_grad(layer: DenseLayer) -> Counts:
    """Inputs times errors."""
    counts, bits = Counts(), layer.input_bits
    counts.do(layer.macs, "add", "multiply" if layer.values else "select")
    counts.access("register", layer.macs * (bits + WORD), layer.macs * (bits + WORD))  # operands
    counts.access("register", layer.macs * WORD, layer.macs * WORD)  # sums
    inputs, outputs = (min(channels // layer.groups, CHANNELS) for channels in (layer.inputs, layer.outputs))
    counts.access("errors" if layer.values else "spikes", ceil(layer.macs / outputs) * bits)
    counts.access("errors", ceil(layer.macs / inputs) * WORD)
    counts.access("gradients", 0, layer.weights * WORD)
    return counts


def through_global(layer: DenseLayer) -> Counts:
    """What an earlier mapping of the reference's authors has beside :func:`forward`: weights and the spikes that leave
    the layer each take one access of the global memory. Found from their figures, not published."""
    counts = Counts()
    counts.access("optimizer", 0, layer.weights * WORD + layer.results)
    return counts


PASSES = {"forward": forward, "backward": backward, "weight_grad": weight_grad}
"""The passes of a layer by name."""


def neurons(elements: int) -> Counts:
    """So many neurons for a timestep: potential, spike and mask, by one addition and one multiplication."""
    counts = Counts()
    counts.do(elements, "select", "add", "multiply")
    counts.do(3 * elements, "compare")
    for memory, bits, reads in (("sums", WORD, 1), ("potentials", WORD, 1), ("spikes", 1, 1), ("masks", 1, 0)):
        for at in ("register", memory):
            counts.access(at, elements * bits * reads, elements * bits)
    return counts


def neuron_errors(elements: int) -> Counts:
    """Errors at the potentials of so many neurons for a timestep."""
    counts = Counts()
    counts.do(elements, "select")
    counts.do(2 * elements, "add")
    counts.do(4 * elements, "multiply")
    for memory, bits in (("sums", WORD), ("potentials", WORD), ("spikes", 1), ("masks", 1), ("potentials", WORD)):
        for at in ("register", memory):
            counts.access(at, elements * bits)
    counts.access("register", 0, elements * WORD)
    counts.access("potentials", 0, elements * WORD)
    return counts


def norm(elements: int, channels: int) -> Counts:
    """Batch norm of so many values, with sums of so many channels, each of which counts once per timestep."""
    counts = Counts()
    counts.do(3 * elements + 2 * channels, "add")
    counts.do(3 * elements + 4 * channels, "multiply")
    counts.do(channels, "square_root")
    for at in ("register", "statistics"):
        counts.access(at, (2 * elements + 6 * channels) * WORD, (2 * elements + 3 * channels) * WORD)
    return counts


def norm_errors(elements: int, channels: int) -> Counts:
    """Errors in front of a batch norm."""
    counts = Counts()
    counts.do(7 * elements, "add")
    counts.do(3 * elements + 22 * channels, "multiply")
    for at in ("register", "statistics"):
        counts.access(at, (8 * elements + 8 * channels) * WORD, (2 * elements + 5 * channels) * WORD)
    return counts


def adam(weights: int, vectors: int) -> Counts:
    """A step of Adam on so many weights and on so many gains, offsets and biases, with states of 32 bits. The reference
    prices each of the latter twice."""
    counts, parameters = Counts(), weights + 2 * vectors
    counts.do(4 * weights + 8 * vectors, "add")
    counts.do(11 * weights + 22 * vectors, "multiply")
    counts.do(weights + 2 * vectors, "square_root")
    for at in ("register", "optimizer"):
        counts.access(at, 6 * parameters * 2 * WORD, 5 * parameters * 2 * WORD)
    return counts


def efficiency(macs: float, energy: float) -> float:
    """TFLOPS/W of so many multiply-accumulates, each two operations, that take ``energy`` pJ; infinite if they take
    none."""
    return 2 * macs / energy if energy else float("inf")

