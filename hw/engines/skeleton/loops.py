"""What a walker counts: its loops, with their ends known before they come."""

from amaranth.hdl import Module, Mux, Signal, signed

COORDINATE = signed(10)  # of a pixel, with the padding around the image


def own_groups(job):
    """Groups that a job computes: those of a part of a grouped convolution, or all."""
    return Mux(job.own_groups.any(), job.own_groups, job.groups)


def own_blocks(job):
    """Likewise words of a pixel that it reads."""
    return Mux(job.own_blocks.any(), job.own_blocks, job.blocks)


class Passes:
    """The loop over the groups of a job: ``pass_groups`` at a time, fewer in the last pass.

    groups: of this pass; last_group: the number of its last one; last: it is the last pass; following: what ``start``
    and the end of each pass must do. All are registers: much logic hangs on them.
    """

    def __init__(self, m: Module, cfg, job, start):
        groups_of = own_groups(job) if cfg.kernels else job.groups
        rest, ahead = Signal(cfg.address_bits, name="groups_rest"), Signal(cfg.address_bits, name="groups_ahead")
        self.last = Signal(name="last_pass")
        most = job.pass_groups[: cfg.accumulators.bit_length()]  # which bound it
        self.groups, self.last_group = Signal.like(most, name="groups"), Signal.like(most, name="last_group")
        m.d.comb += ahead.eq(Mux(start | self.last, groups_of, rest))
        last = ahead <= most
        groups = Mux(last, ahead, most)
        self.following = [
            rest.eq(ahead - most),
            self.last.eq(last),
            self.groups.eq(groups),
            self.last_group.eq(groups - 1),
        ]


class LoopState:
    """What a walker counts in one loop.

    state: registers, the first of which is ``value``, the second ``last``: the loop is at its end; begun, after: the
    state at the start, and the one that follows; restart, step: what to do for each.
    ``last`` is a register: nearly all of a walker's registers hang on the ends of its loops.
    """

    def __init__(self, state: tuple, begun: tuple, after: tuple):
        self.state, self.begun, self.after = state, begun, after
        self.value, self.last = state[:2]
        self.restart, self.step = (
            [signal.eq(value) for signal, value in zip(state, values, strict=True)] for values in (begun, after)
        )


class Loop(LoopState):
    """A counter from 0 to ``end``."""

    def __init__(self, name: str, bits: int, end):
        value, last = Signal(bits, name=name), Signal(name=f"last_{name}")
        following = (value + 1)[:bits]
        super().__init__((value, last), (0, end == 0), (following, following == end))


class Positions(LoopState):
    """What tap (0, 0) reads at each position along one side of an image: ``origin`` to ``end``, ``step`` apart."""

    def __init__(self, name: str, origin, end, step):
        value, last = Signal(COORDINATE, name=f"at_{name}"), Signal(name=f"last_{name}")
        following = (value + step)[: len(value)]
        super().__init__((value, last), (origin, origin == end.as_signed()), (following, following == end))


class Countdown(LoopState):
    """``count`` turns, at least one."""

    def __init__(self, name: str, bits: int, count):
        value, last = Signal(bits, name=f"left_{name}"), Signal(name=f"last_{name}")
        super().__init__((value, last), (count, count == 1), (value - 1, value == 2))


class Blocks(LoopState):
    """The spike words of a pixel: ``start``, where each is in the first pixel, from ``src`` on."""

    def __init__(self, bits: int, count, src):
        turns, self.start = Countdown("block", bits, count), Signal(bits, name="start")
        super().__init__((*turns.state, self.start), (*turns.begun, src), (*turns.after, self.start + 1))
