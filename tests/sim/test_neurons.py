"""Neurons of the float model against automatic differentiation in float64: of their own forward pass, of SpikingJelly's
and of snnTorch's."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from tests.sim.steps import Step, torch
from trident.hw.isa.charges import CHARGES, DECAYING, LEARNED, leak_program
from trident.hw.isa.neurons import READOUTS, RESETS, NeuronKind
from trident.snn.neuron_settings import NeuronSettings

jelly = pytest.importorskip("spikingjelly.activation_based.neuron", reason="the oracle extra is not installed")
snntorch = pytest.importorskip("snntorch", reason="the oracle extra is not installed")
jelly_surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate")

pytestmark = pytest.mark.oracle

# snnTorch keeps constants in float32, which has these
STEPS, NEURONS, THRESHOLD, WINDOW, LEAK, SYNAPSE = 12, 50, 0.5, 0.75, 0.75, 0.625
BOUND = 1e-9  # relative to the largest gradient


# SpikingJelly's own where it has one of that height
SURROGATES = {
    "rectangle": lambda: lambda x: Step.apply(x, WINDOW, "rectangle"),
    "triangle": lambda: lambda x: Step.apply(x, WINDOW, "triangle"),
    "atan": lambda: jelly_surrogate.ATan(),
    "atan:5": lambda: jelly_surrogate.ATan(5.0),
    "sigmoid": lambda: jelly_surrogate.Sigmoid(),
    "fast-sigmoid": lambda: lambda x: Step.apply(x, 25.0, "fast-sigmoid"),  # snnTorch's, which rounds to float32
    "fast-sigmoid:10": lambda: lambda x: Step.apply(x, 10.0, "fast-sigmoid"),
}


def stimulus(gain: float) -> np.ndarray:
    return np.random.default_rng(1).normal(0.2, 0.6, (STEPS, NEURONS)) / gain


def ours(settings: NeuronSettings, x: np.ndarray, e: np.ndarray, leak: np.ndarray | None = None):
    """Spikes, the errors at the inputs from those at the spikes and, where the leaks or thresholds are learned as
    ``leak``, the gradient of these."""
    forward, backward = settings.programs
    own = {}
    if leak is not None:
        program = leak_program(settings.charge)
        own[settings.kind.learned] = np.broadcast_to(program.run(settings.constants, w=leak[None])["leak"], x.shape)
    found = forward.run(settings.constants, x=x, **own)
    grad = backward.run(settings.constants, e=e, s=found["s"], m=found["m"], u=found["u"], **own)
    return found["s"], grad["dx"], *([grad["g"].sum(0)] if own else [])


def theirs(step, x: np.ndarray, e: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As :func:`ours`, of a function that makes one timestep's spikes."""
    inputs = torch.tensor(x, requires_grad=True)
    spikes = torch.stack([step(row) for row in inputs])
    spikes.backward(torch.tensor(e))
    return spikes.detach().numpy(), inputs.grad.numpy()


def steps_of(node, *states):
    """What makes one timestep's spikes with a module that takes its states and gives the next ones."""

    def step(row):
        nonlocal states
        spikes, *states = node(row, *states)
        return spikes

    return step


def compare(settings: NeuronSettings, step):
    """Spikes are the same, and errors within the bound."""
    x, e = stimulus(1 - LEAK if settings.decay_input else 1), np.random.default_rng(2).normal(size=(STEPS, NEURONS))
    spikes, errors = ours(settings, x, e)
    expected, gradients = theirs(step, x, e)
    assert 0.05 < spikes.mean() < 0.95
    assert (spikes == expected).all()
    assert np.abs(errors - gradients).max() <= BOUND * np.abs(gradients).max()


def settings_of(**changes) -> NeuronSettings:
    return NeuronSettings(leak=LEAK, threshold=THRESHOLD, window=WINDOW, synapse=SYNAPSE, **changes)


