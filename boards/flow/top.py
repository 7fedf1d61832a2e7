"""The top of an FPGA: clock, reset, the chip behind its serial line, and three LEDs."""

from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Instance, Module, ResetSignal, Signal
from amaranth.lib import io
from amaranth.lib.cdc import FFSynchronizer

from trident.boards.devices.design import Design
from trident.boards.flow.pll import ecp5_pll
from trident.hw.errors import TridentError

CHIP = "linked_chip"
RESET_SECONDS = 20e-6  # an iCE40's block RAMs read as zeros for some microseconds after configuration


class BoardTop(Elaboratable):
    """Everything in the FPGA, in one clock domain: the module ``linked_chip``, which is emitted by itself, and its
    clock.

    LEDs: heartbeat goes on and off about once a second, busy while any core runs, error after a fault, as
    :class:`LinkedChip` reports it. Reset lasts 20 microseconds after configuration, after the PLL
    has locked, and after the board's reset button.
    """

    def __init__(self, design: Design):
        self.design = design

    def elaborate(self, platform):
        m = Module()
        board, clock_hz = self.design.board, self.design.clock_hz
        m.domains.sync = ClockDomain()
        m.domains.start = ClockDomain(reset_less=True, local=True)
        steady = self._clock(m, platform)
        m.d.comb += ClockSignal("start").eq(ClockSignal("sync"))

        steady_here = Signal()
        m.submodules.steady = FFSynchronizer(steady, steady_here, o_domain="start")
        waited = Signal(range(2 << int(RESET_SECONDS * clock_hz).bit_length()))
        reset = Signal(init=1)
        m.d.start += reset.eq(~waited[-1])
        with m.If(~steady_here):
            m.d.start += waited.eq(0)
        with m.Elif(~waited[-1]):
            m.d.start += waited.eq(waited + 1)
        m.d.comb += ResetSignal("sync").eq(reset)

        rx, tx, busy, error = Signal(), Signal(), Signal(), Signal()
        m.submodules.chip = Instance(
            CHIP, i_clk=ClockSignal("sync"), i_rst=ResetSignal("sync"), i_rx=rx, o_tx=tx, o_busy=busy, o_error=error
        )
        m.submodules.rx = receiver = io.Buffer("i", self._port(platform, board.rx))
        m.submodules.tx = sender = io.Buffer("o", self._port(platform, board.tx))
        m.d.comb += [rx.eq(receiver.i), sender.o.eq(tx)]

        heart = Signal(max(round(clock_hz / 2).bit_length(), 2))
        m.d.sync += heart.eq(heart + 1)
        shown = {"heartbeat": heart[-1], "busy": busy, "error": error}
        for name, resource in board.leds.items():
            m.submodules[f"led_{name}"] = led = io.Buffer("o", self._port(platform, resource))
            m.d.comb += led.o.eq(shown[name])
        return m

    def _port(self, platform, path: str):
        """A pin of the platform by its path, as in ``led.0`` or ``uart.0.rx``. Pins of one resource are asked for
        once."""
        name, number, *part = path.split(".")
        if not hasattr(self, "_ports"):
            self._ports = {}
        key = (name, int(number))
        if key not in self._ports:
            self._ports[key] = platform.request(*key, dir="-")
        port = self._ports[key]
        return getattr(port, part[0]) if part else port

    def _clock(self, m: Module, platform) -> Signal:
        """Drive the clock; the result is high while it is steady and nobody presses reset."""
        board, clock_hz = self.design.board, self.design.clock_hz
        m.submodules.crystal = crystal = io.Buffer("i", platform.request(platform.default_clk, dir="-"))
        steady, pressed = Signal(), Signal()
        if board.reset:
            m.submodules.button = button = io.Buffer("i", self._port(platform, board.reset))
            m.d.comb += pressed.eq(button.i)
        if clock_hz == board.crystal_hz:
            m.d.comb += [ClockSignal("sync").eq(crystal.i), steady.eq(~pressed)]
            return steady
        if board.family != "ecp5":
            raise TridentError(f"{board.name} runs at its crystal's {board.crystal_hz / 1e6:g} MHz, it has no PLL here")
        pll = ecp5_pll(board.crystal_hz, clock_hz)
        output, locked = Signal(), Signal()
        m.submodules.pll = Instance(
            "EHXPLLL",
            # What Project Trellis' ecppll sets beside the dividers
            a_FREQUENCY_PIN_CLKI=f"{board.crystal_hz / 1e6:g}", a_FREQUENCY_PIN_CLKOP=f"{clock_hz / 1e6:g}",
            a_ICP_CURRENT="12", a_LPF_RESISTOR="8", a_MFG_ENABLE_FILTEROPAMP="1", a_MFG_GMCREF_SEL="2",
            p_PLLRST_ENA="DISABLED", p_INTFB_WAKE="DISABLED", p_STDBY_ENABLE="DISABLED", p_DPHASE_SOURCE="DISABLED",
            p_OUTDIVIDER_MUXA="DIVA", p_OUTDIVIDER_MUXB="DIVB", p_OUTDIVIDER_MUXC="DIVC", p_OUTDIVIDER_MUXD="DIVD",
            p_FEEDBK_PATH="CLKOP", p_CLKI_DIV=pll.reference, p_CLKFB_DIV=pll.feedback,
            p_CLKOP_ENABLE="ENABLED", p_CLKOP_DIV=pll.output, p_CLKOP_CPHASE=pll.output - 1, p_CLKOP_FPHASE=0,
            i_CLKI=crystal.i, i_CLKFB=output, i_RST=0, i_STDBY=0, i_PHASESEL0=0, i_PHASESEL1=0, i_PHASEDIR=1,
            i_PHASESTEP=1, i_PHASELOADREG=1, i_PLLWAKESYNC=0, i_ENCLKOP=0, o_CLKOP=output, o_LOCK=locked,
        )  # fmt: skip
        m.d.comb += [ClockSignal("sync").eq(output), steady.eq(locked & ~pressed)]
        return steady
