"""The forward engine: ``x[t] = W * s[t] + b``, spikes select the rows of weights that are added."""

from amaranth.hdl import Module
from amaranth.lib import stream
from amaranth.lib.wiring import Out

from trident.hw.engines.skeleton.drains import TimeDrain
from trident.hw.engines.skeleton.engine import Engine
from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.engines.skeleton.queue import neuron_item, queue_drain
from trident.hw.engines.skeleton.walker import TapWalker
from trident.hw.isa.config import CoreConfig


class ForwardEngine(Engine):
    """Row: weights of ``lanes`` outputs for one input. Column vector: that input's spikes over positions and time.

    Accumulators hold x of ``words`` output positions, ``pass_groups`` groups and all timesteps; they drain to the
    neuron unit through ``o``, all neurons of a timestep before the next timestep.

    Members beside those of :class:`Engine`
    ---------------------------------------
    o : stream of rows of x; the tag's address is relative to the layer's first word
    """

    def __init__(self, cfg: CoreConfig):
        payloads = Payloads(cfg, "forward")
        super().__init__(
            payloads,
            TapWalker(payloads, transposed=False),
            TimeDrain(payloads, descending=False),
            multiply=False,
            ports={"o": Out(stream.Signature(neuron_item(payloads)))},
        )

    def connect_drain(self, m: Module):
        return queue_drain(self, m)
