"""One core: three engines, the units between them, their memories, the sequencer and the host port."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.arith.mac import SharedMac
from hw.config import CoreConfig
from hw.counters import COUNTED, ENGINE_COUNTERS, Counters
from hw.engines.loss import LossUnit
from hw.engines.neuron import NeuronUnit
from hw.engines.neuron_grad import NeuronGradUnit
from hw.engines.update import UpdateUnit
from hw.host_port import HostPort
from hw.layouts import GRADIENT_FAULTS, WORD, Fault, Opcode, Space
from hw.memory import SharedMemory, WeightMemory
from hw.registry import load
from hw.sequencer import Sequencer
from hw.streams import Buffer, link
from hw.transfer import ReceiveUnit, SendUnit


class Core(wiring.Component):
    """A core that trains: samples and labels in, spikes of the last layer out, weights in its memory.

    ::

        spikes --> FORWARD --> neuron --> spikes, masks
                     | rows
                  weights
                     | columns
        errors <-- neuron_grad <-- BACKWARD <-- errors     loss --> neuron_grad
                                                   |
        gradients <-- WEIGHT_GRAD <-- spikes, errors
            +--> update --> weights

    Members
    -------
    i, o : streams of 32-bit words, the host port (:class:`hw.host_port.HostPort`)
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        super().__init__({"i": In(stream.Signature(WORD)), "o": Out(stream.Signature(WORD))})

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg
        m.submodules.host = host = HostPort(cfg)
        m.submodules.sequencer = sequencer = Sequencer(cfg)
        m.submodules.counters = counters = Counters(cfg)
        m.submodules.forward = forward = load(cfg.engine("forward").rtl)(cfg)
        m.submodules.neuron = neuron = NeuronUnit(cfg)
        m.submodules.backward = backward = load(cfg.engine("backward").rtl)(cfg)
        m.submodules.loss = loss = LossUnit(cfg)
        m.submodules.neuron_grad = neuron_grad = NeuronGradUnit(cfg)
        m.submodules.weight_grad = weight_grad = load(cfg.engine("weight_grad").rtl)(cfg)
        m.submodules.update = update = UpdateUnit(cfg)
        m.submodules.receive = receive = ReceiveUnit(cfg)
        m.submodules.send = send = SendUnit(cfg)
        clients = (neuron_grad, neuron, update)
        m.submodules.mac = mac = SharedMac(cfg, [unit.tag.size for unit in clients])
        m.submodules.input = taken = Buffer(WORD)
        m.submodules.output = given = Buffer(WORD)
        link(m, self.i, taken.i)
        link(m, taken.o, host.i)
        link(m, host.o, given.i)
        link(m, given.o, self.o)
        link(m, host.sample, receive.i)
        link(m, send.o, host.send)
        for n, unit in enumerate(clients):
            m.d.comb += [
                mac.i[n].valid.eq(unit.request.valid),
                mac.i[n].payload.eq(unit.request.payload),
                unit.request.ready.eq(mac.i[n].ready),
                unit.result.eq(mac.o),
                unit.result_tag.eq(mac.o_tag),
                unit.result_valid.eq(mac.o_valid[n]),
            ]

        # Memories
        m.submodules.weights = weights = WeightMemory(cfg)
        rows, width = cfg.weight_rows, cfg.row_bits
        grad_cols, error_cols = cfg.weight_grad_cols, cfg.backward_cols
        m.submodules.gradients = gradients = SharedMemory(width, rows // grad_cols, 1, granules=grad_cols)
        m.submodules.momentum = momentum = SharedMemory(width, rows, 1)
        m.submodules.spikes = spikes = SharedMemory(cfg.spike_bits, cfg.spike_words, 3)
        m.submodules.masks = masks = SharedMemory(cfg.spike_bits, cfg.spike_words, 1)
        m.submodules.errors = errors = SharedMemory(width, cfg.error_rows // error_cols, 2, granules=error_cols)
        m.submodules.error_masks = error_masks = SharedMemory(cfg.spike_bits, cfg.error_words, 1)
        spaces = {
            Space.WEIGHTS: weights,
            Space.GRADIENTS: gradients,
            Space.MOMENTUM: momentum,
            Space.SPIKES: spikes,
            Space.MASKS: masks,
            Space.ERRORS: errors,
            Space.ERROR_MASKS: error_masks,
            Space.LOSS_TABLE: loss,
        }
        if cfg.surrogate == "triangle":
            m.submodules.potentials = potentials = SharedMemory(width, cfg.spike_words << cfg.step_bits, 1)
            spaces[Space.POTENTIALS] = potentials
            m.d.comb += [
                potentials.write_address.eq(neuron.row_address),
                potentials.write_en.eq(neuron.row_en),
                potentials.write_data.eq(neuron.potentials),
                potentials.read_address[0].eq(neuron_grad.potential_address),
                potentials.read_en[0].eq(neuron_grad.potential_en),
                neuron_grad.potentials.eq(potentials.read_data[0]),
            ]
        for space, unit in spaces.items():
            m.d.comb += [
                unit.host_select.eq(host.select[space]),
                unit.host_write.eq(host.select[space] & host.write),
                unit.host_address.eq(host.address),
                unit.host_wdata.eq(host.wdata),
                host.rdata[space].eq(unit.host_rdata),
            ]
        m.d.comb += [
            sequencer.program_write.eq(host.select[Space.PROGRAM] & host.write),
            sequencer.program_address.eq(host.address),
            sequencer.jobs_write.eq(host.select[Space.JOBS] & host.write),
            sequencer.jobs_address.eq(host.address),
            sequencer.host_wdata.eq(host.wdata),
            host.rdata[Space.REGISTERS].eq(counters.rdata),
            counters.address.eq(host.address),
        ]

        # Jobs: each queue's launcher describes what its unit does, and where for this sample
        units = {
            Opcode.FORWARD: forward,
            Opcode.BACKWARD: backward,
            Opcode.WEIGHT_GRAD: weight_grad,
            Opcode.UPDATE: update,
            Opcode.RECEIVE: receive,
            Opcode.SEND: send,
        }

        def base(queue, pointer, errors=False):
            """First word of this sample: one of up to three slots of spikes, or of two slots of errors."""
            job, slot = sequencer.job[queue], sequencer.slot[queue]
            step = job[f"{pointer}_slot"]
            address = Signal(cfg.address_bits, name=f"{queue.name.lower()}_{pointer}")
            with m.If(sequencer.odd[queue] if errors else slot[0]):
                m.d.comb += address.eq(job[pointer] + step)
            with m.Elif(0 if errors else slot[1]):
                m.d.comb += address.eq(job[pointer] + (step << 1))
            with m.Else():
                m.d.comb += address.eq(job[pointer])
            return address

        for queue, unit in units.items():
            m.d.comb += [unit.job.eq(sequencer.job[queue]), unit.start.eq(sequencer.go[queue])]
        backward_aux = base(Opcode.BACKWARD, "aux")
        label = Array(receive.labels)[sequencer.slot[Opcode.BACKWARD]]
        m.d.comb += [
            forward.src.eq(base(Opcode.FORWARD, "src")),
            neuron.job.eq(forward.job),
            neuron.dst.eq(base(Opcode.FORWARD, "dst")),
            backward.src.eq(base(Opcode.BACKWARD, "src", errors=True)),
            backward.start.eq(sequencer.go[Opcode.BACKWARD] & ~sequencer.loss),
            loss.start.eq(sequencer.go[Opcode.BACKWARD] & sequencer.loss),
            loss.job.eq(backward.job),
            loss.aux.eq(backward_aux),
            loss.label.eq(label),
            neuron_grad.job.eq(backward.job),
            neuron_grad.dst.eq(base(Opcode.BACKWARD, "dst", errors=True)),
            neuron_grad.aux.eq(backward_aux),
            weight_grad.src.eq(base(Opcode.WEIGHT_GRAD, "src")),
            weight_grad.aux.eq(base(Opcode.WEIGHT_GRAD, "aux", errors=True)),
            receive.dst.eq(base(Opcode.RECEIVE, "dst")),
            receive.slot.eq(sequencer.slot[Opcode.RECEIVE]),
            send.src.eq(base(Opcode.SEND, "src")),
            sequencer.busy[Opcode.FORWARD].eq(forward.busy | neuron.busy),
            sequencer.busy[Opcode.BACKWARD].eq(backward.busy | loss.busy | neuron_grad.busy),
            sequencer.busy[Opcode.WEIGHT_GRAD].eq(weight_grad.busy),
            sequencer.busy[Opcode.UPDATE].eq(update.busy),
            sequencer.busy[Opcode.RECEIVE].eq(receive.busy),
            sequencer.busy[Opcode.SEND].eq(send.busy),
        ]

        # From engine to engine
        link(m, forward.o, neuron.i)
        with m.If(loss.busy):
            m.d.comb += [
                neuron_grad.i.payload.eq(loss.o.payload),
                neuron_grad.i.valid.eq(loss.o.valid),
                loss.o.ready.eq(neuron_grad.i.ready),
            ]
        with m.Else():
            m.d.comb += [
                neuron_grad.i.payload.eq(backward.o.payload),
                neuron_grad.i.valid.eq(backward.o.valid),
                backward.o.ready.eq(neuron_grad.i.ready),
            ]

        # Weights
        m.d.comb += [
            weights.row_tile.eq(forward.row_tile),
            weights.row_number.eq(forward.row_number),
            weights.row_en.eq(forward.row_en),
            forward.row_data.eq(weights.row_data),
            weights.col_tile.eq(backward.row_tile),
            weights.col_number.eq(backward.row_number),
            weights.col_en.eq(backward.row_en),
            backward.row_data.eq(weights.col_data),
            weights.update_address.eq(update.weight_address),
            weights.update_read.eq(update.weight_read),
            update.weights.eq(weights.row_data),
            weights.update_write_address.eq(update.weight_write_address),
            weights.update_write.eq(update.weight_write),
            weights.update_data.eq(update.weight_data),
        ]

        # Gradients and momenta
        grad_bits = (grad_cols - 1).bit_length()
        beat_bits = cfg.lane_bits - grad_bits
        sub = Signal(max(grad_bits, 1))
        with m.If(update.gradient_read):
            m.d.sync += sub.eq(update.gradient_address[:grad_bits])
        m.d.comb += [
            gradients.read_address[0].eq(
                Mux(
                    update.busy,
                    update.gradient_address >> grad_bits,
                    Cat(weight_grad.read_beat[:beat_bits], weight_grad.read_tile),
                )
            ),
            gradients.read_en[0].eq(weight_grad.read_en | update.gradient_read),
            weight_grad.read_data.eq(gradients.read_data[0]),
            update.gradients.eq(
                Array(gradients.read_data[0][n * width : (n + 1) * width] for n in range(grad_cols))[sub]
            ),
            momentum.read_address[0].eq(update.momentum_address),
            momentum.read_en[0].eq(update.momentum_read),
            update.momenta.eq(momentum.read_data[0]),
            momentum.write_address.eq(update.momentum_write_address),
            momentum.write_en.eq(update.momentum_write),
            momentum.write_data.eq(update.momentum_data),
        ]
        with m.If(update.gradient_clear):
            m.d.comb += [
                gradients.write_address.eq(update.gradient_clear_address >> grad_bits),
                gradients.write_en.eq(1 << update.gradient_clear_address[:grad_bits]),
            ]
        with m.Else():
            m.d.comb += [
                gradients.write_address.eq(Cat(weight_grad.write_beat[:beat_bits], weight_grad.write_tile)),
                gradients.write_en.eq(weight_grad.write_en.replicate(grad_cols)),
                gradients.write_data.eq(weight_grad.write_data),
            ]

        # Spikes and masks: the neuron writes before the receive unit; reader 2 serves neuron_grad, loss, send
        m.d.comb += [
            spikes.read_address[0].eq(forward.word_address),
            spikes.read_en[0].eq(forward.word_en),
            forward.word_data.eq(spikes.read_data[0]),
            spikes.read_address[1].eq(weight_grad.word_address),
            spikes.read_en[1].eq(weight_grad.word_en),
            weight_grad.word_data.eq(spikes.read_data[1]),
            neuron_grad.spikes.eq(spikes.read_data[2]),
            loss.spikes.eq(spikes.read_data[2]),
            send.spikes.eq(spikes.read_data[2]),
            masks.read_address[0].eq(neuron_grad.spike_address),
            masks.read_en[0].eq(neuron_grad.spike_en),
            neuron_grad.masks.eq(masks.read_data[0]),
            masks.write_address.eq(neuron.word_address),
            masks.write_en.eq(neuron.word_en),
            masks.write_data.eq(neuron.masks),
        ]
        with m.If(neuron_grad.spike_en):
            m.d.comb += [spikes.read_address[2].eq(neuron_grad.spike_address), spikes.read_en[2].eq(1)]
        with m.Elif(neuron_grad.spike_hold):
            m.d.comb += spikes.read_en[2].eq(0)
        with m.Elif(loss.spike_request):
            m.d.comb += [
                loss.spike_grant.eq(1),
                spikes.read_address[2].eq(loss.spike_address),
                spikes.read_en[2].eq(1),
            ]
        with m.Elif(send.spike_request):
            m.d.comb += [
                send.spike_grant.eq(1),
                spikes.read_address[2].eq(send.spike_address),
                spikes.read_en[2].eq(1),
            ]
        m.d.comb += receive.word_ready.eq(~neuron.word_en)
        with m.If(neuron.word_en):
            m.d.comb += [
                spikes.write_address.eq(neuron.word_address),
                spikes.write_en.eq(1),
                spikes.write_data.eq(neuron.spikes),
            ]
        with m.Else():
            m.d.comb += [
                spikes.write_address.eq(receive.word_address),
                spikes.write_en.eq(receive.word_en),
                spikes.write_data.eq(receive.word),
            ]

        # Errors: reader 0 gives rows to weight_grad, reader 1 operands to backward
        error_bits = (error_cols - 1).bit_length()
        chunk_bits = cfg.step_bits - error_bits
        chosen = Signal(max(error_bits, 1))
        with m.If(weight_grad.row_en):
            m.d.sync += chosen.eq(weight_grad.row_number[:error_bits])
        m.d.comb += [
            errors.read_address[0].eq(Cat(weight_grad.row_number[error_bits : cfg.step_bits], weight_grad.row_tile)),
            errors.read_en[0].eq(weight_grad.row_en),
            weight_grad.row_data.eq(
                Array(errors.read_data[0][n * width : (n + 1) * width] for n in range(error_cols))[chosen]
            ),
            errors.read_address[1].eq(Cat(backward.error_beat[:chunk_bits], backward.error_word)),
            errors.read_en[1].eq(backward.error_en),
            backward.error_data.eq(errors.read_data[1]),
            errors.write_address.eq(neuron_grad.error_address >> error_bits),
            errors.write_en.eq(neuron_grad.error_en << neuron_grad.error_address[:error_bits]),
            errors.write_data.eq(neuron_grad.errors.replicate(error_cols)),
            error_masks.read_address[0].eq(backward.word_address),
            error_masks.read_en[0].eq(backward.word_en),
            backward.word_data.eq(error_masks.read_data[0]),
            error_masks.write_address.eq(neuron_grad.mask_address),
            error_masks.write_en.eq(neuron_grad.mask_en),
            error_masks.write_data.eq(neuron_grad.mask),
        ]

        # Faults are kept until the next start, with the job that had the first one
        faults = Signal(len(Fault))
        first_job = Signal(8)
        raised = Signal(len(Fault))
        mac_fault = Cat(mac.nonfinite & valid for valid in mac.o_valid)
        m.d.comb += [
            raised[Fault.FORWARD].eq(forward.nonfinite),
            raised[Fault.BACKWARD].eq(backward.nonfinite),
            raised[Fault.WEIGHT_GRAD].eq(weight_grad.nonfinite),
            raised[Fault.NEURON_GRAD].eq(mac_fault[0]),
            raised[Fault.NEURON].eq(mac_fault[1]),
            raised[Fault.UPDATE].eq(mac_fault[2]),
        ]
        owners = {
            Fault.FORWARD: Opcode.FORWARD,
            Fault.NEURON: Opcode.FORWARD,
            Fault.BACKWARD: Opcode.BACKWARD,
            Fault.NEURON_GRAD: Opcode.BACKWARD,
            Fault.WEIGHT_GRAD: Opcode.WEIGHT_GRAD,
            Fault.UPDATE: Opcode.UPDATE,
        }
        with m.If(sequencer.start):
            m.d.sync += [faults.eq(0), first_job.eq(0)]
        with m.Else():
            m.d.sync += faults.eq(faults | raised)
            for fault, queue in owners.items():
                with m.If(raised[fault] & ~faults.any()):
                    m.d.sync += first_job.eq(sequencer.number[queue])
        status = Cat(faults, Const(0, 8 - len(Fault)), first_job)
        m.d.comb += [
            update.skip.eq((faults & GRADIENT_FAULTS).any()),
            host.status.eq(status),
            host.halted.eq(sequencer.halted),
            sequencer.start.eq(host.start),
            sequencer.samples.eq(host.samples),
            host.send_last.eq(send.last),
        ]

        # Counters
        increments = {
            **{f"{name}.{counter}": getattr(engine.activity, field)
               for name, engine in (("forward", forward), ("backward", backward), ("weight_grad", weight_grad))
               for counter, field in ENGINE_COUNTERS.items()},
            "update.running": update.busy,
            "receive.running": receive.busy,
            "send.running": send.busy,
            "mac.neuron": neuron.request.valid & neuron.request.ready,
            "mac.neuron_grad": neuron_grad.request.valid & neuron_grad.request.ready,
            "mac.update": update.request.valid & update.request.ready,
            "spikes.reads": sum(spikes.read_en),
            "spikes.writes": spikes.write_en,
            "masks.reads": masks.read_en[0],
            "masks.writes": masks.write_en,
            "errors.reads": weight_grad.row_en + backward.error_en,
            "errors.writes": neuron_grad.error_en,
            "error_masks.reads": error_masks.read_en[0],
            "error_masks.writes": neuron_grad.mask_en,
            "gradients.reads": gradients.read_en[0],
            "gradients.writes": gradients.write_en.any(),
            "momentum.reads": momentum.read_en[0],
            "momentum.writes": momentum.write_en,
            "weights.reads": forward.row_en + backward.row_en + update.weight_read,
            "weights.writes": weights.update_write,
            "host.words_in": self.i.valid & self.i.ready,
            "host.words_out": self.o.valid & self.o.ready,
        }  # fmt: skip
        if set(increments) != set(COUNTED):
            raise ValueError(f"counters and increments differ in {set(increments) ^ set(COUNTED)}")
        m.d.comb += [counters.counted[name].eq(value) for name, value in increments.items()]
        state = [status, *sequencer.waiting, sequencer.active]
        m.d.comb += [register.eq(value) for register, value in zip(counters.state, state, strict=True)]
        m.d.comb += counters.running.eq(sequencer.running)
        return m
