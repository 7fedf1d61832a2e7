"""From a network, its partition and a placement to what every core of a chip holds and runs."""

from functools import cached_property

from trident.host.compile.core_plan import CorePlan
from trident.host.compile.norms import merge_fields
from trident.host.compile.placement import check_placement
from trident.host.compile.program import Program, inference, training
from trident.host.compile.serial import serial_training
from trident.hw.chip import check_pair
from trident.hw.errors import TridentError
from trident.hw.isa.capabilities import require
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB, SLOT_BITS
from trident.hw.isa.mesh import MeshConfig, mesh_for
from trident.hw.isa.operations import OPERATIONS
from trident.hw.isa.packets import ROUTE_LAYOUT, Mode, Rows
from trident.hw.isa.tokens import NO_TOKEN, Token, pack_tokens
from trident.hw.noc.routing import multicast_table
from trident.hw.noc.topology import HOST
from trident.sim.golden.constants import NeuronConstants, UpdateConstants
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition

MINIBATCH = 16  # samples, where nothing else is said
FIRMWARE_ROW_CYCLES = 256  # that a controller takes for a row of weights at most


def unicast(mesh: MeshConfig, core: int) -> int:
    """The route to one core of the mesh."""
    x, y = mesh.position(core)
    return ROUTE_LAYOUT.pack(mode=Mode.UNICAST, x=x, y=y)[0]


def to_host(mesh: MeshConfig, core: int) -> int:
    """The route from a core of the mesh to the host."""
    x, y = mesh.position(core)
    return ROUTE_LAYOUT.pack(mode=Mode.HOST, x=x, y=y)[0]


def wanted_slots(network: Network, partition: Partition, stage: int, minibatch: int) -> int:
    """Samples whose spikes a stage holds: with a batch norm those of a minibatch that a replica has, else those of a
    full pipeline."""
    if network.norms:
        return partition.samples(minibatch, 0)
    return slots_before(len(partition.stages) - 1 - stage)


def slots_before(stages: int) -> int:
    """Samples whose spikes a stage holds that so many stages follow: when the pipeline is full, those that these work
    on, forward and backward, one that comes in and one that weight_grad works on."""
    return min(2 * stages + 3, (1 << SLOT_BITS) - 1)


