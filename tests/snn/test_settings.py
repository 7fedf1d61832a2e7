"""Settings refuse every bad value in one sentence that names it."""

from dataclasses import replace
from math import frexp

import pytest

from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.neurons import RESETS, SURROGATES
from trident.snn.network.builder import Builder
from trident.snn.network.network import Network
from trident.snn.network.nodes import Edge, Neuron
from trident.snn.neuron_settings import NeuronSettings
from trident.snn.train_settings import TrainSettings


@pytest.mark.parametrize(
    "field, value, sentence",
    [
        ("leak", -0.1, "leak must be within 0 to 1, not -0.1"),
        ("leak", 1.5, "leak must be within 0 to 1, not 1.5"),
        ("leak", float("nan"), "leak must be a finite number, not nan"),
        ("leak", "half", "leak must be a finite number, not 'half'"),
        ("threshold", 0, "threshold must be above 0, not 0"),
        ("threshold", float("inf"), "threshold must be a finite number, not inf"),
        ("window", -1.0, "window must be above 0, not -1.0"),
        ("window", None, "window must be a finite number, not None"),
        ("reset", "late", f"reset must be {' or '.join(RESETS)}, not 'late'"),
        ("surrogate", "step", f"surrogate must be {' or '.join(SURROGATES)}, not 'step'"),
        ("surrogate", ["atan"], f"surrogate must be {' or '.join(SURROGATES)}, not ['atan']"),
        ("surrogate", "atan:two", "the α of the surrogate atan must be a finite number, not 'two'"),
        ("surrogate", "atan:0", "the α of the surrogate atan must be above 0, not 0.0"),
        ("surrogate", "triangle:2", "the surrogate triangle has no α: the window is its width"),
        ("neuron", "izhikevich", "neuron must be lif or if or synaptic or plif or leaky, not 'izhikevich'"),
        ("synapse", 2, "synapse must be within 0 to 1, not 2"),
        ("spike_penalty", -0.1, "spike_penalty must be at least 0, not -0.1"),
        ("spike_penalty", float("nan"), "spike_penalty must be a finite number, not nan"),
        ("v_reset", 0.5, "v_reset of 0.5 must be below the threshold, which is 0.5"),
        ("readout", "sum", "readout must be mean or last or max, not 'sum'"),
    ],
)
def test_neuron_refuses(field, value, sentence):
    with pytest.raises(TridentError) as refused:
        NeuronSettings(**{field: value})
    assert str(refused.value) == sentence


def test_only_a_lif_input_decays():
    with pytest.raises(TridentError, match="decay_input is for lif and plif neurons, not for if"):
        NeuronSettings(neuron="if", decay_input=True)


@pytest.mark.parametrize("changes", [
    {}, {"reset": "soft", "surrogate": "triangle"}, {"neuron": "if"}, {"decay_input": True}, {"reset": "none"},
    {"detach": False}, {"surrogate": "atan"}, {"neuron": "synaptic", "reset": "soft-after-leak"},
])  # fmt: skip
def test_the_core_of_a_neuron(changes):
    """A core that is built for it has it, with the same programs."""
    settings = NeuronSettings(**changes)
    cfg = CoreConfig.preset("TINY", **settings.core())
    assert NeuronSettings.of(cfg) == settings
    assert (*cfg.forward_programs, *cfg.backward_programs) == settings.programs


def test_a_layer_may_have_a_neuron_of_its_own():
    build = Builder((1, 1, 6))
    build.add("linear", outputs=5)
    build.add("neuron", neuron="synaptic", leak=0.25, surrogate="triangle")
    build.add("linear", outputs=3)
    build.add("readout", readout="last", decay_input=True)
    first, last = build.network().layers
    run = NeuronSettings(leak=0.75, threshold=0.125)
    own, out = run.at(first), run.at(last, 20)
    assert (own.neuron, own.leak, own.threshold, own.surrogate) == ("synaptic", 0.25, 0.125, "triangle")
    assert (out.readout, out.leak, out.share, str(out.kind)) == ("last", 0.75, 1 / 20, "lif-decay-input/last")
    assert run.core([first, last])["others"] == "synaptic/hard/triangle,lif-decay-input/last"
    with pytest.raises(TridentError, match="'readout1': decay_input is for lif and plif neurons, not for if"):
        NeuronSettings(neuron="if").at(last)
    with pytest.raises(TridentError, match="neuron 'neuron1': leak must be within 0 to 1, not 2"):
        Neuron("neuron1", (Edge("linear1"),), leak=2)


