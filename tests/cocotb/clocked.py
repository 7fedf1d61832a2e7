"""A clock that the test drives itself: what it reads and writes belongs to one cycle, without races."""

from cocotb.triggers import Timer

OUTPUTS = ("busy", "host_rdata", "i_ready", "nonfinite", "active")  # beside those of streams that leave


class Clocked:
    """The design under test, cycle by cycle.

    Inputs that are set before :meth:`tick` act in that cycle; between :meth:`settle` and :meth:`tick` outputs are those
    of the cycle. ``cycle`` counts from the reset.
    """

    def __init__(self, dut):
        self.dut, self.cycle = dut, 0
        self._settled = False

    async def reset(self):
        """Set all inputs to 0 and reset for two cycles."""
        for handle in self.dut:
            if not handle._name.startswith("o_") and handle._name not in OUTPUTS:
                handle.value = 0
        self.dut.rst.value = 1
        for _ in range(2):
            await self.tick()
        self.dut.rst.value = 0
        self.cycle = 0

    async def settle(self):
        """Let the inputs of this cycle reach the outputs."""
        self.dut.clk.value = 0
        await Timer(1, "step")
        self._settled = True

    async def tick(self):
        """Pass the rising edge."""
        if not self._settled:
            await self.settle()
        self.dut.clk.value = 1
        await Timer(1, "step")
        self._settled = False
        self.cycle += 1
