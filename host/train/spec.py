"""What a training run is made of, put together and checked as a whole before anything is built or written."""

from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from trident.host.compile.chip_plan import ChipPlan
from trident.host.compile.sizing import (
    MEMORIES,
    configure,
    fit,
    fit_chip,
    kernels_of,
    pool_of,
    roomiest,
    walks_of,
    windows_of,
)
from trident.host.mapping.activity import measure_data
from trident.host.mapping.chip_choice import ChipChoice
from trident.host.mapping.cost import CostModel
from trident.host.mapping.mapper import SAMPLES, check_choice, make_map
from trident.host.mapping.prediction import predict
from trident.host.train.spec_checks import (
    built_core,
    built_mesh,
    check_penalties,
    check_plan,
    check_rate,
    check_readout,
    check_suits,
)
from trident.host.train.start import Start, digest_of, held_settings, start_of
from trident.hw.chip import check_pair
from trident.hw.errors import TooLarge, TridentError
from trident.hw.isa.capabilities import Capability, require
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.limits import LIMITS
from trident.hw.isa.mesh import MeshConfig, mesh_for
from trident.sim.golden.constants import NeuronConstants, UpdateConstants, check_prune
from trident.snn.data.dataset import Dataset, check_fits, load
from trident.snn.data.encoding import METHODS, faint, planes_of, rough
from trident.snn.losses import MEMBRANE, Loss, balanced, softened
from trident.snn.network.defaults import DEEP, PLAIN, RECIPES
from trident.snn.network.files import SUFFIXES, dumps
from trident.snn.network.leaks import with_leaks
from trident.snn.network.network import Network
from trident.snn.network.norms import frozen, with_norm
from trident.snn.network.partition import Partition
from trident.snn.neuron_settings import NeuronSettings
from trident.snn.train_settings import ADAM_RATE, BALANCED, TrainSettings

HIDDEN = 128  # neurons of the default network's hidden layer
# A sample of mnist takes 4 times the cycles of one of digits, and there are 3 times as many
DEFAULTS = {"mnist": {"epochs": 2, "learning_rate": 0.25, "halve_every": 1}}


@dataclass(frozen=True)
class Forecast:
    """What is predicted of a chip: cycles per sample, those of one core with memories that hold the network (None: they
    are larger than can be), the balance of the cores' work (largest over mean), and its placement's flits x hops over
    those of the mean of random placements and over those of the zigzag."""

    per_sample: float
    one_core: float | None
    balance: float
    placement_ratio: float
    zigzag_ratio: float


