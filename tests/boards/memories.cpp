// Random reads and writes of memories.v, as it is written and as it was synthesised, side by side.
#include <cstdint>
#include "Vpair.h"

static uint64_t state;
static uint64_t draw() { state ^= state << 13; state ^= state >> 7; state ^= state << 17; return state; }

struct Output { uint64_t written, synthesised; unsigned words; bool other; };  // other: of the port that does not write

extern "C" uint64_t pair_run(uint64_t seed, uint64_t cycles, uint64_t *collisions) {
    VerilatedContext context;
    Vpair top{&context};
    state = seed;
    uint64_t wrong = 0, word = 1;
    bool shown[8] = {};  // whether what is shown comes from a read that collided
    for (uint64_t cycle = 0; cycle < cycles; cycle++) {
        const uint64_t bits = draw();
        const bool wide = bits & 0x300;  // most addresses anywhere, some within a few words
        top.we = bits & 1; top.re = bits >> 1 & 1;
        top.wa = draw() & (wide ? 0x3fff : 7); top.ra = draw() & (wide ? 0x3fff : 7);
        if (!(bits & 0xc00)) top.ra = top.wa;
        top.d = draw() & 0xfffffffffULL;
        top.clk = 0; top.eval();
        wrong += top.product != top.made_product;
        top.clk = 1; top.eval();
        const Output outputs[8] = {
            {top.q1, top.made_q1, 16384, true}, {top.q2, top.made_q2, 8192, true}, {top.q4, top.made_q4, 4096, true},
            {top.q9, top.made_q9, 2048, true}, {top.q18, top.made_q18, 1024, true}, {top.q36, top.made_q36, 512, true},
            {top.q, top.made_q, 2048, true}, {top.q_same, top.made_q_same, 2048, false},
        };
        const unsigned widths[8] = {1, 2, 4, 9, 18, 36, 9, 9};
        for (unsigned n = 0; n < 8; n++) {
            const Output &out = outputs[n];
            if (out.other && top.re) {
                shown[n] = top.we && top.wa % out.words == top.ra % out.words;
                collisions[n] += shown[n];
            }
            const uint64_t complement = shown[n] ? (1ULL << widths[n]) - 1 : 0;
            wrong += out.synthesised != (out.written ^ complement);
        }
    }
    top.final();
    return wrong;
}
