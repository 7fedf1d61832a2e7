"""Clocks that stop while a unit has nothing to do."""

from amaranth.hdl import Cat, ClockDomain, ClockSignal, DomainRenamer, Instance, Module, ResetSignal, Signal, Value

SETTLING = 8  # cycles behind a reset
_HEAD = "module clock_gate(input clk, input enable, output gated);"
RUNNING = f"""
{_HEAD}
  assign gated = clk;
endmodule
"""
"""The gate of an FPGA, which has few clocks: a wire. A process for chips has a cell to put in its place."""

STOPPING = f"""
{_HEAD}
  reg open;
  always @* if (!clk) open = enable;
  assign gated = clk & open;
endmodule
"""
"""The gate of a simulation, where what stands still costs no time, and the model of such a cell."""


def add_stopping(m: Module, name: str, unit, awake: Value):
    """Add ``unit`` as the submodule ``name``, with a clock that runs in cycles in which ``awake`` is 1, in reset, and
    for a few cycles behind that, in which pipelines fill.

    Where it is 0, the unit must not need an edge: its next state must be its state, but for what nobody looks at. So it
    does the same in the same cycles whether its clock stops or not.
    """
    settled = Signal(SETTLING, name=f"{name}_settled")
    m.d.sync += settled.eq(Cat(1, settled))
    m.domains += ClockDomain(name)
    m.d.comb += ResetSignal(name).eq(ResetSignal())
    m.submodules[f"{name}_clock"] = Instance(
        "clock_gate", i_clk=ClockSignal(), i_enable=awake | ResetSignal() | ~settled.all(), o_gated=ClockSignal(name)
    )
    m.submodules[name] = DomainRenamer(name)(unit)


def with_gates(text: str) -> str:
    """Verilog with the gate that it refers to, if it does and has none yet: one that always runs."""
    return text + RUNNING if " clock_gate " in text and _HEAD not in text else text


def stopping(text: str) -> str:
    """Verilog whose clocks stop, from one whose clocks run."""
    return text.replace(RUNNING, STOPPING)
