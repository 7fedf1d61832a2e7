"""A line that goes wrong: flipped bits, lost, repeated and swapped bytes, a cable that is pulled. Seeded."""

from collections import Counter
from random import Random

from trident.host.driver.endpoint import ByteStream

KINDS = ("flip", "drop", "repeat", "swap", "insert", "cut")
LONGEST = 600  # bytes that are repeated at once, at most: more than a frame
CUT = 0.003  # seconds of a short cut, at most


class FaultyLine:
    """``line`` with faults in both directions, one in ``every`` bytes on average; none before :meth:`start`.

    A swap exchanges two bytes that are up to 40 apart. While the cable is pulled, bytes are lost in both directions.
    ``injected`` counts the faults by kind.
    """

    def __init__(self, line: ByteStream, seed: int, every: float, kinds: tuple[str, ...] = KINDS):
        self.line, self.every, self.kinds = line, every, kinds
        self.name, self.latency = line.name, line.latency
        self.injected: Counter[str] = Counter()
        self._random = Random(seed)
        self._gap = float("inf")
        self._until = 0.0  # when the cable is back
        self._last = {"write": b"", "read": b""}

    def start(self):
        """Begin to inject."""
        self._gap = self._random.expovariate(1 / self.every)

    def pull(self, seconds: float = float("inf")):
        """Pull the cable for so long."""
        self._until = self.now() + seconds

    def plug(self):
        """Put the cable back, and inject no more faults."""
        self._until, self._gap = 0.0, float("inf")

    def now(self) -> float:
        return self.line.now()

    @property
    def cycles(self) -> int:
        return self.line.cycles

    def write(self, octets: bytes):
        self.line.write(self._spoil(octets, "write"))

    def read(self, seconds: float) -> bytes:
        return self._spoil(self.line.read(seconds), "read")

    def close(self):
        self.line.close()

    def _spoil(self, octets: bytes, way: str) -> bytes:
        if self.now() < self._until:
            return b""
        result = bytearray(octets)
        at = 0
        while len(result) - at > self._gap:
            at += int(self._gap)
            self._gap = self._random.expovariate(1 / self.every)
            at = self._fault(result, at, way) + 1
            if self.now() < self._until:
                return bytes(result[:at])
        self._gap -= max(len(result) - at, 0)
        self._last[way] = (self._last[way] + octets)[-LONGEST:]
        return bytes(result)

    def _fault(self, octets: bytearray, at: int, way: str) -> int:
        """Inject one fault at byte ``at``; returns the last byte that it has changed."""
        random = self._random
        kind = random.choice(self.kinds)
        self.injected[kind] += 1
        if kind == "flip":
            for _ in range(random.choice((1, 1, 2, 3))):
                octets[at] ^= 1 << random.randrange(8)
        elif kind == "drop":
            end = at + random.choice((1, 1, 2, 20))
            del octets[at:end]
            return at - 1
        elif kind == "repeat":
            before = (self._last[way] + bytes(octets[: at + 1]))[-random.choice((1, 1, 2, 30, LONGEST)) :]
            octets[at + 1 : at + 1] = before
            return at + len(before)
        elif kind == "swap":
            other = min(at + random.choice((1, 1, 2, 40)), len(octets) - 1)
            octets[at], octets[other] = octets[other], octets[at]
        elif kind == "insert":
            octets[at:at] = random.randbytes(random.choice((1, 1, 2, 20)))
        else:
            self.pull(random.random() * CUT)
        return at
