"""Whole chips behind a serial line: who they are, how they are reset, and training over it, bit for bit as golden."""

import os
import re

import numpy as np
import pytest

from tests.hw.link.echo import echo_line, random_packets
from tests.hw.link.terminal import terminal
from trident.host.compile.chip_plan import ChipPlan, unicast
from trident.host.driver.driver import CoreStuck
from trident.host.driver.endpoint import Endpoint, LinkDown
from trident.host.driver.faulty_line import FaultyLine
from trident.host.driver.frames import Frame
from trident.host.driver.serial_link import SerialLink
from trident.host.driver.serial_port import SerialPort
from trident.host.driver.target import Target
from trident.host.train.lockstep import Lockstep
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.frames import BUFFER, HEAD, LINK_MAGIC, PAGE, VERSION, Kind, Record, link_digest
from trident.hw.isa.mesh import MeshConfig, mesh_for
from trident.hw.isa.packets import Command
from trident.hw.isa.registers import MAGIC
from trident.hw.isa.spaces import Space
from trident.hw.link.outbox import check_room
from trident.sim.golden.constants import UpdateConstants
from trident.sim.rtl.line import CLOCK, SimulatedLine, simulated_chip
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition
from trident.snn.neuron_settings import NeuronSettings
from trident.snn.train_settings import TrainSettings

CFG = CoreConfig.preset("FPGA")
SINGLE = mesh_for(CFG, MeshConfig(width=1, height=1))
DOUBLE = mesh_for(CFG, MeshConfig(width=2, height=1))
BAUD = 3_000_000
SAMPLES = 4


def _link(mesh: MeshConfig, seed: int = 0, every: float = 1e9) -> tuple[FaultyLine, SerialLink]:
    line = FaultyLine(simulated_chip(CFG, mesh, BAUD), seed, every)
    return line, SerialLink(line, CFG, mesh)


def _lockstep(link: SerialLink, mesh: MeshConfig, partition: str | None = None) -> Lockstep:
    """A small network on the chip and on golden, from the same weights."""
    network, settings = Network.parse("6-5-3"), TrainSettings(timesteps=CFG.timesteps, batch=SAMPLES)
    partition = Partition.parse(partition, network, CFG.lanes) if partition else None
    return Lockstep(ChipPlan(network, CFG, mesh, partition), NeuronSettings(), settings, link)


def _train(lockstep: Lockstep, steps: int = 2):
    """Training steps; raises Divergence unless spike counts, weights and momenta are those of golden."""
    before = lockstep.golden_state()["weights"]["linear1.weight"].copy()
    for seed in range(steps):
        rng = np.random.default_rng(seed)
        spikes = (rng.random((SAMPLES, CFG.timesteps, *lockstep.network.in_shape)) < 0.6).astype(np.uint8)
        constants = UpdateConstants.of(momentum=0.9, rate=0.5 / (256 * SAMPLES), samples=SAMPLES, fmt=CFG.format)
        lockstep.train(spikes, rng.integers(0, 3, SAMPLES), constants, 256, 0, f"step {seed}")
    lockstep.compare_state("the end")
    assert (lockstep.golden_state()["weights"]["linear1.weight"] != before).any()
    lockstep.close()


def _records(link: SerialLink) -> list[int]:
    """What the records will be that go over the link from now on."""
    made, make = [], link.records.make

    def told(flits):
        parts = make(flits)
        made.extend(HEAD.unpack([part.octets[0]])["record"] for part in parts)
        return parts

    link.records.make = told
    return made


@pytest.mark.parametrize("mesh, partition", [(SINGLE, None), (DOUBLE, "2x1-2"), (DOUBLE, "1,2")])
def test_training_steps_equal_golden(mesh, partition):
    line, link = _link(mesh)
    lockstep, made = _lockstep(link, mesh, partition), _records(link)
    _train(lockstep)
    assert Record.SPIKES in made
    assert link.endpoint.retries == 0 and not line.line.error
    assert link.intervals() == []
    link.close()


