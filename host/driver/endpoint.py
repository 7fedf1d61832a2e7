"""The host's half of the link: a stream of bytes each way over a line that may lose, repeat and spoil bytes."""

from typing import Protocol

from trident.host.driver.frames import Decoder, Frame
from trident.hw.errors import TridentError
from trident.hw.isa.frames import COUNT_BITS, LINK_MAGIC, PAGE, PAYLOAD, VERSION, Kind

DEAD = 1.0  # seconds without a valid frame, or without progress while some is due, after which a link is dead
POLL = 0.05  # seconds, at most, of waiting for bytes at a time
RESEND_AFTER = 0.01  # seconds, beside the line's latency, after which what is not acknowledged is sent again
MODULUS = 1 << COUNT_BITS
TURNS = 4


class LinkDown(TridentError):
    """The line is cut, or what is at its other end does not answer as a Trident chip."""


class ByteStream(Protocol):
    """What carries bytes: a serial port, a simulated line.

    name: for messages; latency: seconds between the arrival of a byte and the return of :meth:`read`.
    """

    name: str
    latency: float

    def now(self) -> float: ...  # seconds, from any start

    def write(self, octets: bytes): ...

    def read(self, seconds: float) -> bytes: ...  # what has come; waits for something at most so long

    def close(self): ...


