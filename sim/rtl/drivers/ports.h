// What crosses between a core and the network in one cycle, each way.
#pragma once
#include <cstdint>
#include <cstddef>

struct Port {
    uint32_t data[FLIT_WORDS];
    uint8_t valid, last, channel;
    uint8_t credit;  // for the link in the other direction
};

struct FromCore {
    Port link;
    uint8_t table_en, table_address, table_data;
    uint8_t active;
};

// A payload as words, whatever type Verilator gives a port of its width
static inline void put(SData &port, const uint32_t *words) { port = static_cast<SData>(words[0]); }
static inline void put(IData &port, const uint32_t *words) { port = words[0]; }
static inline void put(QData &port, const uint32_t *words) { port = words[0] | static_cast<QData>(words[1]) << 32; }
template <std::size_t N> static inline void put(VlWide<N> &port, const uint32_t *words) {
    for (std::size_t n = 0; n < N; n++) port[n] = words[n];
}
static inline void get(const CData &port, uint32_t *words) { words[0] = port; }
static inline void get(const SData &port, uint32_t *words) { words[0] = port; }
static inline void get(const IData &port, uint32_t *words) { words[0] = port; }
static inline void get(const QData &port, uint32_t *words) { words[0] = port; words[1] = port >> 32; }
template <std::size_t N> static inline void get(const VlWide<N> &port, uint32_t *words) {
    for (std::size_t n = 0; n < N; n++) words[n] = port[n];
}
