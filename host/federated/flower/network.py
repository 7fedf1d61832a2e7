"""Flower's server and nodes on this computer."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from shutil import rmtree
from time import monotonic, sleep

import trident
from trident.host.federated.flower.certificates import make_certificates
from trident.hw.errors import TridentError

APP = Path(__file__).parent / "app"
ROOT = Path(trident.__file__).parents[1]
LOOPBACK = "127.0.0.1"
START = 60.0  # seconds until Flower's server must be there
END = 10.0  # seconds that processes may take to go once they are killed
POLL = 0.1  # seconds
# What Flower may not do: tell its makers of its use, and ask for newer versions
QUIET = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}


class Network:
    """A server of Flower, and a node for each of ``nodes`` (its settings by name), as processes that listen on loopback
    only; they end with :meth:`close`, and with this process, whatever ends it.

    folder: what Flower writes. tls: encrypt what is sent between server, nodes and :meth:`submit`, with certificates
    made here. Raises :class:`TridentError` when the server does not start.
    """

    def __init__(self, nodes: list[dict], folder: Path, tls: bool = False):
        self.folder, self.log = folder, folder / "flower.log"
        self.processes: list[subprocess.Popen] = []
        self._guard: BaseProcess | None = None
        home, here = folder / "home", Path(sys.executable).parent
        self._environment = os.environ | QUIET | {
            "FLWR_HOME": str(home),
            "PATH": os.pathsep.join((str(here), os.environ["PATH"])),
            "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        }  # fmt: skip
        port = free_port()
        self.address = f"{LOOPBACK}:{port}"
        server = client = ["--insecure"]
        trust = "insecure = true"
        if tls:
            authority, certificate, key = map(str, make_certificates(folder))
            server = ["--ssl-ca-certfile", authority, "--ssl-certfile", certificate, "--ssl-keyfile", key]
            client, trust = ["--root-certificates", authority], f"root-certificates = {json.dumps(authority)}"
        home.mkdir()
        (home / "config.toml").write_text(
            f'[superlink]\ndefault = "here"\n\n[superlink.here]\naddress = "{self.address}"\n{trust}\n'
        )
        try:
            self._start("flower-superlink", "--host", LOOPBACK, "--port", str(port),
                        "--disable-runtime-dependency-installation", *server)  # fmt: skip
            until = monotonic() + START
            while not answers(port):
                if monotonic() > until:
                    raise TridentError(f"Flower's server does not start: {self.tail()}")
                self.check()
                sleep(POLL)
            for node in nodes:
                config = " ".join(f"{name}={json.dumps(value)}" for name, value in node.items())
                self._start("flower-supernode", "--superlink", self.address, "--host", LOOPBACK, "--port",
                            str(free_port()), "--node-config", config, *client)  # fmt: skip
            numbers = {process.pid for process in self.processes}
            self._guard = get_context("forkserver").Process(target=_guard, args=(numbers, folder), daemon=True)
            self._guard.start()
        except BaseException:
            self.close()
            raise

    def _start(self, program: str, *arguments: str):
        with self.log.open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    [_program(program), *arguments], env=self._environment, stdin=subprocess.DEVNULL, stdout=log,
                    stderr=log,
                )
            )  # fmt: skip

    def submit(self, config: dict):
        """Let the server start a run, with this ``run_config``. Raises :class:`TridentError` when it does not."""
        path = self.folder / "run.toml"
        path.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in config.items()))
        done = subprocess.run(
            [_program("flwr"), "run", str(APP), "here", "--run-config", str(path)],
            env=self._environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise TridentError(f"flwr run failed: {(done.stdout + done.stderr).strip()[-600:]}")

    def check(self):
        """Raise :class:`TridentError` if the server has ended."""
        if self.processes[0].poll() is not None:
            raise TridentError(f"Flower's server has ended: {self.tail()}")

    def tail(self) -> str:
        """The end of what Flower's programs wrote."""
        return self.log.read_text(errors="replace").strip()[-1500:]

    def close(self):
        """End Flower's programs, and what they have started."""
        end({process.pid for process in self.processes})
        for process in self.processes:
            process.wait()
        if self._guard:
            self._guard.kill()
            self._guard.join()


def _program(name: str) -> str:
    """A program of Flower: they lie beside Python in the virtual environment."""
    return str(Path(sys.executable).parent / name)


def is_running(*numbers: int) -> bool:
    """Whether a process of one of these numbers has not ended."""
    listed = ["ps", "-o", "stat=", "-p", ",".join(map(str, numbers))]
    states = subprocess.run(listed, capture_output=True, text=True, check=False).stdout.split()
    return any(not state.startswith("Z") for state in states)


def family(numbers: set[int]) -> set[int]:
    """These processes, those that they have started, and so on."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = dict(tuple(map(int, line.split())) for line in listed.splitlines())
    found, new = set(), numbers & set(parents)
    while new:
        found |= new
        new = {number for number, parent in parents.items() if parent in new}
    return found


def end(numbers: set[int]):
    """End these processes and all that they have started, halted first so that they start no more; they are gone when
    this returns, or :data:`END` seconds have passed."""
    found: set[int] = set()
    while new := family(numbers) - found:
        _signal(new, signal.SIGSTOP)
        found |= new
    _signal(found, signal.SIGKILL)
    until = monotonic() + END
    while found and is_running(*found) and monotonic() < until:
        sleep(POLL)


def _signal(numbers: set[int], what: signal.Signals):
    for number in numbers:
        with suppress(ProcessLookupError):
            os.kill(number, what)


def _guard(numbers: set[int], folder: Path):
    """The life of a process that ends these, and removes what they wrote, when its parent has been killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    wait([parent_process().sentinel])
    end(numbers)
    rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A port of this computer at which nobody listens."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]


def answers(port: int) -> bool:
    """Whether someone listens at this port of this computer."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0
