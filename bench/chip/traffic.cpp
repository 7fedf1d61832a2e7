// Traffic on a mesh: every core sends packets to others at random, from a queue without end, and checks what it gets.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <vector>
#include "Vmesh_sim.h"

enum Pattern { UNIFORM, TRANSPOSE, HOTSPOT, BURSTY };

struct Setting {
    int pattern, length;             // flits of a packet
    double load;                     // flits per core and cycle that are offered
    int warmup, measured;            // cycles; then the measured packets drain
    uint32_t seed;
};

struct Result {
    double accepted;                 // flits per core and cycle that arrive while it measures
    double latency;                  // mean cycles of the measured packets, from their making to their last flit
    double network;                  // the same from the cycle in which their first flit is on the core's link
    uint64_t packets, cycles, wrong; // measured packets; simulated cycles; flits that were not what was due
    int drained;                     // all measured packets arrived
};

struct Random {                      // xorshift128+
    uint64_t a, b;
    explicit Random(uint64_t seed) : a(seed * 0x9E3779B97F4A7C15ull + 1), b(seed ^ 0xD1B54A32D192ED03ull) {
        for (int n = 0; n < 16; n++) next();
    }
    uint64_t next() {
        uint64_t x = a, y = b;
        a = y; x ^= x << 23; b = x ^ y ^ (x >> 17) ^ (y >> 26);
        return b + y;
    }
    double real() { return (next() >> 11) * 0x1p-53; }
    int below(int n) { return int(real() * n); }
};

struct Packet { int destination; uint64_t made; };

struct Core {
    std::deque<Packet> waiting;
    int sent = 0;                    // flits of the first packet that have left
    uint64_t left = 0;               // when its first flit left
    std::vector<int> room;           // free places behind the link, per channel
    std::vector<uint32_t> next_out, next_in; // numbers of packets, per destination and per source
    int taken = 0, source = 0;       // of the packet that arrives
    bool bursting = false;
};

struct Pins { CData *valid; IData *data; CData *last, *channel, *credit; };

