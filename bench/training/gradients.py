"""Gradients and steps of the float model against PyTorch's automatic differentiation, in float64, for every combination
of neuron, reset, surrogate, detached or not, loss and optimiser."""

from collections.abc import Iterator
from itertools import product

import numpy as np

from trident.host.report.figure import Figure
from trident.hw.errors import TridentError
from trident.hw.isa.neurons import READOUTS, RESETS, SURROGATES
from trident.sim.twin import FloatTwin
from trident.snn.network.leaks import with_leaks
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings
from trident.snn.train_settings import TrainSettings

NET, STEPS, SAMPLES, BOUND = "12-10-4", 6, 5, 1e-9
CHARGES = [
    {"neuron": "lif"}, {"neuron": "lif", "decay_input": True}, {"neuron": "if"}, {"neuron": "synaptic"},
    {"neuron": "plif"}, {"neuron": "plif", "decay_input": True}, {"neuron": "leaky"},
]  # fmt: skip
LOSSES = [("mse", ""), ("count-mse:0.8,0.2", ""), ("cross-entropy", ""), ("rate-cross-entropy", "")]
LOSSES += [("membrane-cross-entropy", f"r{readout}") for readout in READOUTS]
LOSSES += [("step-cross-entropy", "rmean")]
"""Losses, with what they want behind the network's text."""
OPTIMIZERS: list[dict] = [
    {}, {"weight_decay": 0.01}, {"nesterov": True}, {"nesterov": True, "weight_decay": 0.01}, {"optimizer": "adam"},
    {"optimizer": "adam", "weight_decay": 0.01}, {"optimizer": "adamw", "weight_decay": 0.01},
]  # fmt: skip


