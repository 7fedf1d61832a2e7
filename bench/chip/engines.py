"""How well each engine uses its processing elements, and what zeros save."""

from collections.abc import Iterator
from dataclasses import replace

from trident.bench.chip.single import ENGINES, SingleEngine
from trident.host.report.figure import Figure
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.planes import PLANES, Planes
from trident.snn.network.network import Network

NETWORKS = {"linear": "128-128-128", "conv": "8x8x16-16c3-16c3-10"}
SPIKES = 0.2
BITS = 0.5  # that are set, of values that are as often small as large
ZEROS = (0, 50, 80, 90, 95, 99)
BUSY_BOUND, SAVING_BOUND = 0.90, 8.0


def _engine(network: str, cols: int) -> SingleEngine:
    cfg = CoreConfig.preset(
        "SMALL", timesteps=4, words=8, forward_cols=cols, backward_cols=cols, weight_grad_cols=cols, weight_rows=8192
    )
    return SingleEngine(Network.parse(NETWORKS[network], bias=False), cfg)


def measure_engines(only: str) -> Iterator[Figure]:
    """Busy fraction at 20 % spikes: useful additions / (processing elements x cycles the engine ran), for one and for
    four columns; cycles of each engine against the share of zeros."""
    for cols in (1, 4):
        for network in NETWORKS:
            names = [f"core.{engine}.{network}.cols{cols}.busy" for engine in ENGINES]
            zeros = [f"core.{engine}.{'' if network == 'linear' else 'conv.'}zeros" for engine in ENGINES if cols == 1]
            if not any(name.startswith(only) or only.startswith(name) for name in names + zeros):
                continue
            unit = _engine(network, cols)
            unit.fill(SPIKES)
            for engine, name in zip(ENGINES, names, strict=True):
                run = unit.run(engine)
                bound = BUSY_BOUND if cols == 1 else None
                yield Figure(name, "fraction", run.useful / (cols * run.cycles), "higher", bound)
            for engine, name in zip(ENGINES, zeros, strict=False):
                dense = None
                for percent in ZEROS:
                    unit.fill(1 - percent / 100)
                    cycles = unit.run(engine).cycles
                    dense = dense or cycles
                    yield Figure(f"{name}{percent}.cycles", "cycles", cycles, "lower")
                    if percent == 90:
                        yield Figure(f"{name}{percent}.saving", "ratio", dense / cycles, "higher", SAVING_BOUND)
            unit.close()
    yield from _planes(only)


def _planes(only: str) -> Iterator[Figure]:
    """Busy fraction of a first layer that reads values of eight bits."""
    for network, text in NETWORKS.items():
        names = {engine: f"core.planes.{engine}.{network}.busy" for engine in ("forward", "weight_grad")}
        if not any(name.startswith(only) or only.startswith(name) for name in names.values()):
            continue
        cfg = CoreConfig.preset("SMALL", timesteps=PLANES, words=8, accumulators=64, weight_rows=8192, planes=True)
        layers = replace(Network.parse(text, bias=False), planes=Planes(PLANES, -PLANES))
        unit = SingleEngine(layers, cfg, 0)
        unit.fill(BITS)
        for engine, name in names.items():
            run = unit.run(engine)
            yield Figure(name, "fraction", run.useful / run.cycles, "higher", BUSY_BOUND)
        unit.close()
