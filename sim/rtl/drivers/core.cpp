// One core: a step takes what came from the network and gives what goes to it. Both are registers, so that cores and
// network can be evaluated in any order within a cycle.
#include "Vcore_sim.h"
#include "Vcore_sim___024root.h"
#include "ports.h"

// What Vcore_sim::eval() does between taking locks that only messages and coverage need; a tenth of a small core's time
void Vcore_sim___024root___eval(Vcore_sim___024root *);

struct Core {
    VerilatedContext context;
    Vcore_sim top{&context};
};

extern "C" {

void *core_create(int x, int y) {
    Core *core = new Core;
    core->top.clk = 0; core->top.x = x; core->top.y = y;
    core->top.eval();
    return core;
}

void core_destroy(void *model) {
    Core *core = static_cast<Core *>(model);
    core->top.final();
    delete core;
}

void core_step(void *model, const Port *in, FromCore *out) {
    Vcore_sim &top = static_cast<Core *>(model)->top;
    top.i_valid = in->valid; top.i_last = in->last; top.i_channel = in->channel; top.o_credit = in->credit;
    put(top.i_data, in->data);
    top.clk = 1; Vcore_sim___024root___eval(top.rootp);
    top.clk = 0; Vcore_sim___024root___eval(top.rootp);
    get(top.o_data, out->link.data);
    out->link.valid = top.o_valid; out->link.last = top.o_last; out->link.channel = top.o_channel;
    out->link.credit = top.i_credit;
    out->table_en = top.table_en; out->table_address = top.table_address; out->table_data = top.table_data;
    out->active = top.active;
}

}
