"""What a federated run is made of, put together and checked as a whole before anything is built or started."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from functools import cached_property

import numpy as np

from trident.host.driver.target import Target
from trident.host.federated.settings import FederatedSettings
from trident.host.federated.split import split
from trident.host.mapping.chip_choice import ChipChoice
from trident.host.train.spec import RunSpec
from trident.hw.errors import TridentError
from trident.hw.isa.format import FloatFormat

_DRAW = 0xD0A7  # apart from the streams of order, encoding and split
# Small enough to train for ten rounds within minutes, five at a time on two processor cores
NET, PRESET, MESH = "64-48-10", "SMALL", "2x1"
HALVE_EVERY = 0


@dataclass(frozen=True)
class FederatedSpec:
    """One federated run; see :meth:`make`.

    run: network, neuron, training, data and chip, which all workers share. parts: per worker its samples, as
    ascending indices. targets: per worker the chip that it trains on. options: what :meth:`make` was given.
    """

    run: RunSpec
    settings: FederatedSettings
    parts: tuple[np.ndarray, ...]
    targets: tuple[Target, ...]
    options: dict

    @classmethod
    def make(cls, options: dict) -> "FederatedSpec":
        """``options`` are plain values, so that another process or machine can make the same from their JSON; those
        that are missing or None have their default:

        ``data, bin_us, net, preset, encoding, mesh, partition``: see :meth:`RunSpec.make`, by default
        :data:`NET` on digits, on a :data:`MESH` of :data:`PRESET`; ``train, neuron, core``: mappings of fields of their
        settings; ``federated``: of :class:`FederatedSettings`; ``target, ports, baud, board, setup``: with the target
        ``serial`` the first workers are the boards at ``ports``, a list, and the others simulated chips; with
        ``sim-link`` all are behind simulated serial lines.

        Raises :class:`TridentError` for whatever does not fit together.
        """
        given = {name: value for name, value in options.items() if value is not None}
        if unknown := set(given) - _KNOWN:
            raise TridentError(f"unknown option {min(unknown)!r} of a federated run")
        chosen = {k: v for k, v in given.get("federated", {}).items() if v is not None}
        if unknown := set(chosen) - {field.name for field in fields(FederatedSettings)}:
            raise TridentError(f"unknown setting {min(unknown)!r} of a federated run")
        settings = FederatedSettings(**chosen)
        targets = _targets(given, settings)
        built = next((chip for target in targets if (chip := target.chip())), None)
        data = given.get("data", "digits")
        train = {"halve_every": HALVE_EVERY} | {k: v for k, v in given.get("train", {}).items() if v is not None}
        train["epochs"] = settings.rounds * settings.local_epochs
        mesh = given.get("mesh", None if built else MESH)
        run = RunSpec.make(
            data, given.get("net", NET if data == "digits" else None), given.get("preset", None if built else PRESET),
            given.get("encoding", "dither"), given.get("neuron"), train, given.get("core"),
            ChipChoice(None if mesh == "1x1" else mesh, partition=given.get("partition")), built,
            bin_us=given.get("bin_us"),
        )  # fmt: skip
        if standard := next((layer for layer in run.network.layers if layer.standardised), None):
            raise TridentError(
                f"{standard.node!r} has standardised weights: those of workers cannot be averaged, so a federated run "
                "takes none"
            )
        if run.train.distill:
            raise TridentError("distill is of one chip: workers of a federated run have no teacher")
        if run.network.norms:
            raise TridentError(
                f"{run.network.norms[0]} keeps running means and variances, which workers do not average: a federated "
                "run takes no batch norm"
            )
        parts = split(
            run.dataset.train_labels, run.dataset.classes, settings.workers, settings.split, run.train.batch,
            run.train.seed,
        )  # fmt: skip
        return cls(run, settings, tuple(parts), targets, dict(options))

    @property
    def format(self) -> FloatFormat:
        return self.run.cfg.format

    def check_worker(self, number: int):
        """Raise :class:`TridentError` unless there is a worker of this number."""
        if not 0 <= number < self.settings.workers:
            raise TridentError(f"a worker's number is within 0 to {self.settings.workers - 1}, not {number}")

    def participants(self, number: int) -> list[int]:
        """Workers that take part in a round (from 1), ascending; drawn with the seed where not all do."""
        workers = self.settings.workers
        rng = np.random.default_rng([self.run.train.seed, _DRAW, number])
        return sorted(rng.choice(workers, self.settings.participants, replace=False).tolist())

    def settings_values(self) -> dict:
        """All that decides the result, as plain values; the number of rounds is not among it, because a longer run only
        goes on, nor are the time limit and where the chips are."""
        values = self.run.settings() | {f"federated.{k}": v for k, v in asdict(self.settings).items()}
        for name in ("rounds", "timeout", "min_workers"):
            del values[f"federated.{name}"]
        return values

    @cached_property
    def digest(self) -> str:
        """Of :meth:`settings_values`: two processes with the same work on the same run."""
        return hashlib.sha256(json.dumps(self.settings_values(), sort_keys=True).encode()).hexdigest()[:16]


_KNOWN = {
    "data", "bin_us", "net", "preset", "encoding", "mesh", "partition", "train", "neuron", "core", "federated",
    "target", "ports", "baud", "board", "setup",
}  # fmt: skip


def _targets(given: dict, settings: FederatedSettings) -> tuple[Target, ...]:
    kind, ports = given.get("target", "rtl"), given.get("ports", [])
    common = {name: given.get(name) for name in ("baud", "board", "setup")}
    simulated = Target("rtl", board=common["board"], setup=common["setup"])
    if kind == "serial":
        if not ports:
            raise TridentError("the target serial needs ports, one for each board, as in /dev/ttyUSB0,/dev/ttyUSB1")
        if len(ports) > settings.workers or len(set(ports)) < len(ports):
            raise TridentError(f"the {len(ports)} ports must be those of different boards, one for each of at most "
                               f"{settings.workers} workers")  # fmt: skip
        boards = [Target("serial", port, **common) for port in ports]
        return tuple(boards + [simulated] * (settings.workers - len(boards)))
    if ports:
        raise TridentError(f"ports are for the target serial, not for {kind}")
    return (Target(kind, None, **common),) * settings.workers