def test_training_equals_golden_under_faults():
    line, link = _link(SINGLE, seed=3, every=300)
    line.start()
    _train(_lockstep(link, SINGLE), 1)
    assert line.injected.total() > 10
    link.close()


def test_cable_pulled_in_an_update_then_reset_and_train_again():
    """The error names what was under way; after a RESET the chip trains as a new one, whatever its memories hold."""
    line, link = _link(SINGLE)
    lockstep = _lockstep(link, SINGLE)
    read, now = line.line.read, line.line.now
    pulled, skipped = [], 0.0

    def cut(seconds: float) -> bytes:
        nonlocal skipped
        if pulled:  # of the time in which nothing comes, a hundredth is simulated
            skipped += 0.99 * seconds
            return read(0.01 * seconds)
        octets = read(0.00001)
        if not pulled and line.line.busy and not line.line.waiting():  # all samples are there, and the core runs
            pulled.append(line.now())
            line.pull()
        return octets

    line.line.read, line.line.now = cut, lambda: now() + skipped
    with pytest.raises(LinkDown, match=r"for 1 s, while (sending|waiting for what comes after) .* core 0"):
        _train(lockstep)
    assert line.now() - pulled[0] < 2
    lockstep.close()
    line.line.read = read
    line.plug()
    link.reset()
    _train(_lockstep(link, SINGLE))
    link.close()


def test_chip_says_who_it_is_and_keeps_its_number():
    _, link = _link(SINGLE)
    page = link.endpoint.identify()
    assert page["digest"] == link_digest(CFG, SINGLE) and page["clock"] == CLOCK == link.clock_hz
    assert link.worker == 0
    link.worker = 201
    link.reset()
    assert link.worker == 201
    with pytest.raises(TridentError, match="0 to 255, not 256"):
        link.worker = 256
    assert link.cycles > 0
    link.close()


def test_another_configuration_is_refused():
    with pytest.raises(TridentError) as refused:
        SerialLink(simulated_chip(CFG, SINGLE, BAUD), CFG, DOUBLE)
    sentence = str(refused.value)
    for mesh in (SINGLE, DOUBLE):
        assert f"{link_digest(CFG, mesh):#010x}" in sentence
    assert "load a bitstream of this configuration" in sentence
    assert len({link_digest(CFG, SINGLE), link_digest(CFG, DOUBLE), link_digest(CoreConfig(), SINGLE)}) == 3


def test_reset_empties_the_chip():
    """Packets that wait in the chip, and a core that runs, are gone; the lamps go out."""
    line, link = _link(SINGLE)
    lockstep = _lockstep(link, SINGLE)
    lockstep.learner.session._set_mode(train=True, update=True)
    driver = lockstep.learner.driver
    packets, route = driver.packets, unicast(SINGLE, 0)
    with pytest.raises(CoreStuck):  # the sample never comes
        driver.exchange([packets.start(route, 1)], 1)
    with pytest.raises(CoreStuck):  # no room, so this stops all that comes behind it
        driver.exchange([packets.command(Command.LIMIT, 0xFFFF), *[packets.command(Command.WAIT)] * 9,
                         packets.read(route, Space.REGISTERS, 0, 1)], 1)  # fmt: skip
    link.reset()
    registers = driver.registers(0)
    assert registers["magic"] == MAGIC and registers["cycles"] == 0 and driver.waits(0)[0] == []
    lockstep.close()
    line.write(b"\x7e no frame \x7e")
    link.endpoint.identify()
    assert line.line.error
    link.reset()
    assert not line.line.error
    link.close()