struct Bench {
    VerilatedContext context;
    Vmesh_sim top{&context};
    Pins in[CORES], out[CORES];
    Bench() {
#define X(n) in[n] = {&top.i##n##_valid, &top.i##n##_data, &top.i##n##_last, &top.i##n##_channel, &top.i##n##_credit}; \
             out[n] = {&top.o##n##_valid, &top.o##n##_data, &top.o##n##_last, &top.o##n##_channel, &top.o##n##_credit};
        EACH_CORE
#undef X
        top.rst = 0; top.clk = 0; top.eval();
    }
    ~Bench() { top.final(); }
    void cycle() { top.clk = 1; top.eval(); top.clk = 0; top.eval(); }
};

static int channel_of(int destination) { return (destination % WIDTH + destination / WIDTH) % CHANNELS; }

static uint32_t header(int destination) { return (destination % WIDTH) << 2 | (destination / WIDTH) << 5; }

// A body flit tells source, number of the packet and place in it; so does the header, in the bits above the route
static uint32_t content(int source, uint32_t number, int place) {
    return uint32_t(source) << 8 | (number & 0xFFFF) << 14 | uint32_t(place & 3) << 30;
}

static int destination_of(Random &random, int source, int pattern) {
    if (pattern == TRANSPOSE) {      // (x, y) to (y, x), on the rectangle folded by number
        int n = (source % WIDTH) * HEIGHT + source / WIDTH;
        return n;
    }
    if (pattern == HOTSPOT && random.real() < 0.2) return source == HOT ? (HOT + 1) % CORES : HOT;
    int n = random.below(CORES - 1);
    return n + (n >= source);
}

extern "C" void traffic(const Setting *setting, Result *result) {
    Bench bench;
    Random random(setting->seed);
    std::vector<Core> cores(CORES);
    for (Core &core : cores) {
        core.room.assign(CHANNELS, BUFFERS);
        core.next_out.assign(CORES, 0); core.next_in.assign(CORES, 0);
    }
    std::vector<std::vector<std::deque<Packet>>> way(CORES, std::vector<std::deque<Packet>>(CORES)); // [from][to]
    std::vector<std::vector<std::deque<uint64_t>>> began(CORES, std::vector<std::deque<uint64_t>>(CORES));
    const uint64_t first = setting->warmup, end = first + setting->measured, limit = end + 4 * setting->measured;
    const double chance = setting->load / setting->length;
    uint64_t now = 0, open = 0, flits = 0;
    double latency = 0, network = 0;
    memset(result, 0, sizeof *result);
    for (; now < end || (open && now < limit); now++) {
        for (int n = 0; n < CORES; n++) {
            Core &core = cores[n];
            // What the mesh's registers show in this cycle
            Pins &from = bench.out[n], &to = bench.in[n];
            for (int c = 0; c < CHANNELS; c++) core.room[c] += *to.credit >> c & 1;
            *from.credit = *from.valid ? 1 << (CHANNELS > 1 ? *from.channel : 0) : 0;
            if (*from.valid) {
                uint32_t data = *from.data;
                if (!core.taken) core.source = data >> 8 & 0x3F;
                int source = core.source % CORES;
                uint32_t number = core.next_in[source];
                uint32_t due = content(source, number, core.taken) | (core.taken ? 0 : header(n));
                bool last = ++core.taken == setting->length;
                if (data != due || bool(*from.last) != last) result->wrong++;
                if (now >= first && now < end) flits++;
                if (*from.last) {
                    core.taken = 0;
                    core.next_in[source]++;
                    if (way[source][n].empty()) {
                        result->wrong++;
                    } else {
                        Packet packet = way[source][n].front();
                        uint64_t start = began[source][n].front();
                        way[source][n].pop_front(); began[source][n].pop_front();
                        if (packet.made >= first && packet.made < end) {
                            latency += now - packet.made; network += now - start;
                            result->packets++; open--;
                        }
                    }
                }
            }
            // New packets; if bursty, in bursts of 8 on average, at twice the load, with pauses as long
            double now_chance = chance;
            if (setting->pattern == BURSTY) {
                core.bursting = (random.real() < chance / 4) != core.bursting;
                now_chance = core.bursting ? 2 * chance : 0;
            }
            if (random.real() < now_chance) {
                int destination = destination_of(random, n, setting->pattern);
                if (destination != n) {
                    core.waiting.push_back({destination, now});
                    if (now >= first && now < end) open++;
                }
            }
            // Onto the link
            *to.valid = 0;
            if (core.waiting.empty()) continue;
            Packet &packet = core.waiting.front();
            int d = packet.destination, c = channel_of(d);
            if (!core.sent && core.room[c] < (setting->length == 1 ? 1 : PACKET)) continue;
            *to.valid = 1; *to.channel = c;
            *to.data = content(n, core.next_out[d], core.sent) | (core.sent ? 0 : header(d));
            if (!core.sent) core.left = now;
            core.room[c]--;
            *to.last = ++core.sent == setting->length;
            if (*to.last) {
                way[n][d].push_back(packet); began[n][d].push_back(core.left);
                core.waiting.pop_front(); core.next_out[d]++; core.sent = 0;
            }
        }
        bench.cycle();
    }
    result->accepted = double(flits) / setting->measured / CORES;
    result->latency = result->packets ? latency / result->packets : 0;
    result->network = result->packets ? network / result->packets : 0;
    result->cycles = now; result->drained = !open;
}

// Packets of a list, each made at its time, behind those of its core ahead of it: the cycle in which each has come
extern "C" uint64_t play(int packets, const int64_t *times, const int64_t *sources, const int64_t *targets,
                         const int64_t *lengths, int64_t *arrivals) {
    Bench bench;
    std::vector<std::deque<int>> waiting(CORES), way(CORES * CORES);
    std::vector<std::vector<int>> room(CORES, std::vector<int>(CHANNELS, BUFFERS));
    std::vector<int> sent(CORES), source(CORES), taken(CORES);
    int made = 0, open = packets;
    uint64_t now = 0, wrong = 0;
    for (; open && now < 100000000; now++) {
        for (; made < packets && times[made] <= int64_t(now); made++) waiting[sources[made]].push_back(made);
        for (int n = 0; n < CORES; n++) {
            Pins &from = bench.out[n], &to = bench.in[n];
            for (int c = 0; c < CHANNELS; c++) room[n][c] += *to.credit >> c & 1;
            *from.credit = *from.valid ? 1 << (CHANNELS > 1 ? *from.channel : 0) : 0;
            if (*from.valid) {
                if (!taken[n]) source[n] = *from.data >> 8;
                taken[n]++;
                if (*from.last) {
                    std::deque<int> &due = way[source[n] * CORES + n];
                    if (due.empty()) return 0;
                    wrong += lengths[due.front()] != taken[n];
                    arrivals[due.front()] = now;
                    due.pop_front(); open--; taken[n] = 0;
                }
            }
            *to.valid = 0;
            if (waiting[n].empty()) continue;
            int packet = waiting[n].front(), d = targets[packet], c = channel_of(d);
            if (!sent[n] && room[n][c] < (lengths[packet] == 1 ? 1 : PACKET)) continue;
            *to.valid = 1; *to.channel = c; *to.data = n << 8 | (sent[n] ? 0 : header(d));
            room[n][c]--;
            *to.last = ++sent[n] == lengths[packet];
            if (*to.last) { way[n * CORES + d].push_back(packet); waiting[n].pop_front(); sent[n] = 0; }
        }
        bench.cycle();
    }
    return wrong ? 0 : now;
}

// Mean cycles per router of packets of one flit that are alone in the mesh, from link to link
extern "C" double idle() {
    Bench bench;
    double total = 0;
    for (int from = 0; from < CORES; from++) for (int to = 0; to < CORES; to++) {
        if (from == to) continue;
        int hops = abs(from % WIDTH - to % WIDTH) + abs(from / WIDTH - to / WIDTH) + 1, cycles = 0;
        for (int n = 0; n < CORES; n++) { *bench.in[n].valid = n == from; *bench.out[n].credit = 0; }
        *bench.in[from].last = 1; *bench.in[from].data = header(to); *bench.in[from].channel = channel_of(to);
        do {
            bench.cycle(); cycles++;
            *bench.in[from].valid = 0;
        } while (!*bench.out[to].valid && cycles < 1000);
        *bench.out[to].credit = 1 << (CHANNELS > 1 ? *bench.out[to].channel : 0);
        bench.cycle();
        total += double(cycles) / hops;
    }
    return total / CORES / (CORES - 1);
}

// Cycles of the mesh alone, every core sending without pause to the one that many further on
extern "C" void spin(uint64_t cycles, int further) {
    Bench bench;
    for (int n = 0; n < CORES; n++) {
        int d = (n + further) % CORES;
        *bench.in[n].valid = d != n; *bench.in[n].last = 1; *bench.in[n].channel = channel_of(d);
        *bench.in[n].data = header(d); *bench.out[n].credit = 0;
    }
    for (uint64_t k = 0; k < cycles; k++) bench.cycle();
}