@dataclass(frozen=True)
class RunSpec:
    """A network, how it is trained, on which data and on which chip; see :meth:`make`.

    plan: None of a network that is larger than a core can be, for golden alone. forecast: None for one core. start:
    weights that training begins with; None: drawn ones.
    """

    network_text: str
    network: Network
    neuron: NeuronSettings
    train: TrainSettings
    cfg: CoreConfig
    dataset: Dataset
    encoding: str
    plan: ChipPlan | None
    forecast: Forecast | None = None
    start: Start | None = None

    @property
    def mesh(self) -> MeshConfig:
        """The chip's cores; there must be a chip."""
        assert self.plan is not None
        return self.plan.mesh

    @property
    def many(self) -> bool:
        """The chip has more than one core."""
        return self.plan is not None and self.mesh.cores > 1

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the data before they are trained on."""
        planes = self.network.planes
        found = rough(self.dataset, planes) if planes else faint(self.dataset, self.train.timesteps)
        return self.dataset.notes + found

    @property
    def chip_text(self) -> str:
        """The chip in words."""
        cfg = self.cfg
        core = f"{cfg.lanes} lane{'s' * (cfg.lanes > 1)}, {cfg.steps} timesteps"
        if self.plan is None:
            return f"Core: {core}, and larger memories than can be built"
        partition = self.plan.partition
        if not self.many:
            return f"Core: {core}"
        return (
            f"Chip: {partition.cores} of {self.mesh.cores} cores of a {self.mesh.width}x{self.mesh.height} mesh, "
            f"{core}; partition {partition}"
        )

    @classmethod
    def make(
        cls,
        data: str | Dataset = "digits",
        net: str | Network | None = None,
        preset: str | None = None,
        encoding: str | None = None,
        neuron: dict | None = None,
        train: dict | None = None,
        core: dict | None = None,
        chip: ChipChoice | None = None,
        built: tuple[CoreConfig, MeshConfig] | None = None,
        alone: bool = False,
        bias: bool = True,
        bin_us: int | None = None,
        norm: str | None = None,
        freeze_bn: bool = False,
        weights: Path | None = None,
    ) -> "RunSpec":
        """``data``: a source of :func:`~trident.snn.data.dataset.load`, or a data set. ``neuron``, ``train`` and
        ``core`` are the fields of :class:`NeuronSettings`, :class:`TrainSettings` and :class:`CoreConfig` that are not
        to be as they are by default; None stands for the default.

        ``net``: a text for :meth:`Network.parse`, or the network itself; without it one hidden layer of 128 between the
        samples and the classes, or, on several cores, :data:`DEEP`; a network of :data:`RECIPES` is trained as those
        say where nothing else is named; without ``timesteps`` as many as stored spikes
        have, otherwise the preset's; without ``batch`` 16, or fewer when there are fewer samples. The memories of a
        single core that ``core`` does not name grow to what the network needs. ``built``: core and mesh of a chip that
        exists: nothing of it is changed, and options that ask for something else are refused. ``alone``: for golden
        alone, so a network may be larger than any single core, unless ``core`` names memories. ``bias``: whether the
        layers of a shorthand have biases. ``bin_us``: microseconds of a timestep, of event recordings. ``norm``: see
        :func:`with_norm`. ``freeze_bn``: all batch norms are frozen. ``weights``: of a checkpoint that training begins
        with, see :func:`start_of`.
        Raises :class:`TridentError` for whatever does not fit together.
        """
        neuron, train, core = (
            {name: value for name, value in (given or {}).items() if value is not None}
            for given in (neuron, train, core)
        )
        fixed = frozenset(MEMORIES if built else set(MEMORIES) & set(core))
        recipe = RECIPES.get(net.strip(), PLAIN) if isinstance(net, str) else PLAIN
        neuron, train = recipe.neuron | neuron, recipe.train | train
        encoding, norm = encoding or recipe.encoding, norm or recipe.norm
        if "halve_every" in train and train.get("schedule", "step") != "step":
            raise TridentError(f"halve_every is of the schedule step, not of {train['schedule']}")
        if "synapse" in neuron and neuron.get("neuron") != "synaptic":
            raise TridentError(f"synapse is of synaptic neurons, not of {neuron.get('neuron', NeuronSettings.neuron)}")
        if train.get("optimizer", "sgd") != "sgd":
            train = {"learning_rate": ADAM_RATE} | train
        elif given := [name for name in ("beta2", "epsilon") if name in train]:
            raise TridentError(f"{given[0]} is of the optimizers adam and adamw, not of sgd")
        chip = chip or ChipChoice()
        mesh = chip.mesh()
        if built:
            mesh = built_mesh(built[1], mesh, preset)
            neuron = NeuronSettings.built(built[0]) | neuron
        many = mesh is not None and mesh.cores > 1
        if many:  # the network that is made for many cores, and what it learns with
            preset = preset or DEEP.preset
            if net is None and data == "digits":
                net, neuron, train = DEEP.net, DEEP.neuron | neuron, DEEP.train | train
            if preset.upper() == DEEP.preset and not built:
                core = DEEP.core | core
        preset = preset or "SMALL"
        if not bias and (isinstance(net, Network) or (net and net.strip().lower().endswith(SUFFIXES))):
            raise TridentError("a network file says of every layer whether it has biases: bias is of the shorthand")
        if encoding not in METHODS:
            raise TridentError(f"encoding must be one of {', '.join(METHODS)}, not {encoding!r}")
        neuron_settings = NeuronSettings(**neuron)
        threshold = neuron_settings.threshold
        network = Network.parse(net, bias) if isinstance(net, str) else net

        def completed(network: Network) -> Network:
            normed = with_norm(network, norm, threshold)
            return with_leaks(frozen(normed) if freeze_bn else normed, neuron_settings)

        network = completed(network) if network else None
        layers = network.layers if network else ()
        if layers and layers[-1].readout:
            train = {"loss": MEMBRANE} | train
        settings = TrainSettings(**{**train, "timesteps": 1})
        check_readout(settings.loss, layers[-1] if layers else None)
        own = neuron_settings.core(layers) | settings.core
        if built:  # its neurons are in an order of their own
            del own["others"]
        elif network and network.drops:
            own["dropout"] = True
        core |= own
        steps = train.pop("timesteps", None)
        asked = core if steps is None else core | {"timesteps": steps}
        cfg = built_core(built[0], asked) if built else configure(preset, **asked)
        TrainSettings(timesteps=cfg.steps, **train)  # so that a wrong value is told before the data are read
        dataset = data
        if isinstance(dataset, str):
            dataset = load(dataset, timesteps=cfg.steps, bin_us=bin_us, counted=encoding == "direct")
        if dataset.steps and "timesteps" not in asked and not built:
            cfg = configure(preset, timesteps=dataset.steps, **core)
        y, x, channels = dataset.shape
        if network is None:
            net = f"{y * x * channels}-{HIDDEN}-{dataset.classes}"
            network = completed(Network.parse(net, bias))
        network, suited = suit(network, cfg, neuron_settings, dataset, encoding)
        if built:
            check_suits(cfg, suited)
        else:
            cfg = suited
        train = DEFAULTS.get(dataset.name, {}) | {"batch": min(TrainSettings.batch, len(dataset.train))} | train
        settings = TrainSettings(timesteps=cfg.steps, **train)
        check_fits(dataset, network, settings)
        if settings.class_weights == BALANCED:
            by_class = balanced(dataset.train_labels, network.classes)
            settings = replace(settings, class_weights=",".join(map(str, by_class)))
        tables = {"loss_tables": max(len(settings.losses(network.classes).weights), 1)}
        if settings.distill:
            if dataset.teacher is None:
                raise TridentError(f"distill needs a teacher's logits, an array teacher in the file: {data} has none")
            tables = {"loss_tables": settings.batch, "soft_targets": network.classes}
        cfg = built_core(cfg, tables) if built else replace(cfg, **tables)
        check_rate(settings, len(dataset.train))
        constants = NeuronConstants.of_network(network, neuron_settings, cfg)
        check_penalties(network, neuron_settings, settings, cfg)
        numbers = settings.numbers(settings.learning_rate, settings.loss_scale, 1)
        updates = UpdateConstants.round(numbers, settings.batch, cfg.format)
        check_prune(settings, updates, cfg)
        forecast = None
        if many:
            cfg, plan, forecast = _spread(network, cfg, neuron_settings, settings, dataset, encoding, chip, mesh, fixed)
        else:
            chip.check_single()
            try:
                cfg = fit(network, cfg, fixed, settings.batch)
                plan = ChipPlan(network, cfg, mesh if built else None, minibatch=settings.batch)
            except TooLarge:
                if fixed or not alone:
                    raise
                plan = None
        check_plan(plan, network, cfg, constants, updates)
        title = _title(net, network, bias, norm) + ", norms frozen" * freeze_bn
        start = start_of(weights, network, cfg) if weights else None
        return cls(title, network, neuron_settings, settings, cfg, dataset, encoding, plan, forecast, start)

    @property
    def loss(self) -> Loss:
        """The loss of the network's classes."""
        return self.train.losses(self.network.classes)

    @property
    def most_spikes(self) -> int:
        """That a class can have in a sample."""
        return self.network.most_spikes(self.train.timesteps)

    def wanted(self, index: np.ndarray) -> np.ndarray | None:
        """Soft targets (N, classes) of the training samples with these numbers; None where labels say all."""
        if not self.train.distill:
            return None
        labels, classes = self.dataset.train_labels[index], self.network.classes
        logits = np.full((len(index), classes), -np.inf)
        logits[:, : self.dataset.classes] = self.dataset.teacher[index]
        return softened(logits, self.train.temperature, self.loss.wanted(labels, classes), self.train.distill)

    @property
    def minibatches(self) -> int:
        """Of an epoch."""
        return len(self.dataset.train) // self.train.batch

    def settings(self) -> dict:
        """All that decides the result, as plain values for a table; the number of epochs is not among it where a longer
        run only goes on."""
        values = {"network": self.network_text, "data": self.dataset.name, "encoding": self.encoding}
        values |= asdict(self.train) | asdict(self.neuron) | {f"core.{k}": v for k, v in asdict(self.cfg).items()}
        if self.train.schedule == "step":
            del values["epochs"]
        if self.many:
            values |= {f"mesh.{k}": v for k, v in asdict(self.mesh).items()}
            values["partition"] = str(self.plan.partition)
            values["placement"] = ",".join(map(str, self.plan.placement))
        values |= held_settings(self.network)
        if self.start:
            values["weights digest"] = digest_of(self.start)
        if self.dataset.bin_us is not None:
            values["bin_us"] = self.dataset.bin_us
        digest = sha256()
        for part in (self.dataset.train, self.dataset.train_labels, self.dataset.test, self.dataset.test_labels):
            digest.update(part.tobytes())
        values["data digest"] = digest.hexdigest()[:16]
        return values


