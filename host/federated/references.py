"""What a federated run is compared with: each worker alone, and all data in one place; in the golden model."""

from dataclasses import replace

import numpy as np

from trident.host.federated.evaluation import Evaluation
from trident.host.federated.golden_learner import GoldenLearner
from trident.host.federated.message import Task
from trident.host.federated.spec import FederatedSpec
from trident.host.federated.weights import initial
from trident.host.federated.worker import Worker


def alone(spec: FederatedSpec, worker: int) -> list[float]:
    """Test accuracy within 0 to 1 after every round, if nobody averages: one worker on its own samples, momentum reset
    at every round as in the federated run."""
    tests, learner = Evaluation(spec), GoldenLearner(spec.run)
    spec = replace(spec, settings=replace(spec.settings, strategy="fedavg"))
    own, weights = Worker(spec, worker, learner), initial(spec.run.network, spec.run.train.seed, spec.format)
    scale, accuracies = float(spec.run.train.loss_scale), []
    for number in range(1, spec.settings.rounds + 1):
        done = own.work(Task(spec.digest, number, worker, scale, weights))
        weights, scale = done.weights, done.scale
        accuracies.append(tests.tally(weights).accuracy)
    return accuracies


def central(spec: FederatedSpec) -> list[float]:
    """Test accuracy within 0 to 1, at the points where a round would end, of training on the samples of all workers in
    one place: as many samples seen as all workers together see, momentum kept throughout, as ``make train`` does it."""
    tests, learner = Evaluation(spec), GoldenLearner(spec.run)
    everything = np.sort(np.concatenate(spec.parts))
    rounds, epochs = spec.settings.rounds, spec.settings.local_epochs
    whole = replace(spec.settings, rounds=1, local_epochs=rounds * epochs, strategy="fedavg")
    accuracies, each = [], epochs * (len(everything) // spec.run.train.batch)

    def note(stage: str, done: int, of: int):
        if stage in ("training", "trained") and done and done % each == 0:
            accuracies.append(tests.tally(learner.read()).accuracy)

    spec = replace(spec, settings=whole)
    start = initial(spec.run.network, spec.run.train.seed, spec.format)
    worker = Worker(spec, 0, learner, note, everything)
    worker.work(Task(spec.digest, 1, 0, float(spec.run.train.loss_scale), start))
    return accuracies