@pytest.mark.parametrize("surrogate, detach", [("rectangle", True), ("triangle", True), ("atan", False)])
def test_a_penalty_is_of_every_spike(surrogate, detach):
    """Its derivative is added to the error at each."""
    x, e = stimulus(1), np.random.default_rng(2).normal(size=(STEPS, NEURONS))
    plain = settings_of(surrogate=surrogate, detach=detach)
    spikes, errors = ours(replace(plain, spike_penalty=1.5, penalty=0.25), x, e)
    expected, gradients = ours(plain, x, e + 0.25)
    assert (spikes == expected).all() and (errors == gradients).all()
    assert str(replace(plain, spike_penalty=1.5).kind) == f"{plain.kind}/penalty"
    assert NeuronKind.parse(f"{plain.kind}/penalty") == replace(plain.kind, penalty=True)


class Smooth(torch.autograd.Function):
    """A step whose derivative is a surrogate of our own."""

    @staticmethod
    def forward(ctx, x, settings):
        ctx.save_for_backward(x)
        ctx.settings = settings
        return (x >= 0).to(x)

    @staticmethod
    def backward(ctx, error):
        """The surrogate at x: what the backward pass of a neuron without a state makes of an error."""
        u = ctx.saved_tensors[0].numpy()[None] + THRESHOLD
        single = settings_of(reset="none", surrogate=ctx.settings.surrogate, neuron="if")
        near = (u > THRESHOLD - WINDOW) & (u < THRESHOLD + WINDOW)
        inputs = {"e": error.numpy()[None], "s": u >= THRESHOLD, "m": near, "u": u}
        return torch.tensor(single.programs[1].run(single.constants, **inputs)["dx"][0]), None


OWN = [(*own, "none") for own in product(CHARGES, RESETS, SURROGATES, [True, False])]
THRESHOLDS = list(product(
    ["lif", "lif-decay-input", "if", "synaptic"], RESETS, ["rectangle", "triangle", "atan"], [True, False], ["channel"]
))  # fmt: skip


@pytest.mark.parametrize("charge, reset, surrogate, detach, threshold", OWN + THRESHOLDS)
def test_own_forward_pass(charge, reset, surrogate, detach, threshold):
    """The backward pass of a declaration is the derivative of its forward pass."""
    decay_input, neuron = charge.endswith(DECAYING), charge.removesuffix(DECAYING)
    settings = settings_of(
        reset=reset, surrogate=surrogate, neuron=neuron, decay_input=decay_input, detach=detach,
        learn_threshold=threshold,
    )  # fmt: skip
    x, e = stimulus(1 - LEAK if decay_input else 1), np.random.default_rng(2).normal(size=(STEPS, NEURONS))
    # Parameters of leaks that have a derivative: those of leaky neurons, within 0 to 1
    leak = np.random.default_rng(3).uniform(0.05, 0.95, NEURONS) if settings.kind.learns else None
    spikes, errors, *own = ours(settings, x, e, leak)
    given = {}
    if leak is not None:
        parameters = torch.tensor(leak, requires_grad=True)
        made = leak_program(charge).run(settings.constants, torch, w=parameters[None])["leak"]
        given[settings.kind.learned] = made.expand(x.shape)
    inputs, fired = torch.tensor(x, requires_grad=True), []

    def step(above):
        fired.append(Smooth.apply(above, settings))
        return fired[-1].detach() if detach else fired[-1]

    settings.programs[0].run(settings.constants, torch, step, x=inputs, **given)
    torch.stack(fired).backward(torch.tensor(e))
    gradients = inputs.grad.numpy()
    assert (spikes == torch.stack(fired).detach().numpy()).all()
    assert np.abs(errors - gradients).max() <= BOUND * np.abs(gradients).max() > 0
    for gradient in own:
        wanted = parameters.grad.numpy()
        assert np.abs(gradient - wanted).max() <= BOUND * np.abs(wanted).max() > 0


JELLY = list(product(["lif", "decay", "if"], ["hard", "soft"], SURROGATES, [True, False]))


def check_spikingjelly(charge: str, surrogate: str, detach: bool, v_reset: float | None):
    """``v_reset``: None for a soft reset."""
    common = {
        "v_threshold": THRESHOLD, "v_reset": v_reset, "detach_reset": detach,
        "surrogate_function": SURROGATES[surrogate](),
    }  # fmt: skip
    if charge == "if":
        node = jelly.IFNode(**common)
    else:
        node = jelly.LIFNode(tau=1 / (1 - LEAK), decay_input=charge == "decay", **common)
    neuron = "if" if charge == "if" else "lif"
    own = {"neuron": neuron, "decay_input": charge == "decay", "surrogate": surrogate, "detach": detach}
    compare(settings_of(**own, reset="soft" if v_reset is None else "hard", v_reset=v_reset or 0.0), node)


