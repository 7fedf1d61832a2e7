"""Rounds in this process, with golden workers: the same whatever the order, resumed, with few workers, against one."""

import numpy as np
import pytest

from tests.host.federated.case import NET, Watch, same, spec_of
from tests.host.train.test_trainer import Watch as TrainerWatch
from trident.host.federated.golden_learner import GoldenLearner
from trident.host.federated.message import Task
from trident.host.federated.pool import InProcess, Reply
from trident.host.federated.references import alone, central
from trident.host.federated.serve import chip_learner
from trident.host.federated.server import Server, TooFewWorkers, resumed
from trident.host.federated.weights import initial
from trident.host.federated.worker import STAGES, Worker
from trident.host.train.checkpoint import FEDERATED, Checkpoint
from trident.host.train.compare import Divergence
from trident.host.train.spec import RunSpec
from trident.host.train.trainer import Trainer
from trident.hw.errors import TridentError
from trident.sim.rtl.verilated import VerilatedChip


def run(spec, path, resume=None, pool=None, watch=None, golden=False):
    server = Server(spec, pool or InProcess(spec), watch or Watch(), path / "c.npz", resume, golden)
    server.run()
    return server


class Shuffled(InProcess):
    """Workers whose answers come in another order every round."""

    def work(self, tasks, timeout, on_stage):
        replies = list(super().work(tasks, timeout, on_stage))
        yield from np.random.default_rng(len(replies)).permutation(np.array(replies, object)[::-1])


def test_the_order_of_the_answers_does_not_matter(data, tmp_path):
    spec = spec_of(data, split="dirichlet:0.3")
    plain, shuffled = run(spec, tmp_path), run(spec, tmp_path, pool=Shuffled(spec))
    assert same(plain.weights, shuffled.weights)
    assert not same(plain.weights, initial(spec.run.network, 3, spec.format))
    assert [r.accuracy for r in plain.progress.rounds] == [r.accuracy for r in shuffled.progress.rounds]


@pytest.mark.parametrize("stop_after", [1, 2])
def test_a_resumed_run_ends_as_an_unbroken_one(data, tmp_path, stop_after):
    spec = spec_of(data, rounds=3, fraction=0.67, strategy="fedprox:0.1")
    whole = run(spec, tmp_path)

    class Pressing(Watch):
        def round(self, done):
            if done.number == stop_after:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(spec, tmp_path, watch=Pressing())
    resumed = run(spec, tmp_path, Checkpoint.load(tmp_path / "c.npz", FEDERATED))
    assert same(resumed.weights, whole.weights) and resumed.progress.scales == whole.progress.scales
    assert [r.loss for r in resumed.progress.rounds] == [r.loss for r in whole.progress.rounds]


def test_a_checkpoint_of_another_run_is_refused(data, tmp_path):
    run(spec_of(data), tmp_path)
    with pytest.raises(TridentError, match="federated.split iid, not by-class"):
        resumed(spec_of(data, split="by-class"), tmp_path / "c.npz")
    with pytest.raises(TridentError, match="has done 2 rounds already"):
        resumed(spec_of(data, rounds=1), tmp_path / "c.npz")


def test_one_worker_and_one_round_is_central_training_bit_for_bit(data, tmp_path):
    """The trainer of ``make train``, on the RTL, against a round of one worker."""
    spec = spec_of(data, workers=1, rounds=1, local_epochs=3)
    trainer = Trainer(
        RunSpec.make(data, NET, "TINY", train={"batch": 4, "seed": 3, "learning_rate": 1.0, "halve_every": 0,
                                               "epochs": 3}),
        VerilatedChip(spec.run.cfg, spec.run.mesh), tmp_path / "t.npz",
    )  # fmt: skip

    class Quiet(TrainerWatch):
        def start(self, epochs, minibatches, progress):
            pass

    trainer.run(Quiet())
    server = run(spec, tmp_path)
    assert same(server.weights, trainer.lockstep.golden_state()["weights"])
    history = trainer.progress.history["RTL"]
    assert server.progress.rounds[-1].accuracy == history[-1]["test_accuracy"]
    assert central(spec) == [history[-1]["test_accuracy"]]


def test_one_worker_and_many_rounds_is_training_with_the_momentum_reset(data, tmp_path):
    spec = spec_of(data, workers=1, rounds=3)
    server = run(spec, tmp_path)
    assert [r.accuracy for r in server.progress.rounds] == alone(spec, 0)


