"""What a training run is made of, put together and checked as a whole before anything is built or written."""

from dataclasses import asdict, dataclass
from hashlib import sha256
from math import frexp

from host.compiler import Plan
from host.constants import NeuronConstants, UpdateConstants
from host.data import Dataset, check_fits, load
from host.encoding import METHODS
from host.network import Network
from host.settings import NeuronSettings, TrainSettings
from host.sizing import configure, fit
from hw.config import CoreConfig
from hw.errors import TridentError

LOSS_HALVINGS = 14  # below a loss scale of 1, before the scaler gives up
HIDDEN = 128  # neurons of the default network's hidden layer
MEMORIES = frozenset({"weight_rows", "spike_words", "error_words", "jobs", "program_words", "queue_depth"})
# A sample of mnist takes 4 times the cycles of one of digits, and there are 3 times as many
DEFAULTS = {"mnist": {"epochs": 2, "learning_rate": 0.25, "halve_every": 1}}


@dataclass(frozen=True)
class RunSpec:
    """A network, how it is trained, on which data and on which core; see :meth:`make`."""

    network_text: str
    network: Network
    neuron: NeuronSettings
    train: TrainSettings
    cfg: CoreConfig
    dataset: Dataset
    encoding: str

    @classmethod
    def make(
        cls,
        data: str = "digits",
        net: str | None = None,
        preset: str = "SMALL",
        encoding: str = "dither",
        neuron: dict | None = None,
        train: dict | None = None,
        core: dict | None = None,
    ) -> "RunSpec":
        """``neuron``, ``train`` and ``core`` are the fields of :class:`NeuronSettings`, :class:`TrainSettings` and
        :class:`hw.config.CoreConfig` that are not to be as they are by default; None stands for the default.

        Without ``net`` one hidden layer of 128 between the samples and the classes; without ``timesteps`` as many as
        stored spikes have, otherwise the preset's; without ``batch`` 16, or fewer when there are fewer samples.
        Memories that ``core`` does not name grow to what the network needs.
        Raises :class:`TridentError` for whatever does not fit together.
        """
        neuron, train, core = (
            {name: value for name, value in (given or {}).items() if value is not None}
            for given in (neuron, train, core)
        )
        if encoding not in METHODS:
            raise TridentError(f"encoding must be one of {', '.join(METHODS)}, not {encoding!r}")
        neuron_settings = NeuronSettings(**neuron)
        for name in ("reset", "surrogate"):
            core[name] = getattr(neuron_settings, name)
        steps = train.pop("timesteps", None)
        cfg = configure(preset, timesteps=steps, **core)
        TrainSettings(timesteps=cfg.timesteps, **train)  # so that a wrong value is told before the data are read
        network = Network.parse(net) if net else None
        dataset = load(data)
        if dataset.holds_spikes and steps is None:
            cfg = configure(preset, timesteps=dataset.train.shape[1], **core)
        y, x, channels = dataset.shape
        text = net or f"{y * x * channels}-{HIDDEN}-{dataset.classes}"
        network = network or Network.parse(text)
        train = DEFAULTS.get(data, {}) | {"batch": min(TrainSettings.batch, len(dataset.train))} | train
        settings = TrainSettings(timesteps=cfg.timesteps, **train)
        check_fits(dataset, network, settings)
        _check_rate(settings)
        cfg = fit(network, cfg, MEMORIES & set(core))
        constants = NeuronConstants.of(neuron_settings, cfg.format)
        Plan(network, cfg).jobs(constants, UpdateConstants(0, 0, 0))  # refuses what the instructions cannot say
        return cls(text, network, neuron_settings, settings, cfg, dataset, encoding)

    def settings(self) -> dict:
        """All that decides the result, as plain values for a table; the number of epochs is not among it, because a
        longer run only goes on."""
        values = {"network": self.network_text, "data": self.dataset.name, "encoding": self.encoding}
        values |= asdict(self.train) | asdict(self.neuron) | {f"core.{k}": v for k, v in asdict(self.cfg).items()}
        del values["epochs"]
        digest = sha256()
        for part in (self.dataset.train, self.dataset.train_labels, self.dataset.test, self.dataset.test_labels):
            digest.update(part.tobytes())
        values["data digest"] = digest.hexdigest()[:16]
        return values


def _check_rate(train: TrainSettings):
    """Refuse a learning rate whose power of two, at any loss scale and in any epoch, does not fit the 8 bits it has."""
    halvings = (train.epochs - 1) // train.halve_every if train.halve_every else 0
    largest = frexp(train.learning_rate / train.batch)[1] + LOSS_HALVINGS
    smallest = frexp(train.learning_rate / (train.loss_scale * train.batch))[1] - 1 - halvings
    if largest > 127 or smallest < -128:
        raise TridentError(
            f"a learning rate of {train.learning_rate}, halved {halvings} times, is outside what the update unit can "
            f"multiply by: choose one nearer to 1, or fewer halvings"
        )
