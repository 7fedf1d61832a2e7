"""How a network is spread over cores: replicas, stages of layers, and slices of a layer's output channels."""

import re
from dataclasses import dataclass

from trident.hw.errors import TridentError
from trident.hw.isa.job import FAN
from trident.snn.network.network import Network

_N = "[0-9]{1,6}"
_STAGE = re.compile(rf"({_N})(?:-({_N}))?(?:/({_N}(?:\+{_N})*))?")
_TEXT = re.compile(rf"(?:({_N})x)?(.+)")


@dataclass(frozen=True)
class Stage:
    """Consecutive layers ``first`` to ``last`` (from 0) on one core, or one layer split over several.

    cuts: where the output channels of the last layer are cut; core n of the stage has channels ``cuts[n]`` to
    ``cuts[n + 1]``.
    """

    first: int
    last: int
    cuts: tuple[int, ...]

    @property
    def cores(self) -> int:
        return len(self.cuts) - 1

    @property
    def layers(self) -> range:
        return range(self.first, self.last + 1)

    def __str__(self) -> str:
        text = f"{self.first + 1}" if self.first == self.last else f"{self.first + 1}-{self.last + 1}"
        if self.cores > 1:
            text += "/" + "+".join(str(b - a) for a, b in zip(self.cuts, self.cuts[1:], strict=False))
        return text