def test_the_golden_and_the_rtl_run_agree_bit_for_bit(data, tmp_path):
    for changes in ({}, {"strategy": "fedprox:0.5", "split": "by-class"}, {"mesh": "2x1", "partition": "2x1-2"}):
        spec = spec_of(data, **changes)
        learner = chip_learner(spec, 0)
        rtl = run(spec, tmp_path, pool=InProcess(spec, {n: Worker(spec, n, learner) for n in range(3)}), golden=True)
        golden = run(spec, tmp_path)
        assert same(rtl.weights, golden.weights) and rtl.compared == 6 * spec.run.network.weights
        assert all(worker["counters"]["forward.useful"] > 0 for worker in rtl.progress.rounds[1].workers.values())
        learner.close()


def test_a_worker_that_differs_from_golden_stops_the_run(data, tmp_path):
    spec = spec_of(data)

    class Wrong(GoldenLearner):
        def read(self):
            weights = super().read()
            weights["linear2.weight"][0, 2, 1] ^= 1
            return weights

    workers = {n: Worker(spec, n, (Wrong if n == 2 else GoldenLearner)(spec.run)) for n in range(3)}
    with pytest.raises(Divergence, match=r"worker 2 in round 1 differs .* in 1 weights, .* linear2.weight at \(0, 2"):
        run(spec, tmp_path, pool=InProcess(spec, workers), golden=True)


def test_fedprox_keeps_workers_near_the_global_weights(data):
    def distance(strategy):
        spec = spec_of(data, strategy=strategy, local_epochs=6, learning_rate=0.25, momentum=0.0)
        start = initial(spec.run.network, 3, spec.format)
        done = Worker(spec, 0, GoldenLearner(spec.run)).work(Task(spec.digest, 1, 0, 256.0, start))
        bits = [(done.weights[name], values) for name, values in start.items()]
        return sum(float(np.square(a.view(np.float16).astype(float) - b.view(np.float16)).sum()) for a, b in bits)

    far, near, nearest = (distance(s) for s in ("fedavg", "fedprox:0.05", "fedprox:0.5"))
    assert far > near > nearest > 0


def test_the_scale_of_a_worker_is_kept_by_the_server(data, tmp_path):
    spec = spec_of(data, loss_scale=2**15, neuron={"window": 1000.0})
    server = Server(spec, InProcess(spec), Watch(), tmp_path / "c.npz")
    server.weights["linear2.weight"][:] = 0x5640  # 100, whose product with an error of 5461 overflows
    server.run()
    first, second = server.progress.rounds
    assert first.workers["0"]["skipped"] > 0
    assert first.workers["0"]["scale"] == 2**15 / 2 ** first.workers["0"]["skipped"]
    assert server.progress.scales == [worker["scale"] for worker in second.workers.values()]


def test_a_worker_says_where_it_is(data, tmp_path):
    watch = Watch()
    run(spec_of(data, rounds=1), tmp_path, watch=watch)
    own = [(stage, done, of) for number, stage, done, of in watch.stages if number == 1]
    assert list(dict.fromkeys(stage for stage, *_ in own)) == list(STAGES)
    assert [done for stage, done, of in own if stage == "training"] == list(range(6)) and own[0] == ("received", 0, 6)


def test_a_task_of_another_run_or_worker_is_refused(data):
    spec = spec_of(data)
    worker, weights = Worker(spec, 1, GoldenLearner(spec.run)), initial(spec.run.network, 3, spec.format)
    with pytest.raises(TridentError, match="worker 1 is of another run"):
        worker.work(Task("elsewhere", 1, 1, 256.0, weights))
    with pytest.raises(TridentError, match="worker 1 has been given the task of worker 2"):
        worker.work(Task(spec.digest, 1, 2, 256.0, weights))
    with pytest.raises(TridentError, match="weights without linear2.bias"):
        worker.work(Task(spec.digest, 1, 1, 256.0, {n: v for n, v in weights.items() if n != "linear2.bias"}))


def test_too_few_answers_end_the_run_and_leave_the_last_checkpoint(data, tmp_path):
    spec = spec_of(data, rounds=2)

    class Failing(InProcess):
        def work(self, tasks, timeout, on_stage):
            for reply in super().work(tasks, timeout, on_stage):
                late = tasks[0].round == 2 and reply.worker < 2
                yield Reply(reply.worker, fault="it is away") if late else reply

    with pytest.raises(TooFewWorkers, match="round 2 has 1 good answers of 3 workers, .* the 2 it needs: worker 0: it"):
        run(spec, tmp_path, pool=Failing(spec))
    assert len(Checkpoint.load(tmp_path / "c.npz", FEDERATED).progress["rounds"]) == 1
    resumed = run(spec, tmp_path, Checkpoint.load(tmp_path / "c.npz", FEDERATED))
    assert same(resumed.weights, run(spec, tmp_path).weights)
