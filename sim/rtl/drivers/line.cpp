// A design behind a serial line: this side plays the host's pins, bit by bit, and moves bytes in bulk.
#include <cstdint>
#include <cstddef>
#include <deque>
#include TOP_HEADER

struct Line {
    VerilatedContext context;
    TOP_CLASS top{&context};
    uint64_t cycles = 0;
    double bit;                  // cycles of a bit, as the host's clock has it

    // To the chip
    std::deque<uint8_t> waiting;
    unsigned bits = 0, bits_left = 0;
    double next = 0;             // when the line changes next

    // From the chip
    bool receiving = false;
    unsigned value = 0, count = 0;
    double sample = 0;           // when the line is looked at next
};

extern "C" {

Line *line_create(double bit) {
    Line *line = new Line;
    line->bit = bit;
    line->top.clk = 0; line->top.rx = 1;
    line->top.eval();
    return line;
}

void line_destroy(Line *line) {
    line->top.final();
    delete line;
}

uint64_t line_cycles(Line *line) { return line->cycles; }

unsigned line_lamps(Line *line) { return line->top.busy | line->top.error << 1; }

size_t line_waiting(Line *line) { return line->waiting.size(); }

void line_write(Line *line, const uint8_t *bytes, size_t count) {
    line->waiting.insert(line->waiting.end(), bytes, bytes + count);
}

// Run up to `cycles` cycles, until `room` bytes have come, or until a byte `stop` comes behind another. Returns how many
// bytes have come.
size_t line_run(Line *line, uint64_t cycles, uint8_t *out, size_t room, int stop) {
    const uint64_t end = line->cycles + cycles;
    size_t got = 0;
    bool running = got < room;
    while (running && line->cycles < end) {
        if (line->cycles >= line->next) {
            if (line->bits_left) {
                line->top.rx = line->bits & 1;
                line->bits >>= 1;
                line->bits_left--;
                line->next += line->bit;
            } else if (!line->waiting.empty()) {
                line->bits = line->waiting.front() | 0x100;
                line->waiting.pop_front();
                line->bits_left = 9;
                line->top.rx = 0;
                line->next = line->next + 1 > line->cycles ? line->next + line->bit : line->cycles + line->bit;
            }
        }
        line->top.clk = 1; line->top.eval();
        line->top.clk = 0; line->top.eval();
        line->cycles++;
        if (!line->receiving) {
            if (!line->top.tx) {
                line->receiving = true;
                line->count = line->value = 0;
                line->sample = line->cycles + 1.5 * line->bit - 0.5;
            }
        } else if (line->cycles >= line->sample) {
            line->sample += line->bit;
            if (line->count++ < 8) {
                line->value = line->value >> 1 | (line->top.tx ? 0x80 : 0);
            } else {
                line->receiving = false;
                if (line->top.tx) {  // a stop bit
                    out[got++] = line->value;
                    running = got < room && !(static_cast<int>(line->value) == stop && got > 1);
                }
            }
        }
    }
    return got;
}

}