def suit(
    network: Network, cfg: CoreConfig, neuron: NeuronSettings, dataset: Dataset, encoding: str
) -> tuple[Network, CoreConfig]:
    """The network for samples of a data set, and a core that has what the network needs of it beside room: words of one
    timestep, windows, planes, walks, kernels, norms, dropout, voters and kinds of neurons.

    Raises :class:`TridentError` for a core that cannot have them, and for values that are too large for planes.
    """
    dataset.check_encoding(encoding)
    if late := network.delays:
        what = f"{late[0].node!r} reads spikes of t-{late[0].delay}, which"
        require(cfg.capabilities, what, (Capability.CHUNKS,))
        if cfg.steps > (most := LIMITS["chunks"][1]):
            raise TridentError(f"{what} is for samples of {most} timesteps at most, not of {cfg.steps}")
        cfg = replace(cfg, timesteps=1, chunks=cfg.steps, spare=0)
    if encoding == "direct" and not dataset.holds_spikes:
        # Layers that add sums take errors of every timestep
        reading = (layer for layer in network.layers if any(None in part.sources for part in layer.parts))
        each = bool(late) or any(layer.in_adds for layer in reading)
        network = replace(network, planes=planes_of(dataset, min(cfg.timesteps, cfg.steps), each))
    pool, windows = pool_of(network), windows_of(network)
    planes = any(read.job for layer in network.layers for read in layer.reads)
    return network, replace(
        cfg, planes=cfg.planes or planes, pool=pool if pool > 1 else cfg.pool,
        walks=max(walks_of(network), cfg.walks), others=neuron.core(network.layers)["others"],
        standardise=cfg.standardise or any(layer.standardised for layer in network.layers),
        batch_norm=cfg.batch_norm or network.batch_norm,
        **{name: max(getattr(cfg, name), needed) for name, needed in windows.items()},
        adds=cfg.adds or bool(network.adds),
        sum_words=max(cfg.sum_words, int(network.batch_norm or bool(network.adds) or windows["window"] > 1)),
        voters=max(cfg.voters, network.voters),
        dropout=cfg.dropout or bool(network.drops), kernels=cfg.kernels or kernels_of(network, cfg),
    )  # fmt: skip






