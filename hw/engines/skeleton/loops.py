"""What a walker counts: its loops, with their ends known before they come."""

from amaranth.hdl import Module, Mux, Signal


class Passes:
    """The loop over the groups of a job: ``pass_groups`` at a time, fewer in the last pass.

    groups: of this pass; last_group: the number of its last one; last: it is the last pass; following: what ``start``
    and the end of each pass must do. All are registers: much logic hangs on them.
    """

    def __init__(self, m: Module, cfg, job, start):
        rest, ahead = Signal(cfg.address_bits, name="groups_rest"), Signal(cfg.address_bits, name="groups_ahead")
        self.last = Signal(name="last_pass")
        most = job.pass_groups[: cfg.accumulators.bit_length()]  # which bound it
        self.groups, self.last_group = Signal.like(most, name="groups"), Signal.like(most, name="last_group")
        m.d.comb += ahead.eq(Mux(start | self.last, job.groups, rest))
        last = ahead <= most
        groups = Mux(last, ahead, most)
        self.following = [
            rest.eq(ahead - most),
            self.last.eq(last),
            self.groups.eq(groups),
            self.last_group.eq(groups - 1),
        ]


class Loop:
    """A counter from 0 to ``count`` - 1.

    state: value, and last: it is at its end; restart, step: what to do; begun, after: the state that each leads to.
    ``last`` is a register: nearly all of a walker's registers hang on the ends of its loops.
    """

    def __init__(self, m: Module, name: str, bits: int, count):
        self.value, self.last = Signal(bits, name=name), Signal(name=f"last_{name}")
        before = Signal(bits, name=f"before_last_{name}")  # the value after which comes the last one
        m.d.sync += before.eq(count - 2)
        self.state, self.begun = (self.value, self.last), (0, count == 1)
        self.after = self.value + 1, self.value == before
        self.restart, self.step = (
            [signal.eq(value) for signal, value in zip(self.state, values, strict=True)]
            for values in (self.begun, self.after)
        )
