"""What a user may set about the training, checked when it is made."""

from dataclasses import dataclass
from math import cos, frexp, log2, pi, sqrt

from trident.hw.errors import TridentError
from trident.snn.checks import choice, number, parsed, positive, whole
from trident.snn.losses import OF_READOUTS, PER_CLASS, SOFTMAX, Loss

MAX_TIMESTEPS = 2048
MAX_LOSS_SCALE = 2**15
OPTIMIZERS = ("sgd", "adam", "adamw")
SCALED = 15  # power of two that Adam sees a mean gradient with at first: small squares then fit a narrow format
FOLLOWED = 3  # powers by which it may be lower before epsilon grows
EPSILON = 1e-5
ADAM_RATE = 0.01  # learning rate of Adam where none is given
SCHEDULES = ("step", "cosine", "one-cycle")
BALANCED = "balanced"
COUNT_RATES = "0.8,0.2"  # of count-mse: what the label's neuron and the others should fire, per timestep
WARM, FIRST, LAST = 0.3, 1 / 25, 1e-4  # of one-cycle: share of the run that warms up; the rates at its ends


@dataclass(frozen=True)
class TrainSettings:
    """How a network is trained: stochastic gradient descent with momentum on minibatches.

    The gradient g of a minibatch is summed over its samples and carries the loss scale:
    ``v = momentum * v + g`` and ``W -= step * v`` with ``step = rate / (loss_scale * batch)``. The defaults make every
    step a power of two, so that multiplying by it only shifts the exponent.

    optimizer: "sgd"; "adam" or "adamw", with ``momentum`` and ``beta2`` as what means of gradients and of their squares
    keep, and ``epsilon`` added to the root of the latter (Kingma, Ba 2015; Loshchilov, Hutter 2019). weight_decay:
    share of a weight that is added to its gradient or, of adamw, taken from the weight, times the rate. nesterov: of
    sgd, the step looks one momentum ahead. prune: λ, at least 0; an update ends with a soft threshold of weights, not
    of biases, gains and offsets: ``sign(w) * max(0, |w| - rate * λ)``, the proximal step of ``λ * |w|``.

    loss: "mse", of the rates and 1 for the label's neuron, 0 for the others; "count-mse:0.8,0.2", the same with these;
    "cross-entropy" of the counts, "rate-cross-entropy" or, of readouts, "membrane-cross-entropy" and
    "step-cross-entropy", see :class:`trident.snn.losses.Loss`. smoothing: the share of the 1 that all neurons have
    alike, at least 0 and below 1.
    class_weights: by class, what the loss of its samples is multiplied by, as in "1,2,0.5"; "balanced", which must have
    become numbers, see :func:`trident.snn.losses.balanced`, where the labels are known; empty for 1.
    distill: the share of a teacher's probabilities in what a cross-entropy wants, within 0 to 1, where the data have
    the teacher's logits; temperature: what these are divided by, above 0.
    schedule: "step", the learning rate halved after every ``halve_every`` epochs (0: never); "cosine", down to 0 over
    all epochs; "one-cycle", up for 30 % of all epochs, then down (Smith, Topin 2017).

    ``timesteps`` is within 1 to 2048, ``loss_scale`` a power of two within 1 to 32768, ``momentum`` at least 0 and
    below 1, ``seed`` within 0 to 2**32 - 1. Raises :class:`TridentError` for anything else.
    """

    timesteps: int = 8
    epochs: int = 10
    batch: int = 16
    learning_rate: float = 0.5
    momentum: float = 0.9
    loss_scale: int = 256
    seed: int = 0
    halve_every: int = 3
    loss: str = "mse"
    smoothing: float = 0.0
    class_weights: str = ""
    distill: float = 0.0
    temperature: float = 1.0
    schedule: str = "step"
    optimizer: str = "sgd"
    weight_decay: float = 0.0
    nesterov: bool = False
    beta2: float = 0.999
    epsilon: float = EPSILON
    prune: float = 0.0

    def __post_init__(self):
        whole("timesteps", self.timesteps, 1, MAX_TIMESTEPS)
        whole("epochs", self.epochs, 1)
        whole("batch", self.batch, 1)
        positive("learning rate", self.learning_rate)
        if not 0 <= number("momentum", self.momentum) < 1:
            raise TridentError(f"momentum must be at least 0 and below 1, not {self.momentum}")
        whole("seed", self.seed, 0, 2**32 - 1)
        whole("halve_every", self.halve_every, 0)
        scale = number("loss scale", self.loss_scale)
        if scale != int(scale) or not 1 <= scale <= MAX_LOSS_SCALE or int(scale) & (int(scale) - 1):
            raise TridentError(f"loss scale must be a power of two within 1 to {MAX_LOSS_SCALE}, not {self.loss_scale}")
        choice("schedule", self.schedule, SCHEDULES)
        choice("optimizer", self.optimizer, OPTIMIZERS)
        if not 0 <= number("weight decay", self.weight_decay) < 1:
            raise TridentError(f"weight decay must be at least 0 and below 1, not {self.weight_decay}")
        if not 0 <= number("beta2", self.beta2) < 1:
            raise TridentError(f"beta2 must be at least 0 and below 1, not {self.beta2}")
        positive("epsilon", self.epsilon)
        if number("prune", self.prune) < 0:
            raise TridentError(f"prune must be at least 0, not {self.prune}")
        if self.nesterov and self.optimizer != "sgd":
            raise TridentError(f"nesterov is for the optimizer sgd, not for {self.optimizer}")
        if not 0 <= number("smoothing", self.smoothing) < 1:
            raise TridentError(f"smoothing must be at least 0 and below 1, not {self.smoothing}")
        self._weights()
        if not 0 <= number("distill", self.distill) <= 1:
            raise TridentError(f"distill must be within 0 to 1, not {self.distill}")
        positive("temperature", self.temperature)
        if self.temperature != 1 and not self.distill:
            raise TridentError(f"a temperature of {self.temperature} is of a teacher: give distill, a share, as well")
        if self.distill and self.class_weights:
            raise TridentError("distill goes without class weights: every sample has targets of its own")
        name, rates = self._loss()
        if self.distill and not Loss(name).softmax:
            raise TridentError(f"distill is of a cross-entropy, not of the loss {name}")
        if name != "count-mse" and rates:
            raise TridentError(f"only count-mse has rates of its own, not {name} as in {self.loss!r}")
        if name == "count-mse":
            if self.smoothing:
                raise TridentError("smoothing is not for count-mse, which names the rates of all neurons itself")
            wanted = [parsed(rate) for rate in (rates or COUNT_RATES).split(",")]
            if len(wanted) != 2 or not all(isinstance(rate, float) and 0 <= rate <= 1 for rate in wanted):
                raise TridentError(f"the rates of count-mse must be two within 0 to 1, as in 0.8,0.2, not {rates!r}")

    def _loss(self) -> tuple[str, str]:
        text = self.loss
        name, _, rates = text.partition(":") if isinstance(text, str) else (text, "", "")
        choice("loss", name, (*PER_CLASS, "count-mse", *SOFTMAX, *OF_READOUTS))
        return name, rates

    def _weights(self) -> tuple[float, ...]:
        """The class weights as numbers; none where they are balanced."""
        text = self.class_weights
        if not isinstance(text, str):
            raise TridentError(f"class weights must be a text, as in '1,2,0.5', not {text!r}")
        if text in ("", BALANCED):
            return ()
        weights = tuple(number("a class weight", parsed(weight)) for weight in text.split(","))
        for weight in weights:
            if weight < 0:
                raise TridentError(f"a class weight must be at least 0, not {weight}")
        if not any(weights):
            raise TridentError(f"class weights of {text} leave nothing to learn: one must be above 0")
        return weights

    def losses(self, classes: int) -> Loss:
        """The loss of so many classes. Raises :class:`TridentError` unless there are as many class weights, if any."""
        name, rates = self._loss()
        weights = self._weights()
        if self.class_weights and len(weights) != classes:
            raise TridentError(
                f"class weights must be {classes} numbers, one for each class, not {self.class_weights!r}"
            )
        if name == "count-mse":
            label, other = map(float, (rates or COUNT_RATES).split(","))
            return Loss("mse", other, label, weights)
        return Loss(name, self.smoothing / classes, 1 - self.smoothing + self.smoothing / classes, weights)

    def rate(self, epoch: float) -> float:
        """The learning rate at a moment in epochs, from 0; the part of an epoch matters to smooth schedules only."""
        if self.schedule == "step":
            return self.learning_rate / 2 ** (int(epoch) // self.halve_every if self.halve_every else 0)
        done = epoch / self.epochs
        if self.schedule == "cosine":
            return self.learning_rate * _cosine(1.0, 0.0, done)
        if done < WARM:
            return self.learning_rate * _cosine(FIRST, 1.0, done / WARM)
        return self.learning_rate * _cosine(1.0, FIRST * LAST, (done - WARM) / (1 - WARM))

    @property
    def optimiser(self) -> str:
        """The program of an update: a name of :data:`trident.hw.isa.optimisers.OPTIMISERS`."""
        name = "nesterov" if self.nesterov else self.optimizer
        name = f"{name}-decay" if self.weight_decay else name.removesuffix("w")
        return f"{name}-prune" if self.prune else name

    @property
    def adaptive(self) -> bool:
        """The optimiser keeps a mean of squares, as Adam does."""
        return self.optimizer in ("adam", "adamw")

    @property
    def core(self) -> dict[str, str]:
        """What a core must be built with: parameters of its configuration; class weights take ``loss_tables`` too."""
        return {"optimiser": self.optimiser, "loss": Loss(self._loss()[0]).unit}

    def step(self, epoch: float = 0) -> float:
        """What the momentum is multiplied by before it is taken from a weight, at the given moment."""
        return self.rate(epoch) / (self.loss_scale * self.batch)

    def numbers(
        self, rate: float, scale: float, update: int, carry: float = 1.0, power: int = SCALED
    ) -> dict[str, float]:
        """The numbers of the optimiser's program by name, for the update with this number, from 1, at a learning rate
        and a loss scale. ``carry``: what a momentum is multiplied by once because the scale that it carries has
        changed; ``power``: of two, that Adam sees a mean gradient with. Whole numbers are powers of two."""
        summed = scale * self.batch  # what a gradient is multiplied by
        decay = 1 - rate * self.weight_decay if self.optimizer == "adamw" else self.weight_decay * summed
        ends = {"decay": decay, "prune": rate * self.prune}
        if not self.adaptive:
            own = {"momentum": self.momentum * carry, "gain": 1 - self.momentum}
            return own | ends | step_size(rate / summed)
        shrink = power - round(log2(summed))
        root = sqrt(1 - self.beta2**update)  # a mean of squares begins at 0: what is missing is made up for
        return {
            "keep": self.momentum * carry, "gain": 1 - self.momentum, "keep_squares": self.beta2 * carry**2,
            "gain_squares": 1 - self.beta2, "shrink": shrink,
            # At lower powers more squares vanish, and epsilon alone bounds a step
            "epsilon": self.epsilon * root * summed * 2.0 ** (shrink + max(SCALED - FOLLOWED - power, 0)),
        } | ends | step_size(rate * root / (1 - self.momentum**update))  # fmt: skip


def step_size(rate: float) -> dict[str, float]:
    """A rate as the numbers ``minus_rate``, a significand within 1 to 2, and ``scale``, a power of two, so that it is
    never subnormal."""
    significand, exponent = frexp(rate)
    return {"minus_rate": -2 * significand, "scale": exponent - 1}


def _cosine(first: float, last: float, done: float) -> float:
    """Half a cosine from one value to another."""
    return last + (first - last) * (1 + cos(pi * done)) / 2
