// Random reads and writes of registers.v, as it is written and as it was synthesised: equal at the end of every cycle.
#include <cstdint>
#include "Vpair.h"

static uint64_t state;
static uint64_t draw() { state ^= state << 13; state ^= state >> 7; state ^= state << 17; return state; }

extern "C" uint64_t pair_run(uint64_t seed, uint64_t cycles, uint64_t *same) {
    VerilatedContext context;
    Vpair top{&context};
    state = seed;
    uint64_t wrong = 0;
    top.clk = 1; top.eval();
    for (uint64_t cycle = 0; cycle < cycles; cycle++) {
        const uint64_t last = top.wa, bits = draw();  // addresses come after the rising edge
        top.we = bits & 1;
        top.wa = draw(); top.d = draw() & 0x3ffff;
        top.ra = bits & 6 ? draw() : last; top.rb = bits & 24 ? draw() : last;
        *same += top.ra == last;
        top.eval();
        top.clk = 0; top.eval();
        wrong += top.qa != top.made_qa || top.qb != top.made_qb || top.q != top.made_q || top.few != top.made_few;
        top.clk = 1; top.eval();
    }
    top.final();
    return wrong;
}