@pytest.mark.parametrize("surrogate, alpha", [("atan", 2), ("atan:3.5", 3.5), ("fast-sigmoid", 25), ("triangle", 1)])
def test_alpha(surrogate, alpha):
    assert NeuronSettings(surrogate=surrogate).constants["alpha"] == alpha


@pytest.mark.parametrize(
    "field, value, sentence",
    [
        ("timesteps", 0, "timesteps must be a whole number within 1 to 2048, not 0"),
        ("timesteps", 2049, "timesteps must be a whole number within 1 to 2048, not 2049"),
        ("timesteps", 8.0, "timesteps must be a whole number within 1 to 2048, not 8.0"),
        ("timesteps", True, "timesteps must be a whole number within 1 to 2048, not True"),
        ("epochs", 0, "epochs must be a whole number of at least 1, not 0"),
        ("batch", 0, "batch must be a whole number of at least 1, not 0"),
        ("batch", -16, "batch must be a whole number of at least 1, not -16"),
        ("learning_rate", 0.0, "learning rate must be above 0, not 0.0"),
        ("learning_rate", float("nan"), "learning rate must be a finite number, not nan"),
        ("learning_rate", float("inf"), "learning rate must be a finite number, not inf"),
        ("learning_rate", "1", "learning rate must be a finite number, not '1'"),
        ("momentum", 1.0, "momentum must be at least 0 and below 1, not 1.0"),
        ("momentum", -0.5, "momentum must be at least 0 and below 1, not -0.5"),
        ("loss_scale", 0, "loss scale must be a power of two within 1 to 32768, not 0"),
        ("loss_scale", 255, "loss scale must be a power of two within 1 to 32768, not 255"),
        ("loss_scale", 0.5, "loss scale must be a power of two within 1 to 32768, not 0.5"),
        ("loss_scale", 65536, "loss scale must be a power of two within 1 to 32768, not 65536"),
        ("schedule", "linear", "schedule must be step or cosine or one-cycle, not 'linear'"),
        ("prune", -0.1, "prune must be at least 0, not -0.1"),
        ("prune", float("nan"), "prune must be a finite number, not nan"),
        ("smoothing", 1, "smoothing must be at least 0 and below 1, not 1"),
        ("distill", 1.5, "distill must be within 0 to 1, not 1.5"),
        ("distill", 0.5, "distill is of a cross-entropy, not of the loss mse"),
        ("temperature", 0, "temperature must be above 0, not 0"),
        ("temperature", 2, "a temperature of 2 is of a teacher: give distill, a share, as well"),
        (
            "loss", "hinge", "loss must be mse or count-mse or cross-entropy or rate-cross-entropy or "
            "membrane-cross-entropy or step-cross-entropy, not 'hinge'"
        ),
        ("loss", "mse:1", "only count-mse has rates of its own, not mse as in 'mse:1'"),
        ("loss", "count-mse:1", "the rates of count-mse must be two within 0 to 1, as in 0.8,0.2, not '1'"),
        ("loss", "count-mse:2,0", "the rates of count-mse must be two within 0 to 1, as in 0.8,0.2, not '2,0'"),
        ("loss", "count-mse:a,b", "the rates of count-mse must be two within 0 to 1, as in 0.8,0.2, not 'a,b'"),
        ("class_weights", "1,-2", "a class weight must be at least 0, not -2.0"),
        ("class_weights", "1,nan", "a class weight must be a finite number, not nan"),
        ("class_weights", "1,inf", "a class weight must be a finite number, not inf"),
        ("class_weights", "1,,2", "a class weight must be a finite number, not ''"),
        ("class_weights", "even", "a class weight must be a finite number, not 'even'"),
        ("class_weights", "0,0", "class weights of 0,0 leave nothing to learn: one must be above 0"),
        ("class_weights", 1.0, "class weights must be a text, as in '1,2,0.5', not 1.0"),
        ("halve_every", -1, "halve_every must be a whole number of at least 0, not -1"),
        ("seed", -1, "seed must be a whole number within 0 to 4294967295, not -1"),
    ],
)
def test_train_refuses(field, value, sentence):
    with pytest.raises(TridentError) as refused:
        TrainSettings(**{field: value})
    assert str(refused.value) == sentence


@pytest.mark.parametrize("timesteps", [1, 32])
@pytest.mark.parametrize("scale", [1, 256, 32768])
def test_limits_are_allowed(timesteps, scale):
    settings = TrainSettings(timesteps=timesteps, loss_scale=scale, batch=1, epochs=1, momentum=0)
    assert settings.step() == settings.learning_rate / scale


def test_step_is_halved():
    settings = TrainSettings(learning_rate=1.0, loss_scale=256, batch=16, halve_every=3)
    assert [settings.step(epoch) * 4096 for epoch in range(8)] == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]
    assert TrainSettings(learning_rate=1.0, loss_scale=1, batch=1, halve_every=0).step(100) == 1.0