def test_a_stuck_core_is_told_from_a_dead_line():
    _, link = _link(SINGLE)
    lockstep = _lockstep(link, SINGLE)
    lockstep.learner.session._set_mode(train=True, update=True)
    driver = lockstep.learner.driver
    began = link.line.now()
    with pytest.raises(CoreStuck, match="gave 0 of 1 packets"):  # the sample never comes
        driver.exchange([driver.packets.start(unicast(SINGLE, 0), 1)], 1)
    assert link.line.now() - began < 2
    assert driver.waits(0)
    lockstep.close()
    link.close()


class Says(SimulatedLine):
    """A line from which some bytes come for a while, whatever is sent."""

    def __init__(self, octets: bytes):
        self.name, self._time, self._octets = "nowhere", 0.0, octets

    def now(self):
        return self._time

    def write(self, octets):
        pass

    def read(self, seconds):
        self._time += seconds
        return self._octets if self._time < 0.1 else b""


def test_nothing_answers():
    line = Says(b"\xff")
    with pytest.raises(LinkDown, match="nothing answers PAGE at nowhere for 1 s: is the board on"):
        Endpoint(line).connect()
    assert line.now() < 2


@pytest.mark.parametrize(("fields", "words"), [
    ({"magic": 1}, "what answers at nowhere is no Trident chip: it says 0x00000001"),
    ({"version": 9}, f"the chip at nowhere speaks version 9 of the link, this host version {VERSION}: build and load"),
])  # fmt: skip
def test_who_answers_with_another_page_is_refused(fields, words):
    page = PAGE.pack(**{"magic": LINK_MAGIC, "version": VERSION, "buffer": 11} | fields)
    octets = b"".join(word.to_bytes(4, "little") for word in page)
    with pytest.raises(LinkDown, match=words):
        Endpoint(Says(Frame(Kind.PAGE, payload=octets).encode())).connect()


def test_packets_that_are_too_long_for_the_link_are_refused():
    with pytest.raises(TridentError, match="takes 4097 bytes, more than the link's buffer of 2048 has room for"):
        check_room(MeshConfig(width=1, height=1, flit=512, packet=64, buffers=64), BUFFER)
    check_room(mesh_for(CoreConfig.preset("WIDE")), BUFFER)
    with pytest.raises(TridentError, match="must hold 256, 512, .* or 16384 bytes, not 1000"):
        check_room(mesh_for(CFG), 1000)


@pytest.mark.parametrize("given, match", [
    ({"kind": "jtag"}, "unknown target 'jtag': choose one of rtl, sim-link, serial, golden"),
    ({"kind": "serial"}, "needs a port; the serial ports of this computer"),
    ({"port": "/dev/ttyX"}, "a port is for the target serial, not for rtl"),
    ({"baud": 9600}, "rtl has no line"),
    ({"kind": "golden", "baud": 9600}, "golden has no line"),
    ({"kind": "sim-link", "baud": 5_000_000}, "too slow for 5000000 baud"),
    ({"setup": "core"}, "name the board, too"),
    ({"board": "nothing"}, "unknown board 'nothing'"),
])  # fmt: skip
def test_bad_targets_are_refused(given, match):
    with pytest.raises(TridentError, match=match):
        Target(**given)


def test_ports_that_cannot_be_opened():
    with pytest.raises(TridentError, match=r"there is no port /dev/ttyNONE; the serial ports of this computer: "):
        SerialPort("/dev/ttyNONE", BAUD)
    master, slave = os.openpty()
    name = os.ttyname(slave)
    port = SerialPort(name, BAUD)
    with pytest.raises(TridentError, match=f"{re.escape(name)} is in use by another program"):
        SerialPort(name, BAUD)
    port.close()
    os.close(master)
    os.close(slave)


def test_packets_over_a_serial_port():
    """The port is a pseudo terminal, behind which the simulated link runs."""
    with terminal(echo_line(CFG, SINGLE)) as port:
        link = Target("serial", port).connect(CFG, SINGLE)
        flits = random_packets(np.random.default_rng(0), SINGLE, 100)
        given, found = link.exchange(flits, 100, 1 << 30)
        assert given == len(flits) and np.array_equal(found, flits)
        link.close()