@pytest.mark.parametrize("charge, reset, surrogate, detach", JELLY)
def test_spikingjelly(charge, reset, surrogate, detach):
    check_spikingjelly(charge, surrogate, detach, 0.0 if reset == "hard" else None)


@pytest.mark.parametrize("charge", ["lif", "decay", "if"])
def test_reset_to_another_potential(charge):
    """SpikingJelly begins there, and leaks to it."""
    check_spikingjelly(charge, "atan", False, -0.25)


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("charge", [charge for charge in CHARGES if charge not in LEARNED])
def test_readout(charge, readout):
    """The output of a readout is PyTorch's of its potentials, and its backward pass the derivative of that."""
    decay_input = charge == "lif-decay-input"
    settings = settings_of(
        neuron="lif" if decay_input else charge, decay_input=decay_input, readout=readout, reset="none", share=1 / STEPS
    )
    forward, backward = settings.programs
    x, e = stimulus(1), np.random.default_rng(2).normal(size=NEURONS)
    inputs = torch.tensor(x, requires_grad=True)
    potentials = forward.run(settings.constants, torch, x=inputs)["u"]
    expected = {"mean": potentials.mean(0), "last": potentials[-1], "max": potentials.max(0).values}[readout]
    expected.backward(torch.tensor(e))
    found = forward.run(settings.constants, x=x)
    assert np.abs(found["z"][-1] - expected.detach().numpy()).max() <= BOUND
    nothing = np.zeros(x.shape, bool)
    stored = {"s": nothing, "m": found.get("m", nothing), "u": found["u"]}
    errors = backward.run(settings.constants, e=np.broadcast_to(e, x.shape), **stored)["dx"]
    gradients = inputs.grad.numpy()
    assert np.abs(errors - gradients).max() <= BOUND * np.abs(gradients).max() > 0


PLIF = list(product([True, False], ["hard", "soft"], ["atan", "triangle"], [True, False], [-0.7, 1.1]))


@pytest.mark.parametrize("decay_input, reset, surrogate, detach, parameter", PLIF)
def test_learned_leak_of_spikingjelly(decay_input, reset, surrogate, detach, parameter):
    """ParametricLIFNode has one parameter, whose gradient is the sum of ours."""
    node = jelly.ParametricLIFNode(
        decay_input=decay_input, v_threshold=THRESHOLD, v_reset=0.0 if reset == "hard" else None, detach_reset=detach,
        surrogate_function=SURROGATES[surrogate](),
    ).double()  # fmt: skip
    node.w.data.fill_(parameter)
    settings = settings_of(
        neuron="plif", decay_input=decay_input, reset=reset, surrogate=surrogate, detach=detach
    )  # fmt: skip
    x, e = stimulus(1 - LEAK if decay_input else 1), np.random.default_rng(2).normal(size=(STEPS, NEURONS))
    spikes, errors, own = ours(settings, x, e, np.full(NEURONS, parameter))
    expected, gradients = theirs(node, x, e)
    assert (spikes == expected).all() and 0.05 < spikes.mean() < 0.95
    assert np.abs(errors - gradients).max() <= BOUND * np.abs(gradients).max()
    assert abs(own.sum() - float(node.w.grad)) <= BOUND * np.abs(own).max() > 0


TORCH = [
    *product(["lif"], [("zero", "hard"), ("subtract", "soft-after-leak"), ("none", "none")], SURROGATES),
    *product(["synaptic"], [("subtract", "soft-after-leak"), ("none", "none")], SURROGATES),
]


