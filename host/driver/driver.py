"""The driver: what a host does with a chip, whatever carries the flits."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from trident.host.compile.chip_plan import ChipPlan, unicast
from trident.host.driver.packets import Packets, received
from trident.hw.errors import Failure, TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.faults import GRADIENT_FAULTS, Fault
from trident.hw.isa.mesh import MeshConfig, mesh_for
from trident.hw.isa.operations import QUEUES
from trident.hw.isa.program import QUEUE_STATE
from trident.hw.isa.registers import MAGIC, UPPER_BITS, config_digest, counted, registers
from trident.hw.isa.spaces import Space, space_bits
from trident.hw.isa.tokens import Token

QUIET = 20_000  # cycles in which nothing at all happens in a chip that is idle or stuck
PART = 4096  # elements of one READ


class CoreStuck(Failure):
    """The chip does not go on; the message says which core waits for which token, in which instruction."""


class FlitPort(Protocol):
    """What carries flits to and from a chip; :class:`VerilatedChip` is one."""

    def exchange(self, flits: np.ndarray, wanted: int, limit: int, room: int | None = None) -> tuple[int, np.ndarray]:
        ...


@dataclass(frozen=True)
class BatchResult:
    """What came back of one run: spikes each class fired, or what its readout says, (N, classes), and per logical core
    its faults and the number of the job that had the first."""

    counts: np.ndarray
    faults: tuple[int, ...]
    jobs: tuple[int, ...]

    @property
    def all_faults(self) -> int:
        """Faults of any core."""
        return int(np.bitwise_or.reduce(self.faults))

    @property
    def skipped(self) -> bool:
        """A gradient has overflowed: no core has updated its weights."""
        return bool(self.all_faults & GRADIENT_FAULTS)

    def describe(self, plan: ChipPlan) -> str:
        """The faults in words, with core and layer."""
        core = next(n for n, faults in enumerate(self.faults) if faults)
        names = [fault.name.lower() for fault in Fault if self.faults[core] >> fault & 1]
        where = plan.plans[core].describe_job(self.jobs[core])
        return f"core {plan.placement[core]}: {', '.join(names)}: first in {where}"


class Driver:
    """What a host does with a chip. ``identify`` checks that its cores are those that were asked for.

    Cores are those of the mesh. Raises :class:`TridentError` when a core is of another configuration,
    :class:`CoreStuck` when it does not answer.
    """

    def __init__(self, chip: FlitPort, cfg: CoreConfig, mesh: MeshConfig | None = None):
        self.chip, self.cfg, self.mesh = chip, cfg, mesh or mesh_for(cfg)
        self.bits = space_bits(cfg)
        self.packets = Packets(cfg, self.mesh)
        for core in range(self.mesh.cores):
            self.identify(core)

    def identify(self, core: int):
        """Raise TridentError unless this is a Trident core of this configuration."""
        magic, digest = self.read(core, Space.REGISTERS, 0, 2)[:, 0]
        if magic != MAGIC:
            raise TridentError(f"what answers is no Trident core: it says {magic:#010x}, not {MAGIC:#010x}")
        expected = config_digest(self.cfg, self.mesh)
        if digest != expected:
            raise TridentError(
                f"core {core} has another configuration ({digest:#010x}) than the host expects ({expected:#010x})"
            )

    def exchange(self, parts: list[np.ndarray], wanted: int, room: int | None = None, quiet: int = QUIET) -> np.ndarray:
        """Send packets and take what comes until ``wanted`` packets have; CoreStuck when the chip does nothing for
        ``quiet`` cycles before that."""
        flits = np.concatenate(parts)
        sent, out = self.chip.exchange(flits, wanted, quiet, room)
        if sent < len(flits) or int(out[:, -1].sum()) < wanted:
            raise CoreStuck(
                f"the chip took {sent} of {len(flits)} flits and gave {int(out[:, -1].sum())} of {wanted} packets, "
                f"then did nothing for {quiet} cycles"
            )
        return out

    def write(self, core: int, space: Space, address: int, elements: np.ndarray):
        """Write elements, uint32 (n, 32-bit words), from ``address``."""
        self.exchange([self.packets.write(unicast(self.mesh, core), space, address, np.asarray(elements))], 0)

    def read(self, core: int, space: Space, address: int, count: int) -> np.ndarray:
        """Read ``count`` elements from ``address``: uint32 (count, 32-bit words)."""
        words = -(-self.bits[space] // 32)
        parts = []
        for first in range(0, count, PART):
            size = min(PART, count - first)
            ask = self.packets.read(unicast(self.mesh, core), space, address + first, size)
            flits = self.exchange([ask], self.packets.answers(space, size))
            payload = np.concatenate([payload for *_, payload in received(flits, self.mesh)])
            parts.append(payload.reshape(size, -1)[:, :words])
        return np.concatenate(parts)

    def registers(self, core: int) -> dict[str, int]:
        """All registers by name, see :func:`registers`."""
        names = registers(self.cfg)
        return dict(zip(names, self.read(core, Space.REGISTERS, 0, len(names))[:, 0].tolist(), strict=True))

    def counters(self, core: int) -> dict[str, int]:
        """Cycles and all counters, each modulo 2**32."""
        found = self.registers(core)
        return {name: found[name] for name in counted(self.cfg)}

    def _state(self, core: int) -> tuple[list[int], list[tuple[int, Any]]]:
        """The count of every token; and of every queue the number of its job, and its state."""
        found = self.registers(core)
        counts = [found[f"token.{token.name.lower()}"] for token in Token]
        size, queues = QUEUE_STATE.size, []
        for n in range(len(QUEUES)):
            state = QUEUE_STATE.from_bits(found[f"queues{n // 3}"] >> size * (n % 3) & (1 << size) - 1)
            upper = found.get("upper", 0) >> UPPER_BITS * n & (1 << UPPER_BITS) - 1
            queues.append((state.job | upper << QUEUE_STATE["job"].width, state))
        return counts, queues

    def waits(self, core: int) -> tuple[list[tuple[str, int]], list[int]]:
        """The queues of a core that wait for tokens, each with the number of its job; and the count of every token."""
        counts, queues = self._state(core)
        named = zip(QUEUES, queues, strict=True)
        return [(queue.name.lower(), number) for queue, (number, state) in named if state.blocked], counts

    def running(self, core: int) -> list[str]:
        """Queues whose engine runs."""
        queues = zip(QUEUES, self._state(core)[1], strict=True)
        return [queue.name.lower() for queue, (_, state) in queues if state.active]