def _title(net: str | Network, network: Network, bias: bool, norm: str) -> str:
    """What a network is called: its shorthand, or the name of its file with a digest of what is in it."""
    if isinstance(net, str) and not net.strip().lower().endswith(SUFFIXES):
        return f"{net}{'' if bias else ' without biases'}{'' if norm == 'none' else f' with norm {norm}'}"
    digest = sha256(dumps(network, ".json").encode()).hexdigest()[:8]
    return f"graph {digest}" if isinstance(net, Network) else f"{Path(net).stem} (graph {digest})"


def _spread(
    network: Network, cfg: CoreConfig, neuron: NeuronSettings, train: TrainSettings, dataset: Dataset, encoding: str,
    chip: ChipChoice, mesh: MeshConfig, fixed: frozenset[str],
) -> tuple[CoreConfig, ChipPlan, Forecast]:  # fmt: skip
    """Partition and placement of a network on a mesh; memories stay as the preset says, queues grow. Where every core
    has the whole network, memories grow to what that needs."""
    mesh = mesh_for(cfg, mesh)
    check_pair(cfg, mesh)
    check_choice(network, cfg.lanes, mesh, train.batch, None, chip.partition, chip.placing)
    activity = measure_data(network, cfg, neuron, dataset, SAMPLES, encoding, train.seed)
    cost = CostModel(network, roomiest(network, cfg, fixed), activity, mesh)
    chosen = make_map(cost, mesh, train.batch, None, chip.partition, chip.placing, train.seed)
    partition = chosen.mapping.partition
    cfg = fit_chip(network, partition, cfg, fixed, train.batch)
    try:
        alone = CostModel(network, fit(network, cfg, minibatch=train.batch), activity)
        one = predict(alone, Partition.single(network), train.batch).per_sample
    except TooLarge:
        one = None
    forecast = Forecast(
        chosen.per_sample, one, chosen.mapping.prediction.balance, chosen.placement_ratio, chosen.zigzag_ratio
    )
    return cfg, ChipPlan(network, cfg, mesh, partition, chosen.placement, train.batch), forecast