@pytest.mark.parametrize("name, reset", [("zero", "hard"), ("subtract", "soft-after-leak"), ("none", "none")])
@pytest.mark.parametrize("surrogate", ["atan", "fast-sigmoid:10"])
def test_learned_leaks_of_snntorch(name, reset, surrogate):
    """Leaky with ``learn_beta`` and a beta for every neuron, some of them beyond what they are clamped to."""
    # Numbers that float32 has, which snnTorch makes of a beta
    leak = np.linspace(-0.25, 1.25, 2 * NEURONS)[::2].astype(np.float32).astype(np.float64)
    node = snntorch.Leaky(
        beta=torch.tensor(leak), learn_beta=True, threshold=THRESHOLD, reset_mechanism=name,
        spike_grad=SURROGATES[surrogate](),
    ).double()  # fmt: skip
    x, e = stimulus(1), np.random.default_rng(2).normal(size=(STEPS, NEURONS))
    spikes, errors, own = ours(settings_of(neuron="leaky", reset=reset, surrogate=surrogate), x, e, leak)
    expected, gradients = theirs(steps_of(node, torch.zeros(NEURONS).double()), x, e)
    wanted = node.beta.grad.numpy()
    assert (spikes == expected).all()
    assert np.abs(errors - gradients).max() <= BOUND * np.abs(gradients).max()
    assert np.abs(own - wanted).max() <= BOUND * np.abs(wanted).max() > 0
    assert not wanted[(leak < 0) | (leak > 1)].any()


@pytest.mark.parametrize("name, reset", [("zero", "hard"), ("subtract", "soft-after-leak"), ("none", "none")])
@pytest.mark.parametrize("surrogate", ["rectangle", "atan", "fast-sigmoid:10"])
@pytest.mark.parametrize("many", [True, False], ids=["channel", "layer"])
def test_learned_thresholds_of_snntorch(name, reset, surrogate, many):
    """Leaky with ``learn_threshold``, a threshold for every neuron or one, whose gradient is the sum of ours."""
    threshold = np.linspace(0.25, 1.25, NEURONS).astype(np.float32).astype(np.float64) if many else np.array(0.375)
    node = snntorch.Leaky(
        beta=LEAK, threshold=torch.tensor(threshold), learn_threshold=True, reset_mechanism=name,
        spike_grad=SURROGATES[surrogate](),
    ).double()  # fmt: skip
    x, e = stimulus(1), np.random.default_rng(2).normal(size=(STEPS, NEURONS))
    settings = settings_of(reset=reset, surrogate=surrogate, learn_threshold="channel" if many else "layer")
    spikes, errors, own = ours(settings, x, e, np.broadcast_to(threshold, NEURONS))
    expected, gradients = theirs(steps_of(node, torch.zeros(NEURONS).double()), x, e)
    wanted = node.threshold.grad.numpy()
    assert (spikes == expected).all() and 0.05 < spikes.mean() < 0.95
    assert np.abs(errors - gradients).max() <= BOUND * np.abs(gradients).max()
    assert np.abs((own if many else own.sum()) - wanted).max() <= BOUND * np.abs(own).max() > 0


@pytest.mark.parametrize("neuron, resets, surrogate", TORCH)
def test_snntorch(neuron, resets, surrogate):
    """It detaches every reset."""
    name, reset = resets
    common = {"threshold": THRESHOLD, "reset_mechanism": name, "spike_grad": SURROGATES[surrogate]()}
    if neuron == "lif":
        node, states = snntorch.Leaky(beta=LEAK, **common), [torch.zeros(NEURONS)]
    else:
        node, states = snntorch.Synaptic(alpha=SYNAPSE, beta=LEAK, **common), [torch.zeros(NEURONS)] * 2
    step = steps_of(node.double(), *(state.double() for state in states))
    compare(settings_of(reset=reset, surrogate=surrogate, neuron=neuron), step)


@pytest.mark.parametrize("steps", [25, 101])
def test_snntorch_over_many_timesteps(steps):
    """More than a spike word holds, and not a multiple of what it holds."""
    own = {"threshold": THRESHOLD, "reset_mechanism": "subtract", "spike_grad": SURROGATES["atan"]()}
    node = snntorch.Leaky(beta=LEAK, **own).double()
    settings = settings_of(reset="soft-after-leak", surrogate="atan")
    rng = np.random.default_rng(4)
    x, e = rng.normal(0.2, 0.6, (steps, 6)), rng.normal(size=(steps, 6))
    spikes, errors = ours(settings, x, e)
    expected, gradients = theirs(steps_of(node, torch.zeros(6).double()), x, e)
    assert (spikes == expected).all() and spikes[-1].any() and errors[-1].any()
    assert np.abs(errors - gradients).max() <= BOUND * np.abs(gradients).max()
