"""What a user should know of an epoch: what keeps a network from learning, the likely cause, the option to change."""

import re
from collections.abc import Iterator

from trident.host.train.tally import Tally
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings
from trident.snn.train_settings import TrainSettings

MANY = 0.2  # share of the test samples without a prediction, or of the minibatches skipped, from which it is told
FULL = 0.25  # squared error that is only reached when most classes fire most of the time
STILL = 0.01  # part of the first loss by which a loss that moves has changed


def new_findings(found: list[str], known: list[str]) -> list[str]:
    """Those that have not been told: the same fault, with other figures, is told once."""
    told = {_without_figures(finding) for finding in known}
    return [finding for finding in found if _without_figures(finding) not in told]


def _without_figures(finding: str) -> str:
    return re.sub(r"[\d.]+", "", finding)


def findings(
    network: Network, neuron: NeuronSettings, train: TrainSettings, firing: list[float], zeros: list[float],
    losses: list[float], tested: Tally, skipped: float, pruned: list[float],
) -> list[str]:  # fmt: skip
    """Sentences about the epoch that has ended, one for each fault that is found; none for a network that learns.

    firing, zeros: per layer the mean share of neurons that fired and of errors that were zero; losses: of every epoch
    so far; tested: what the test samples were taken for; skipped: share of the minibatches that overflowed; pruned: per
    layer the share of weights that are 0.
    """
    spiking = [layer.number for layer in network.layers if not layer.readout]
    names = [network.layers[n].node for n in spiking]
    firing, zeros = [firing[n] for n in spiking], [zeros[n] for n in spiking]
    return [
        *_silent_layers(names, neuron, firing),
        *_idle_layers(names, neuron, train, firing, zeros),
        *(_predictions(train, tested, losses[-1]) if all(firing) else ()),
        *_losses(train, losses),
        *_overflows(train, skipped),
        *_pruned([layer.node for layer in network.layers], train, pruned),
    ]


def _silent_layers(names: list[str], neuron: NeuronSettings, firing: list[float]) -> Iterator[str]:
    silent = [name for name, rate in zip(names, firing, strict=True) if rate == 0]
    if silent:
        yield (
            f"{silent[0]} has not fired once in an epoch, so nothing behind it learns: its potentials stay below the "
            f"threshold of {neuron.threshold:g}. Lower --threshold, raise --leak, or check that samples are not empty"
        )


def _idle_layers(
    names: list[str], neuron: NeuronSettings, train: TrainSettings, firing: list[float], zeros: list[float]
) -> Iterator[str]:
    idle = [name for name, rate, zero in zip(names, firing, zeros, strict=True) if zero == 1 and rate > 0]
    if idle:
        yield (
            f"every error of {' and '.join(idle)} was zero in an epoch, so nothing was learned there: potentials are "
            f"further than the window of {neuron.window:g} from the threshold, or errors too small for the format. "
            f"Widen --window, lower --threshold or raise --loss-scale, which is {train.loss_scale}"
        )


def _predictions(train: TrainSettings, tested: Tally, loss: float) -> Iterator[str]:
    silent, undecided = tested.share(tested.silent), tested.share(tested.undecided)
    if silent > MANY:
        yield (
            f"{100 * silent:.0f} % of the test samples make no output neuron fire and have no prediction. Lower "
            f"--threshold or give more timesteps, --timesteps, than {train.timesteps}"
        )
    elif undecided > MANY and loss > FULL and not train.losses(len(tested.confusion)).softmax:
        yield (
            f"{100 * undecided:.0f} % of the test samples make several classes fire all the time. Lower "
            f"--lr, which is {train.learning_rate:g}"
        )
    elif undecided > MANY:
        yield (
            f"{100 * undecided:.0f} % of the test samples make several classes fire equally often and have no "
            f"prediction. More timesteps, --timesteps, than {train.timesteps} tell classes apart"
        )
    guessed = [sum(column) for column in zip(*tested.confusion, strict=True)][:-1]
    if len(guessed) > 1 and tested.samples > tested.undecided and sum(map(bool, guessed)) == 1:
        only = next(label for label, count in enumerate(guessed) if count)
        yield (
            f"every test sample that has a prediction is taken for class {only}. Lower --lr, which is "
            f"{train.learning_rate:g}, or train for more epochs"
        )


def _losses(train: TrainSettings, losses: list[float]) -> Iterator[str]:
    if len(losses) > 1 and abs(losses[-1] - losses[0]) < STILL * losses[0] and losses[-1] > STILL:
        yield (
            f"the loss has not moved in {len(losses)} epochs: {losses[0]:.4f} then, {losses[-1]:.4f} now. Raise --lr, "
            f"which is {train.learning_rate:g}, and check that labels and samples belong together"
        )


def _overflows(train: TrainSettings, skipped: float) -> Iterator[str]:
    if skipped > MANY:
        yield (
            f"{100 * skipped:.0f} % of the minibatches of this epoch overflowed and were skipped. Lower --lr, which is "
            f"{train.learning_rate:g}, or --loss-scale, which began at {train.loss_scale}"
        )


def _pruned(names: list[str], train: TrainSettings, pruned: list[float]) -> Iterator[str]:
    gone = [name for name, share in zip(names, pruned, strict=True) if share == 1]
    if train.prune and gone:
        yield (
            f"every weight of {' and '.join(gone)} is 0, so nothing goes through. Lower --prune, which is "
            f"{train.prune:g}"
        )