def spike_of(torch, settings: NeuronSettings):
    """A step at 0 that PyTorch can differentiate, with the surrogate as a function written apart from the declarations:
    its name and the settings are all that it takes from there."""
    name, alpha, window = settings.surrogate_name, settings.constants["alpha"], settings.window
    slopes = {
        "rectangle": lambda x: (x.abs() < window).to(x),
        "triangle": lambda x: torch.clamp(1 - x.abs() / window, min=0),
        "atan": lambda x: alpha / 2 / (1 + (torch.pi / 2 * alpha * x) ** 2),
        "sigmoid": lambda x: alpha * torch.sigmoid(alpha * x) * (1 - torch.sigmoid(alpha * x)),
        "fast-sigmoid": lambda x: 1 / (1 + alpha * x.abs()) ** 2,
        "superspike": lambda x: 1 / (1 + alpha * x.abs()) ** 2,
    }

    class Spike(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return (x >= 0).to(x)

        @staticmethod
        def backward(ctx, error):
            return error * slopes[name](ctx.saved_tensors[0])

    return Spike.apply


def _forward(torch, neuron: NeuronSettings, layers: list, readout: str, spikes, by_step: bool):
    """Spike counts (B, classes), or what a ``readout`` says, or ``by_step`` its potentials (T, B, classes): every layer
    over all timesteps, its neuron written as the recurrence that it is. ``layers``: weights, biases and what is learned
    of leaks, if they are."""
    spike = spike_of(torch, neuron)
    for number, (weights, biases, *own) in enumerate(layers, 1):
        x, leak = spikes @ weights + biases, neuron.leak
        for learned in own:
            leak = 1 - torch.sigmoid(learned) if neuron.neuron == "plif" else learned.clamp(0, 1)
        v, current, fired, rows = torch.zeros_like(x[0]), torch.zeros_like(x[0]), torch.zeros_like(x[0]), []
        for row in x:
            charge = (1 - leak) * row if neuron.decay_input else row
            if neuron.neuron == "synaptic":
                charge = current = neuron.synapse * current + row
            u = (1 if neuron.neuron == "if" else leak) * v + charge
            if readout and number == len(layers):
                v = u
                rows.append(u)
                continue
            if neuron.reset == "soft-after-leak":
                u = u - neuron.threshold * fired
            s = spike(u - neuron.threshold)
            fired = s.detach() if neuron.detach else s
            v = {"hard": u * (1 - fired), "soft": u - neuron.threshold * fired}.get(neuron.reset, u)
            rows.append(s)
        spikes = torch.stack(rows)
    if by_step:
        return spikes
    if readout:
        return {"mean": spikes.mean(0), "last": spikes[-1], "max": spikes.max(0).values}[readout]
    return spikes.sum(0)


def _loss(torch, settings: TrainSettings, counts, labels):
    """Summed over the samples."""
    classes, steps = counts.shape[-1], settings.timesteps
    if settings.loss.startswith("step"):
        every = torch.nn.functional.cross_entropy(counts.flatten(0, 1), labels.repeat(steps), reduction="sum")
        return every / steps
    if settings.loss.endswith("cross-entropy"):
        logits = counts / steps if settings.loss.startswith("rate") else counts
        return torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
    right, other = (0.8, 0.2) if settings.loss.startswith("count") else (1.0, 0.0)
    wanted = other + (right - other) * torch.nn.functional.one_hot(labels, classes).double()
    return ((counts / steps - wanted) ** 2).mean(1).sum()


def error_of(torch, neuron: NeuronSettings, settings: TrainSettings, readout: str = "") -> float:
    """The largest difference of any gradient or, after two updates, any weight, as a share of the largest gradient or
    of the largest move of a weight."""
    network, rng = with_leaks(Network.parse(NET + readout), neuron), np.random.default_rng(3)
    twin = FloatTwin(network, neuron, settings, np.float64)
    spikes = (rng.random((SAMPLES, STEPS, *network.sample_shape)) < 0.5).astype(np.uint8)
    labels = rng.integers(0, network.classes, SAMPLES)
    names = list(twin.weights)
    start = {name: value.copy() for name, value in twin.weights.items()}
    shared = {layer.leak_name for layer in network.layers if layer.shares_leak}  # one number each
    parameters = {
        name: torch.nn.Parameter(torch.tensor(value[0] if name in shared else value)) for name, value in start.items()
    }
    layers = [
        (parameters[layer.weight][0], *(parameters[name] for name in layer.parameters[1:])) for layer in network.layers
    ]
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.optimizer]
    own = {"momentum": settings.momentum, "nesterov": settings.nesterov}
    if settings.optimizer != "sgd":
        own = {"betas": (settings.momentum, settings.beta2), "eps": settings.epsilon}
    optimiser = kind(parameters.values(), lr=settings.learning_rate, weight_decay=settings.weight_decay, **own)
    inputs = torch.tensor(spikes.reshape(SAMPLES, STEPS, -1).swapaxes(0, 1).astype(np.float64))
    worst = 0.0
    for _ in range(2):
        optimiser.zero_grad()
        outputs = _forward(torch, neuron, layers, readout.removeprefix("r"), inputs, settings.loss.startswith("step"))
        loss = _loss(torch, settings, outputs, torch.tensor(labels))
        (loss / settings.batch).backward()
        found = twin.gradients(spikes, labels)
        summed = settings.loss_scale * settings.batch
        wanted = {name: parameters[name].grad.numpy() for name in names}
        largest = max(np.abs(value).max() for value in wanted.values())
        if not largest:
            raise TridentError(f"no gradient to compare: {neuron}, {settings}")
        off = max(np.abs(found[name] / summed - wanted[name]).max() for name in names)
        worst = max(worst, float(off / largest))
        optimiser.step()
        twin.train_batch(spikes, labels)
    moved = max(np.abs(parameters[name].detach().numpy() - start[name]).max() for name in names)
    off = max(np.abs(parameters[name].detach().numpy() - twin.weights[name]).max() for name in names)
    return max(worst, float(off / moved))


def combinations() -> Iterator[tuple[NeuronSettings, TrainSettings, str]]:
    """All of them: the neuron, the training and the readout, empty where the last layer fires."""
    parts = product(CHARGES, RESETS, SURROGATES, (True, False), LOSSES, OPTIMIZERS)
    for charge, reset, surrogate, detach, (loss, readout), optimizer in parts:
        gain = 4 if charge.get("decay_input") else 1
        neuron = NeuronSettings(
            leak=0.75, threshold=0.3 / gain, window=0.5, reset=reset, surrogate=surrogate, detach=detach, **charge
        )
        train = TrainSettings(
            timesteps=STEPS, batch=SAMPLES, learning_rate=0.01, halve_every=0, loss=loss, **optimizer
        )
        yield neuron, train, readout


def measure_gradients(only: str) -> Iterator[Figure]:
    """How many combinations, and the worst relative difference. Raises TridentError without PyTorch."""
    try:
        import torch
    except ImportError:
        raise TridentError("vector.neurons compares with PyTorch: make .venv/oracle installs it") from None
    errors = [error_of(torch, *parts) for parts in combinations()]
    yield Figure("vector.neurons", "combinations", len(errors), "higher")
    yield Figure("vector.neurons.worst_error", "ratio", max(errors), "lower", BOUND)