class ChipPlan:
    """A network on the cores of a chip. Without a partition it is all on one core.

    placement: the mesh's core of every logical core. minibatch: samples of one, which a batch norm has to know. plans:
    per logical core. serial: a minibatch is computed layer by layer.
    Raises :class:`TridentError` when something does not fit; the sentence has the numbers.
    """

    def __init__(self, network: Network, cfg: CoreConfig, mesh: MeshConfig | None = None,
                 partition: Partition | None = None, placement: tuple[int, ...] | None = None,
                 minibatch: int = MINIBATCH):  # fmt: skip
        self.network, self.cfg, self.minibatch, self.serial = network, cfg, minibatch, network.batch_norm
        self.mesh = mesh or mesh_for(cfg)
        self.partition = partition or Partition.single(network)
        self.partition.check(network, cfg.lanes)
        if cfg.loss != "table" and (cores := self.partition.stages[-1].cores) > 1:
            raise TridentError(
                f"partition {self.partition}: a cross-entropy needs all classes on one core, and the last layer is on "
                f"{cores}"
            )
        self.mesh.check_programmed()
        check_pair(cfg, self.mesh)
        if self.partition.cores > self.mesh.cores:
            raise TridentError(
                f"partition {self.partition} needs {self.partition.cores} cores, the mesh of {self.mesh.width}x"
                f"{self.mesh.height} has {self.mesh.cores}"
            )
        if self.serial and self.partition.replicas > minibatch:
            raise TridentError(
                f"partition {self.partition}: {self.partition.replicas} copies of a network with a batch norm need a "
                f"minibatch of as many samples, not of {minibatch}"
            )
        cores = self.partition.cores
        self.placement = check_placement(tuple(range(cores)) if placement is None else placement, cores, self.mesh)
        stages = {}
        for n, stage in enumerate(self.partition.stages):
            wanted = wanted_slots(network, self.partition, n, minibatch)
            for _ in range(2):  # all cores of a stage have as many slots as the one with the least room
                plans = [CorePlan(network, self.partition, n, k, cfg, wanted, minibatch) for k in range(stage.cores)]
                wanted = min(plan.spike_slots for plan in plans)
            stages[n] = plans
        self.plans = [stages[s][k] for _, s, k in map(self.partition.locate, range(self.partition.cores))]
        for program in self.programs(train=True):
            for opcode in program.opcodes:
                require(cfg.capabilities, f"operation {opcode.name.lower()}", OPERATIONS[opcode].needs)
        self.groups: dict[tuple[int, tuple[int, ...]], int] = {}  # (source, destinations), both of the mesh, -> number
        self.routes = [self._routes(core) for core in range(self.partition.cores)]
        self.inputs = [self._route(HOST, self._stage_cores(r, 0)) for r in range(self.partition.replicas)]
        if len(self.groups) > self.mesh.groups:
            raise TridentError(
                f"partition {self.partition} needs {len(self.groups)} multicast groups, the routers have room for "
                f"{self.mesh.groups}"
            )

    # Who talks to whom
    def _stage_cores(self, replica: int, stage: int) -> tuple[int, ...]:
        """Logical cores of a stage."""
        first = self.partition.core(replica, stage)
        return tuple(range(first, first + self.partition.stages[stage].cores))

    def _route(self, source: int, logical: tuple[int, ...]) -> int:
        """The route from a core of the mesh, or the host, to logical cores."""
        places = tuple(sorted(self.placement[core] for core in logical))
        if len(places) == 1:
            return unicast(self.mesh, places[0])
        number = self.groups.setdefault((source, places), len(self.groups))
        return ROUTE_LAYOUT.pack(mode=Mode.MULTICAST, x=number & 7, y=number >> 3)[0]

    def _routes(self, core: int) -> dict[int, dict]:
        """Per job of a core, the fields that say who else takes part."""
        plan, partition = self.plans[core], self.partition
        replica, stage, number = partition.locate(core)
        stage_before, stage_after = partition.before(stage, self.network), partition.after(stage, self.network)
        own = self._stage_cores(replica, stage)
        here = self.placement[core]

        host = to_host(self.mesh, here)

        def to(cores):
            return self._route(here, cores)

        fields = {plan.job("vote"): {"target": host, "token": Token.GO}}
        if stage_after is None:
            fields[plan.job("send")] = {"target": host, "token": NO_TOKEN}
        else:
            after = self._stage_cores(replica, stage_after)
            fields[plan.job("send")] = {"target": to(after), "token": Token.INPUT_READY0 + number}
            fields |= {plan.job("errors", 0, chunk): {"source": to(after[-1:])} for chunk in plan.error_chunks}
        if stage_before is None:
            fields[plan.job("free")] = {"target": host, "token": Token.INPUT_FREE}
        else:
            before = self._stage_cores(replica, stage_before)
            fields[plan.job("free")] = {"target": to(before), "token": Token.NEXT_FREE0 + number}
            for k, owner in enumerate(before):
                chain = {"take": int(number > 0), "source": to(own[number - 1 : number]) if number else 0}
                if number + 1 < len(own):
                    chain |= {"target": to(own[number + 1 : number + 2]), "channel": Rows.PARTIALS}
                else:
                    chain |= {"target": to((owner,)), "channel": Rows.ERRORS}
                fields |= {plan.job("owner", k, chunk): chain for chunk in range(self.cfg.chunks)}
        for n, placed in enumerate(plan.layers):
            for chunk in range(self.cfg.chunks if placed.layer.drop else 0):
                numbers = {"pass_step": replica, "tap_step": partition.replicas}  # of its samples in the minibatch
                fields[plan.job("drop", n, chunk)] = numbers
        if partition.replicas > 1:
            peers = [partition.core(r, stage, number) for r in range(partition.replicas)]
            chain = {"take": int(replica > 0), "source": to((peers[replica - 1],)) if replica else 0}
            if core == peers[-1]:
                chain |= {"target": to(tuple(peers[:-1])), "final": 1}
                fields[plan.job("reduced")] = {"target": to(tuple(peers[:-1])), "token": Token.REDUCED}
            else:
                chain |= {"target": to((peers[replica + 1],)), "channel": Rows.PARTIALS}
            fields[plan.job("reduce")] = chain
            samples = partition.samples(self.minibatch, replica)
            for n in (n for n, placed in enumerate(plan.layers) if placed.layer.norm):
                ring = {"target": to((peers[(replica + 1) % len(peers)],)), "source": to((peers[replica - 1],))}
                for job, merged in merge_fields(plan, n, samples, len(peers) - 1, not replica).items():
                    fields[job] = merged | ring
            if replica:
                fields[plan.job("ready")] = {"target": to((peers[replica - 1],)), "token": Token.PEER_READY}
        return fields

    def tables(self) -> dict[int, dict[int, int]]:
        """Entries of the routers' multicast tables: mesh core -> group -> port mask."""
        result: dict[int, dict[int, int]] = {}
        for (source, places), number in self.groups.items():
            for core, mask in multicast_table(self.mesh, source, places).items():
                result.setdefault(core, {})[number] = mask
        return result

    def _remote(self, core: int) -> tuple[int, dict]:
        """Slots of the next stage's cores, and where send's words go there."""
        replica, stage, _ = self.partition.locate(core)
        following = self.partition.after(stage, self.network)
        if following is None:
            return 1, {}
        after = self.plans[self.partition.core(replica, following)]
        return after.spike_slots, {"base": after.input.base, "dst_slot": after.input.step}

    # What cores hold and run
    def programs(self, train: bool, update: bool = True) -> list[Program]:
        """The program of every logical core."""
        result = []
        for core, plan in enumerate(self.plans):
            slots, _ = self._remote(core)
            replica = self.partition.locate(core)[0]
            if train and self.serial:
                result.append(serial_training(plan, replica, update))
            else:
                result.append(training(plan, slots, replica, update) if train else inference(plan, slots))
        return result

    def jobs(
        self, core: int, program: Program, neuron: NeuronConstants, updates: UpdateConstants
    ) -> dict[int, list[int]]:
        """The words of every job that a core's program runs, its further walks among them."""
        plan = self.plans[core]
        jobs = plan.jobs(neuron, updates, program.trains)
        return {
            number: self._pack(core, number, fields, program)
            for number, fields in jobs.items() if plan.first_walk(number) in program.tokens
        }  # fmt: skip

    def update_jobs(self, core: int, program: Program, updates: UpdateConstants) -> dict[int, list[int]]:
        """Those that change with the learning rate or the loss scale."""
        return {
            number: self._pack(core, number, fields, program)
            for number, fields in self.plans[core].update_jobs(updates).items() if number in program.tokens
        }  # fmt: skip

    def drop_jobs(self, core: int, program: Program, seed: int, minibatch: int) -> dict[int, list[int]]:
        """Those that change with every minibatch, of networks with a dropout."""
        jobs = self.plans[core].drop_jobs(seed, minibatch)
        return {number: self._pack(core, number, fields, program) for number, fields in jobs.items()}

    def _pack(self, core: int, number: int, fields: dict, program: Program) -> list[int]:
        fields = fields | self.routes[core].get(number, {})
        if number == self.plans[core].job("send") and (remote := self._remote(core)[1]):
            fields |= {"dst": fields.get("dst", 0) + remote["base"], "dst_slot": remote["dst_slot"]}
        wait, post = program.tokens.get(number, ((), ()))  # a further walk has none
        return JOB.pack(**fields, wait=pack_tokens(wait), post=pack_tokens(post))

    @cached_property
    def longest_job(self) -> int:
        """Cycles that no job of an engine, of all chunks, is longer than; of a shared engine, all jobs of a sample
        together, or the controller's update."""
        most = 0
        for plan in self.plans:
            jobs = []
            for placed in plan.layers:
                y, x, channels = placed.layer.sum_shape
                taps = sum(part.layer.fan_in for part in placed.parts)
                jobs.append(y * x * taps * (channels + self.cfg.lanes) * self.cfg.word_steps * 2)
                if placed.layer.norm:  # three passes of up to four steps
                    jobs.append(16 * y * x * (channels + self.cfg.lanes) * self.cfg.steps * self.minibatch)
            small = max(3 * sum(jobs), FIRMWARE_ROW_CYCLES * plan.rows)
            most = max(most, small if self.cfg.shared_engine else max(jobs))
        return most

    def describe(self) -> list[dict]:
        """Per layer of the first replica: what it is and the words it takes, for tables."""
        return [row for plan in self.plans[: self.partition.members] for row in plan.describe()]