@dataclass(frozen=True)
class Partition:
    """``replicas`` copies of the network, each a pipeline of stages; every replica takes every ``replicas``-th sample.

    Logical cores are numbered replica by replica, stage by stage, slice by slice; sums of several cores are made in
    this order.
    """

    replicas: int
    stages: tuple[Stage, ...]

    @property
    def members(self) -> int:
        """Cores of one replica."""
        return sum(stage.cores for stage in self.stages)

    @property
    def cores(self) -> int:
        return self.replicas * self.members

    def first_core(self, stage: int) -> int:
        """The number, within its replica, of a stage's first core."""
        return sum(s.cores for s in self.stages[:stage])

    def core(self, replica: int, stage: int, slice_: int = 0) -> int:
        return replica * self.members + self.first_core(stage) + slice_

    def locate(self, core: int) -> tuple[int, int, int]:
        """Replica, stage and slice of a logical core. Raises :class:`TridentError` for one that there is not."""
        if not 0 <= core < self.cores:
            raise TridentError(f"the partition has {self.cores} cores, there is no core {core}")
        replica, member = divmod(core, self.members)
        stage = next(n for n in reversed(range(len(self.stages))) if self.first_core(n) <= member)
        return replica, stage, member - self.first_core(stage)

    def stage_of(self, layer: int) -> int:
        return next(n for n, stage in enumerate(self.stages) if layer in stage.layers)

    def before(self, stage: int, network: Network) -> int | None:
        """The stage whose spikes a stage reads; None: it reads the samples."""
        source = network.layers[self.stages[stage].first].sources[0]
        return None if source is None else self.stage_of(source)

    def after(self, stage: int, network: Network) -> int | None:
        """The stage that reads a stage's spikes; None: they are the network's output."""
        last = self.stages[stage].last
        return next((self.stage_of(layer.number) for layer in network.layers if last in layer.sources), None)

    def slices(self, layer: int, network: Network) -> list[tuple[int, int, int]]:
        """Core within the replica, first channel and end, of every slice of a layer, in ascending order."""
        number = self.stage_of(layer)
        stage, first = self.stages[number], self.first_core(number)
        if stage.cores == 1:
            return [(first, 0, network.layers[layer].out_channels)]
        return [(first + n, a, b) for n, (a, b) in enumerate(zip(stage.cuts, stage.cuts[1:], strict=False))]

    def samples(self, count: int, replica: int) -> int:
        """How many of ``count`` samples a replica gets."""
        return len(range(replica, count, self.replicas))

    def __str__(self) -> str:
        stages = ",".join(map(str, self.stages))
        return stages if self.replicas == 1 else f"{self.replicas}x{stages}"

    def check(self, network: Network, lanes: int):
        """Raise :class:`TridentError` unless every channel of every layer is on exactly one core of a replica, cut at
        multiples of ``lanes``."""
        if self.members > 1 and (what := undivided(network)):
            raise TridentError(f"partition {self}: {what} is on one core")
        if network.voters > 1 and self.stages[-1].cores > 1:
            raise TridentError(
                f"partition {self}: {network.voters} neurons vote for a class, which needs the last layer on one core"
            )
        following = 0
        for stage in self.stages:
            if stage.first != following or stage.last < stage.first:
                raise TridentError(
                    f"partition {self}: a stage begins with layer {stage.first + 1} where layer {following + 1} is due"
                )
            following = stage.last + 1
            if following > len(network.layers):
                raise TridentError(f"partition {self}: there is no layer {following}, only {len(network.layers)}")
            outputs = network.layers[stage.last].out_channels
            if stage.cores > FAN:
                raise TridentError(f"partition {self}: a stage has {stage.cores} cores, at most {FAN} are possible")
            if stage.cores > 1 and stage.first != stage.last:
                raise TridentError(f"partition {self}: a stage of several layers cannot be split over cores")
            if stage.cuts[0] != 0 or stage.cuts[-1] != outputs:
                raise TridentError(
                    f"partition {self}: its slices hold {stage.cuts[-1] - stage.cuts[0]} of the {outputs} channels of "
                    f"layer {stage.last + 1}"
                )
            for a, b in zip(stage.cuts, stage.cuts[1:], strict=False):
                if b <= a:
                    raise TridentError(f"partition {self}: a slice of layer {stage.last + 1} is empty")
                if a % lanes:
                    raise TridentError(
                        f"partition {self}: layer {stage.last + 1} is cut at channel {a}, which is no multiple of the "
                        f"{lanes} lanes"
                    )
        if following != len(network.layers):
            raise TridentError(f"partition {self}: layers {following + 1} to {len(network.layers)} are on no core")
        if self.replicas < 1:
            raise TridentError(f"a partition needs at least 1 replica, not {self.replicas}")

    @classmethod
    def single(cls, network: Network) -> "Partition":
        """Everything on one core."""
        return cls(1, (Stage(0, len(network.layers) - 1, (0, network.layers[-1].out_channels)),))

    @classmethod
    def parse(cls, text: str, network: Network, lanes: int) -> "Partition":
        """Read ``4x1-2,3/2,4/8+16,5``: four replicas; layers 1 and 2 on a core, layer 3 split over two cores, layer 4
        into slices of 8 and 16 channels, layer 5. Without slices' sizes they are as even as the lanes allow.

        Raises :class:`TridentError` for what it cannot read and what :meth:`check` refuses.
        """
        match = _TEXT.fullmatch(text.strip())
        stages = []
        for part in match.group(2).split(",") if match else [""]:
            found = _STAGE.fullmatch(part.strip())
            if not found:
                raise TridentError(f"partition {text!r}: {part!r} is no stage: write 3, 1-2, 3/2 or 3/8+16")
            first, last = int(found.group(1)) - 1, int(found.group(2) or found.group(1)) - 1
            if not 0 <= first <= last < len(network.layers):
                layers = len(network.layers)
                raise TridentError(f"partition {text!r}: stage {part!r} is not within layers 1 to {layers}")
            outputs = network.layers[last].out_channels
            sizes = [int(n) for n in (found.group(3) or "1").split("+")]
            if len(sizes) > 1:
                cuts = [0]
                for size in sizes:
                    cuts.append(cuts[-1] + size)
            else:
                cuts = even_cuts(outputs, sizes[0], lanes)
            stages.append(Stage(first, last, tuple(cuts)))
        partition = cls(int((match and match.group(1)) or 1), tuple(stages))
        partition.check(network, lanes)
        return partition


def undivided(network: Network) -> str | None:
    """A network that is not divided over cores, in words that say why; None: it may be."""
    if network.branches:
        return "a network whose spikes or sums are added, or whose spikes are read by several layers or later,"
    if network.norms:
        return f"a network with {network.norms[0]}"
    windows = [layer for layer in network.layers if layer.windows]
    if windows:
        what = "takes the largest sums of" if windows[0].window else "has its spikes joined by"
        return f"a network of which {windows[0].neuron!r} {what} windows"
    if network.learns:
        return f"a network of which {network.learns[0].neuron!r} learns its {network.learns[0].learned}s"
    if network.grouped:
        return f"a network of which {network.grouped[0].node!r} has groups of channels"
    if network.drops:
        return f"a network with a dropout, here behind {network.drops[0].neuron!r},"
    return None


def even_cuts(channels: int, cores: int, lanes: int) -> list[int]:
    """Cuts of ``channels`` into as even slices of whole lanes as there are cores.

    Raises :class:`TridentError` when there are more cores than groups of lanes.
    """
    groups = -(-channels // lanes)
    if not 1 <= cores <= groups:
        raise TridentError(f"{channels} channels in groups of {lanes} lanes cannot be split over {cores} cores")
    return [min(groups * n // cores * lanes, channels) for n in range(cores)] + [channels]
