// A chip: the network in this library, the cores in another, which is given as a function. With CORES of 0 all of the
// chip is in this library. Two threads share the cores; a cycle reads what the last one left, so that their order is
// of no matter.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>
#include TOP_HEADER
#include "ports.h"
#if WAVES
#include "verilated_vcd_c.h"
#endif

static const unsigned SPINS = 2000;       // looks at a variable before another thread gets the processor
static const uint64_t SHORT_PHASE = 256, LONG_PHASE = 16384;  // cycles

typedef void (*Step)(void *, const Port *, FromCore *);

struct Change { uint64_t cycle; uint32_t core, active; };

static inline void pause_briefly() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

struct Chip {
    VerilatedContext context;
    TOP_CLASS top{&context};
    uint64_t cycles = 0;
#if WAVES
    VerilatedVcdC waves;
#endif
    Step step = nullptr;
    std::vector<void *> core;
    std::vector<Port> to[2];         // by the parity of the cycle
    std::vector<FromCore> from[2];
    std::vector<Change> changes;     // of what the cores' queues do, while recording
    std::vector<uint32_t> active;
    size_t capacity = 0;
    uint64_t quiet = 0;              // cycles in which nothing has happened

    // The helper takes cores from the end, this thread from the beginning, until they meet
    std::thread helper;
    std::mutex mutex;
    std::condition_variable wake;
    bool awake = false, ending = false;
    alignas(64) std::atomic<uint64_t> begun{0};
    alignas(64) std::atomic<uint64_t> done{0};
    alignas(64) std::atomic<int> left{0};
    int parity = 0;

    void step_core(int n) { step(core[n], &to[parity][n], &from[parity ^ 1][n]); }

    void help() {
        uint64_t seen = 0;
        for (;;) {
            {
                std::unique_lock<std::mutex> lock(mutex);
                wake.wait(lock, [this] { return awake || ending; });
                if (ending) return;
                seen = done.load();
            }
            for (unsigned idle = 0;;) {
                if (begun.load(std::memory_order_acquire) != seen) {
                    int n = static_cast<int>(core.size());
                    while (left.fetch_sub(1, std::memory_order_acq_rel) > 0) step_core(--n);
                    done.store(++seen, std::memory_order_release);
                    idle = 0;
                } else if (++idle < SPINS) {
                    pause_briefly();
                } else {
                    {
                        std::unique_lock<std::mutex> lock(mutex);
                        if (!awake) break;
                    }
                    std::this_thread::yield();
                    idle = 0;
                }
            }
        }
    }

    void attend(bool on) {
        if (!helper.joinable() || awake == on) return;
        std::unique_lock<std::mutex> lock(mutex);
        awake = on;
        wake.notify_one();
    }

    // Whether the helper is worth it depends on what else the computer does: both ways are timed again and again
    int phase = 0;                   // 0: with the helper, 1: without, 2: as was faster
    uint64_t phase_end = 0;
    double taken[2] = {};
    std::chrono::steady_clock::time_point phase_began;

    void begin_phase(int next) {
        phase = next;
        phase_end = cycles + (phase == 2 ? LONG_PHASE : SHORT_PHASE);
        attend(phase == 0 || (phase == 2 && taken[0] < taken[1]));
        phase_began = std::chrono::steady_clock::now();
    }

    void end_phase() {
        const std::chrono::duration<double> time = std::chrono::steady_clock::now() - phase_began;
        if (phase < 2) taken[phase] = time.count();
        begin_phase((phase + 1) % 3);
    }
};

