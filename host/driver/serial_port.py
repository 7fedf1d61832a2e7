"""A serial port of this computer."""

import errno
from contextlib import suppress
from time import monotonic

import serial
from serial.tools import list_ports

from trident.hw.errors import TridentError

LATENCY = 0.02  # seconds: what USB converters and the operating system keep bytes back


def ports() -> list[str]:
    """The serial ports that there are."""
    return sorted(port.device for port in list_ports.comports())


class SerialPort:
    """A serial port, 8N1, as a stream of bytes; nobody else can open it meanwhile.

    Raises :class:`TridentError` when there is no such port, when it is in use, may not be opened, or cannot have this
    baud rate.
    """

    latency = LATENCY

    def __init__(self, port: str, baud: int):
        self.name = f"{port} ({baud} baud)"
        try:
            self._port = serial.Serial(port, baud, timeout=0, write_timeout=1, exclusive=True)
        except (OSError, ValueError) as fault:
            raise TridentError(_reason(port, baud, fault)) from None
        self._port.reset_input_buffer()

    def now(self) -> float:
        """Seconds of a clock that never goes back."""
        return monotonic()

    def write(self, octets: bytes):
        """Send bytes. A port that takes none, or that has gone, is a line that is cut: the bytes are lost."""
        with suppress(OSError):
            self._port.write(octets)

    def read(self, seconds: float) -> bytes:
        """What has come; waits at most so long for a first byte."""
        try:
            self._port.timeout = seconds
            first = self._port.read(1)
            return first + self._port.read(self._port.in_waiting) if first else b""
        except OSError:
            return b""

    def close(self):
        self._port.close()


def _reason(port: str, baud: int, fault: Exception) -> str:
    known = ", ".join(ports()) or "none"
    number = getattr(fault, "errno", None)
    if isinstance(fault, ValueError):
        return f"the port {port} cannot be set to {baud} baud"
    if number == errno.ENOENT:
        return f"there is no port {port}; the serial ports of this computer: {known}"
    if number in (errno.EBUSY, errno.EAGAIN):
        return f"the port {port} is in use by another program: end that first"
    if number in (errno.EACCES, errno.EPERM):
        return f"this user may not open the port {port}: add them to its group (often dialout), then log in again"
    return f"the port {port} cannot be opened ({fault}); the serial ports of this computer: {known}"
