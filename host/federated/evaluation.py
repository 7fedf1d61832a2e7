"""How good weights are: the test samples of a run in the golden model."""


from trident.host.federated.golden_learner import GoldenLearner
from trident.host.federated.spec import FederatedSpec
from trident.host.train.tally import Tally
from trident.snn.data.encoding import encode
from trident.snn.network.network import Tensors


class Evaluation:
    """The test samples of a run, and the golden model that they are given to."""

    def __init__(self, spec: FederatedSpec):
        run = spec.run
        self.learner, self.labels, self.most = GoldenLearner(run), run.dataset.test_labels, run.most_spikes
        self.spikes = encode(run.dataset, run.network, run.train.timesteps, run.encoding, run.train.seed)[1]

    def tally(self, weights: Tensors) -> Tally:
        """Loss and accuracy of ``weights`` over all test samples."""
        self.learner.load(weights)
        golden, tally = self.learner.golden, Tally()
        tally.add(golden.counts_of(golden.infer(self.spikes)), self.labels, self.most)
        return tally