def test_default_steps_are_powers_of_two():
    settings = TrainSettings()
    assert all(frexp(settings.step(epoch))[0] == 0.5 for epoch in range(settings.epochs))


def test_an_integer_beyond_every_float_is_refused():
    with pytest.raises(TridentError, match="learning rate must be a finite number"):
        TrainSettings(learning_rate=10**400)


@pytest.mark.parametrize("changes, wanted", [
    ({}, (0, 1)), ({"smoothing": 0.5}, (0.125, 0.625)), ({"loss": "count-mse"}, (0.2, 0.8)),
    ({"loss": "count-mse:1,0.25"}, (0.25, 1)), ({"loss": "cross-entropy", "smoothing": 0.5}, (0.125, 0.625)),
])  # fmt: skip
def test_what_a_loss_wants(changes, wanted):
    loss = TrainSettings(**changes).losses(4)
    assert (loss.other, loss.label) == wanted and loss.softmax == (loss.name == "cross-entropy")


def test_a_spike_penalty_is_of_hidden_layers():
    """Per spike λ / (neurons · T); a layer may have one of its own, the last has none."""
    neuron, layers = NeuronSettings(spike_penalty=2.0), Network.parse("4x4x1-3c3-6-5").layers
    assert [neuron.at(layer, 10).penalty for layer in layers] == [2 / (4 * 4 * 3 * 10), 2 / (6 * 10), 0.0]
    assert neuron.core(layers)["others"] == neuron.core()["others"] == "lif/hard/rectangle/penalty"
    assert NeuronSettings().core(layers)["others"] == ""
    for penalty in (0.5, 0.0):
        assert neuron.at(replace(layers[0], changes=(("spike_penalty", penalty),))).penalty == penalty / 48
    with pytest.raises(TridentError, match="'neuron3': a spike_penalty is of neurons that are not the network's outpu"):
        neuron.at(replace(layers[2], changes=(("spike_penalty", 0.5),)))


@pytest.mark.parametrize("loss", ["mse", "count-mse", "cross-entropy", "rate-cross-entropy", "membrane-cross-entropy"])
def test_class_weights_are_one_per_class(loss):
    settings = TrainSettings(loss=loss, class_weights="1,2,0.5")
    assert settings.losses(3) == replace(TrainSettings(loss=loss).losses(3), weights=(1.0, 2.0, 0.5))
    with pytest.raises(TridentError, match="^class weights must be 4 numbers, one for each class, not '1,2,0.5'$"):
        settings.losses(4)
    with pytest.raises(TridentError, match="must be 3 numbers, one for each class, not 'balanced'"):
        TrainSettings(loss=loss, class_weights="balanced").losses(3)


def test_smoothing_is_of_mse():
    with pytest.raises(TridentError, match="smoothing is not for count-mse"):
        TrainSettings(loss="count-mse", smoothing=0.1)


def test_schedules():
    """Cosine from the rate to 0, half of it in the middle; one cycle from a 25th over the rate to nearly 0."""
    cosine, cycle = (TrainSettings(learning_rate=0.5, epochs=10, schedule=name) for name in ("cosine", "one-cycle"))
    # Within what a cosine in float64 rounds
    rounding = {"rel": 1e-14, "abs": 1e-16}
    assert [cosine.rate(epoch) for epoch in (0, 5, 10)] == pytest.approx([0.5, 0.25, 0], **rounding)
    assert [cycle.rate(epoch) for epoch in (0, 1.5, 3, 6.5)] == pytest.approx([0.02, 0.26, 0.5, 0.250001], **rounding)
    assert 0 < cycle.rate(10) < 1e-5
    rates = [cycle.rate(epoch / 100) for epoch in range(1000)]
    assert max(rates) == rates[300] and rates[:301] == sorted(rates[:301])
    assert rates[300:] == sorted(rates[300:], reverse=True)
    # Within an epoch a step keeps its rate
    assert TrainSettings(halve_every=2).rate(1.99) == TrainSettings(halve_every=2).rate(0)


def test_pooled_spikes_with_an_attached_reset():
    """The bit m of a rectangle says there who has the error, so it cannot say where the reset has a derivative."""
    layer = Network.parse("8x8x1-4c3-mp2-10").layers[0]
    with pytest.raises(TridentError, match="'neuron1': pooled or dropped spikes with a reset that is not detached"):
        NeuronSettings(detach=False).at(layer)
    assert NeuronSettings(detach=False, surrogate="atan").at(layer).pooled
    assert NeuronSettings(detach=False, reset="none").at(layer).pooled