class Endpoint:
    """Frames to and from a chip over ``line``, from :meth:`connect` on.

    Attributes for whoever looks for progress: ``acknowledged`` and ``written``, bytes that the chip has and that it is
    to have; ``incoming``, bytes that came and were not taken; ``still``, frames since the chip last took, gave or did
    something, while it has all that was sent; ``retries``, how often frames were sent again; ``line_bytes``, bytes
    written to the line.
    """

    def __init__(self, line: ByteStream):
        self.line = line
        self._decoder = Decoder()
        self._resend_after = RESEND_AFTER + line.latency
        self._answer: Frame | None = None
        self._buffer = 0  # bytes that the chip's has room for, once it has said
        self.retries = self.line_bytes = 0
        self._begin(0)

    def _begin(self, session: int):
        self._session, self._turn = session, 0
        self._data, self._base = bytearray(), 0  # what is to be sent, from byte number _base on
        self.acknowledged = self.written = self._next = self._highest = self._taken = self._expected = 0
        self.incoming = bytearray()
        self._waits = 1  # patience, before what is not acknowledged is sent again
        self._due = self._gap = False
        self._asked = self._sent = -1.0  # when: again was asked for, a payload was sent
        self.busy = self.fault = False
        self._heard = self._progress = self.line.now()
        self.still = 0

    # Requests
    def connect(self) -> dict[str, int]:
        """Ask who is there, and begin a session: the chip is put into its initial state. Returns the page's fields.

        Raises :class:`LinkDown` when nothing or something else answers.
        """
        found, page = self._request(Kind.PAGE)
        if page["magic"] != LINK_MAGIC:
            raise LinkDown(f"what answers at {self.line.name} is no Trident chip: it says {page['magic']:#010x}")
        if page["version"] != VERSION:
            raise LinkDown(
                f"the chip at {self.line.name} speaks version {page['version']} of the link, this host version "
                f"{VERSION}: build and load its bitstream anew"
            )
        self._buffer = 1 << page["buffer"]
        session = (found.session + 1) % 256
        self._begin(session)
        return self._request(Kind.RESET, lambda frame, page: frame.session == session, session=session)[1]

    def identify(self) -> dict[str, int]:
        """The fields of :data:`PAGE`."""
        return self._request(Kind.PAGE, session=self._session)[1]

    def set_worker(self, number: int) -> dict[str, int]:
        """Give the chip its number as a worker, 0 to 255, which it keeps until power-off; returns the page's fields."""
        if not 0 <= number < 256:
            raise TridentError(f"a worker's number must be within 0 to 255, not {number}")
        fits = lambda frame, page: page["worker"] == number  # noqa: E731
        return self._request(Kind.WORKER, fits, session=self._session, received=number)[1]

    def _request(self, kind: Kind, fits=lambda frame, page: True, **fields: int) -> tuple[Frame, dict[str, int]]:
        """Send a request until a page comes that shows its effect; it does nothing more if it comes twice."""
        began, sent = self.line.now(), None
        while True:
            self._answer, now = None, self.line.now()
            if now - began > DEAD:
                raise LinkDown(
                    f"nothing answers {kind.name} at {self.line.name} for {DEAD:g} s: is the board on, its bitstream "
                    f"loaded, and the baud rate that of the bitstream?"
                )
            if sent is None or now - sent > self._resend_after:
                self._write(Frame(kind, **fields))
                sent = now
            self._listen(min(POLL, self._resend_after))
            if self._answer:
                octets = self._answer.payload
                page = PAGE.unpack([int.from_bytes(octets[n : n + 4], "little") for n in range(0, len(octets), 4)])
                if fits(self._answer, page):
                    return self._answer, page

    # The streams
    def send(self, octets: bytes):
        """Put bytes behind those that are to be sent."""
        if self._next == self.written:
            self._progress = self.line.now()
        if self._next - self._base > 1 << 16:
            del self._data[: self.acknowledged - self._base]
            self._base = self.acknowledged
        self._data += octets
        self.written += len(octets)

    def begin_wait(self):
        """Time that passed without a call does not count as silence."""
        self._heard = self._progress = self.line.now()
        self.still = 0

    def pump(self):
        """Send what the chip has room for, and listen for a while.

        Raises :class:`LinkDown` when the line is dead.
        """
        now = self.line.now()
        if now - self._heard > DEAD:
            raise LinkDown(f"no valid frame has come from {self.line.name} for {DEAD:g} s")
        if self.acknowledged < self._highest:
            if now - self._progress > DEAD:
                raise LinkDown(f"the chip at {self.line.name} has acknowledged nothing for {DEAD:g} s")
            if now - max(self._progress, self._sent) > self._waits * self._resend_after:
                self._waits *= 2  # a line that is slow is not made faster by more
                self._go_back()
        self._transmit(now)
        self._listen(min(POLL, self._resend_after))

    def _go_back(self):
        self._next = self.acknowledged
        self._turn = (self._turn + 1) % TURNS
        self.retries += 1

    def _transmit(self, now: float):
        limit = min(self.written, self._taken + self._buffer)
        if self._next < limit and self.acknowledged == self._highest:
            self._progress = now
        while self._next < limit:
            size = min(PAYLOAD, limit - self._next)
            if size < min(PAYLOAD, self.written - self._next) and self._next > self._taken:
                break  # a longer frame when the chip has taken more
            at = self._next - self._base
            self._write(self._frame(bytes(self._data[at : at + size])))
            self._next += size
            self._highest = max(self._highest, self._next)
            self._sent = now
        if self._due or (self._gap and now - self._asked > self._resend_after):
            self._write(self._frame(b""))

    def _frame(self, payload: bytes) -> Frame:
        now = self.line.now()
        again = self._gap and now - self._asked > self._resend_after
        if again:
            self._asked = now
        self._due = False
        return Frame(Kind.DATA, again=int(again), turn=self._turn, session=self._session, sequence=self._next % MODULUS,
                     received=self._expected % MODULUS, payload=payload)  # fmt: skip

    def _write(self, frame: Frame):
        octets = frame.encode()
        self.line_bytes += len(octets)
        self.line.write(octets)

    def _listen(self, seconds: float):
        for frame in self._decoder.feed(self.line.read(seconds)):
            if frame is None:
                self._gap = True
            elif frame.kind == Kind.PAGE:
                if len(frame.payload) == 4 * PAGE.words:
                    self._answer = frame
            elif frame.kind == Kind.DATA and frame.session == self._session:
                self._take(frame)

    def _take(self, frame: Frame):
        now = self.line.now()
        self._heard = now
        self.busy, self.fault = bool(frame.busy), bool(frame.fault)
        self.still += 1
        if frame.moving or frame.payload:
            self.still = 0
        received = self.acknowledged + (frame.received - self.acknowledged) % MODULUS
        if self.acknowledged < received <= self._highest:  # beyond is a frame that has been overtaken
            self.acknowledged = received
            self._next = max(self._next, received)
            self._progress, self._waits = now, 1
            self.still = 0
        taken = self._taken + (frame.taken - self._taken) % MODULUS
        if self._taken < taken <= self.acknowledged:
            self._taken = taken
            self.still = 0
        if frame.again and frame.turn == self._turn and self.acknowledged < self._next:
            self._go_back()
        ahead = (frame.sequence - self._expected) % MODULUS
        if ahead == 0:
            self._gap, self._asked = False, -1.0
            if frame.payload:
                self.incoming += frame.payload
                self._expected += len(frame.payload)
                self._due = True
        elif ahead < MODULUS // 2:
            self._gap = True
        else:
            self._due = True  # it has not heard that this has come
        if self._gap or self.acknowledged < self._highest:
            self.still = 0
