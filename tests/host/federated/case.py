"""A small federated run that all tests share: three workers, 6-5-3 on the preset TINY."""

import numpy as np

from trident.host.federated.pool import InProcess, Reply
from trident.host.federated.spec import FederatedSpec
from trident.host.train.checkpoint import FEDERATED, Checkpoint

NET, WORKERS = "6-5-3", 3


def write_data(folder):
    """90 samples of three classes, 72 of them for training, in an .npz; returns its path as text."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 90)
    images = 0.3 * rng.random((90, 6)) + 0.7 * np.repeat(np.eye(3), 2, axis=1)[labels]
    path = folder / "stripes.npz"
    np.savez(path, images=images, labels=labels, classes=3)
    return str(path)


def options_of(data: str, **changes) -> dict:
    """Options of a run; ``changes`` with a name of TrainSettings go there, others to the federated settings, and those
    with a name of the options themselves replace them."""
    options = {"data": data, "net": NET, "preset": "TINY", "mesh": "1x1"}
    train = {"batch": 4, "seed": 3, "learning_rate": 1.0}
    federated = {"workers": WORKERS, "rounds": 2, "local_epochs": 1, "timeout": 60.0}
    for name, value in changes.items():
        target = train if name in ("batch", "seed", "learning_rate", "momentum", "loss_scale") else options
        if name in ("workers", "rounds", "local_epochs", "split", "strategy", "fraction", "min_workers", "timeout"):
            target = federated
        target[name] = value
    return options | {"train": train, "federated": federated}


def spec_of(data: str, **changes) -> FederatedSpec:
    """The run of :func:`options_of`."""
    return FederatedSpec.make(options_of(data, **changes))


class Watch:
    """A display that keeps what it is told; ``act`` is called with every stage of a worker."""

    def __init__(self, act=lambda *_: None):
        self.stages, self.faults, self.rounds, self.act = [], [], [], act

    def worker(self, number, stage, done, of):
        self.stages.append((number, stage, done, of))
        self.act(number, stage, done, of)

    def left_out(self, number, fault):
        self.faults.append((number, fault))

    def round(self, done):
        self.rounds.append(done)


class Absent(InProcess):
    """Golden workers, of which one is left out of some rounds."""

    def __init__(self, spec, worker, rounds):
        super().__init__(spec)
        self.worker, self.rounds = worker, rounds

    def work(self, tasks, timeout, on_stage):
        for reply in super().work(tasks, timeout, on_stage):
            out = reply.worker == self.worker and tasks[self.worker].round in self.rounds
            yield Reply(self.worker, fault="left out") if out else reply


def same(ours, theirs) -> bool:
    """Whether two sets of weights are equal bit for bit."""
    return list(ours) == list(theirs) and all((ours[name] == theirs[name]).all() for name in theirs)


def weights_of(path):
    """The weights in a checkpoint."""
    return Checkpoint.load(path, FEDERATED).tensors("weights")
