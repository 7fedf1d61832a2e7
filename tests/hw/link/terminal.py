"""A serial port of this computer behind which a simulated line runs."""

import os
import threading
import tty
from contextlib import contextmanager, suppress


@contextmanager
def terminal(line):
    """A pseudo terminal whose bytes go to ``line`` and back, as long as the context lasts; yields its name. The line is
    closed at the end."""
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    ended = threading.Event()

    def carry():
        while not ended.is_set():
            with suppress(BlockingIOError):
                line.write(os.read(master, 4096))
            if octets := line.read(0.0005):
                os.write(master, octets)

    carrier = threading.Thread(target=carry)
    carrier.start()
    try:
        yield os.ttyname(slave)
    finally:
        ended.set()
        carrier.join()
        line.close()
        os.close(master)
        os.close(slave)