#define LINK_IN(n) do { const FromCore &f = chip->from[chip->parity][n]; \
    put(chip->top.from##n##_data, f.link.data); \
    chip->top.from##n##_valid = f.link.valid; chip->top.from##n##_last = f.link.last; \
    chip->top.from##n##_channel = f.link.channel; chip->top.to##n##_credit = f.link.credit; \
    chip->top.table##n##_en = f.table_en; chip->top.table##n##_address = f.table_address; \
    chip->top.table##n##_data = f.table_data; } while (0);
#define LINK_OUT(n) do { Port &t = chip->to[chip->parity ^ 1][n]; \
    get(chip->top.to##n##_data, t.data); \
    t.valid = chip->top.to##n##_valid; t.last = chip->top.to##n##_last; t.channel = chip->top.to##n##_channel; \
    t.credit = chip->top.from##n##_credit; } while (0);

// One cycle of the network, then of the cores beside it
static void tick(Chip *chip) {
    const int cores = static_cast<int>(chip->core.size());
    const bool helped = chip->awake;
    if (helped) {
        chip->left.store(cores, std::memory_order_relaxed);
        chip->begun.fetch_add(1, std::memory_order_release);
    }
    EACH_CORE(LINK_IN)
    chip->top.clk = 1; chip->top.eval();
#if WAVES
    chip->waves.dump(chip->cycles * 10);
#endif
    chip->top.clk = 0; chip->top.eval();
#if WAVES
    chip->waves.dump(chip->cycles * 10 + 5);
#endif
    EACH_CORE(LINK_OUT)
    if (helped) {
        int n = 0;
        while (chip->left.fetch_sub(1, std::memory_order_acq_rel) > 0) chip->step_core(n++);
        const uint64_t target = chip->begun.load(std::memory_order_relaxed);
        for (unsigned idle = 0; chip->done.load(std::memory_order_acquire) != target;) {
            if (++idle < SPINS) pause_briefly(); else std::this_thread::yield();
        }
    } else {
        for (int n = 0; n < cores; n++) chip->step_core(n);
    }
    chip->parity ^= 1;
    if (++chip->cycles == chip->phase_end) chip->end_phase();
    // Does anything happen? A link carries a flit, or an engine begins or ends
    bool moving = false;
    for (int n = 0; n < cores; n++) {
        const FromCore &from = chip->from[chip->parity][n];
        const uint32_t now = from.active;
        moving |= from.link.valid | chip->to[chip->parity][n].valid;
        if (now == chip->active[n]) continue;
        moving = true;
        if (chip->changes.size() < chip->capacity)
            chip->changes.push_back({chip->cycles, static_cast<uint32_t>(n), now});
        chip->active[n] = now;
    }
#if WHOLE
    uint32_t now[sizeof(chip->top.active) / 4 + 2] = {};
    get(chip->top.active, now);
    for (size_t n = 0; n < sizeof(now) / 4; n++) {
        moving |= now[n] != chip->active[n];
        chip->active[n] = now[n];
    }
#endif
    chip->quiet = moving ? 0 : chip->quiet + 1;
}

extern "C" {

Chip *chip_create(const char *waves, Step step, void **cores, int count, int threads) {
    Chip *chip = new Chip;
#if WAVES
    chip->context.traceEverOn(true);
    chip->top.trace(&chip->waves, 99);
    chip->waves.open(waves);
#endif
    chip->step = step;
    chip->core.assign(cores, cores + count);
    for (int p = 0; p < 2; p++) {
        chip->to[p].assign(count, Port{});
        chip->from[p].assign(count, FromCore{});
    }
    chip->active.assign(count + 256, 0);
    if (count > 1 && threads > 1) chip->helper = std::thread(&Chip::help, chip);
    chip->top.clk = 0; chip->top.i_valid = 0; chip->top.o_ready = 0;
    chip->top.eval();
    return chip;
}

void chip_destroy(Chip *chip) {
    if (chip->helper.joinable()) {
        {
            std::unique_lock<std::mutex> lock(chip->mutex);
            chip->ending = true;
            chip->wake.notify_one();
        }
        chip->helper.join();
    }
#if WAVES
    chip->waves.close();
#endif
    chip->top.final();
    delete chip;
}

uint64_t chip_cycles(Chip *chip) { return chip->cycles; }

// Record up to `capacity` changes of what the cores do, from now on
void chip_record(Chip *chip, size_t capacity) {
    chip->changes.clear();
    chip->capacity = capacity;
}

size_t chip_changes(Chip *chip, Change *out, size_t capacity) {
    const size_t count = chip->changes.size() < capacity ? chip->changes.size() : capacity;
    for (size_t n = 0; n < count; n++) out[n] = chip->changes[n];
    return count;
}

// Give `count` flits to the chip and take `wanted` packets' ends from it; stop when both are done, when `room` flits
// came, or when nothing at all has happened for `limit` cycles. A flit is FLIT_WORDS words, and one that is 1 if it is its packet's last.
// Returns the number of flits that came; *given is the number of flits given.
size_t chip_exchange(Chip *chip, const uint32_t *flits, size_t count, size_t *given, uint32_t *out, size_t room,
                     size_t wanted, uint64_t limit) {
    constexpr int STEP = FLIT_WORDS + 1;
    size_t sent = 0, got = 0, packets = 0;
    if (chip->helper.joinable()) chip->begin_phase(0);
    chip->quiet = 0;
    while (chip->quiet < limit && got < room && (sent < count || packets < wanted)) {
        chip->top.o_ready = 1;
        chip->top.i_valid = sent < count;
        if (sent < count) {
            put(chip->top.i_data, flits + sent * STEP);
            chip->top.i_last = flits[sent * STEP + FLIT_WORDS];
        }
        chip->top.eval();
        const bool give = chip->top.i_valid && chip->top.i_ready;
        if (chip->top.o_valid) {
            get(chip->top.o_data, out + got * STEP);
            out[got * STEP + FLIT_WORDS] = chip->top.o_last;
            packets += chip->top.o_last;
            got++;
        }
        tick(chip);
        if (give) chip->quiet = 0;
        sent += give;
    }
    chip->attend(false);
    chip->top.i_valid = 0; chip->top.o_ready = 0;
    chip->top.eval();
    *given = sent;
    return got;
}

}
