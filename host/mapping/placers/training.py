"""Training of the learned placer, with PyTorch: through a Sinkhorn relaxation, or by PPO."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from matplotlib.figure import Figure

from trident.host.mapping.placers.generated import pipeline
from trident.host.mapping.placers.learned import ROUNDS, SHAPES, STATE, Weights, inputs, learned, settle
from trident.host.mapping.placers.orders import zigzag
from trident.host.mapping.placers.problem import Problem

BATCH = 4  # problems of an update
SIDES = 4, 12  # of generated meshes, the least and the most
SHARPNESS, NORMALISATIONS = 60.0, 15  # of the relaxation: of the distance of a core from a place
SAMPLES, EPOCHS, CLIP, SPREAD = 16, 4, 0.2, 0.15  # of PPO: placements drawn of a problem, updates, their clip, sigma
HELD = range(10**6, 10**6 + 6)  # seeds of the problems that curves are of


@dataclass(frozen=True)
class Progress:
    """So far: problems, seconds, and mean cost over the zigzag's of problems that are not trained on."""

    problems: int
    seconds: float
    of_zigzag: float


def problem_of(seed: int) -> Problem:
    """A generated network on a generated mesh."""
    rng = np.random.default_rng(seed)
    width, height = rng.integers(SIDES[0], SIDES[1] + 1, 2).tolist()
    return Problem.of(pipeline(width * height, seed, int(rng.integers(1, 5))), width, height)


class Network(torch.nn.Module):
    """The network of :mod:`trident.host.mapping.placers.learned`, with a value of a problem beside its coordinates."""

    def __init__(self):
        super().__init__()
        scale = {"last": 0.01, "outer": 0.05}
        for name, shape in SHAPES.items():
            size = scale.get(name, 1.0) * shape[-2] ** -0.5 * (name != "bias")
            setattr(self, name, torch.nn.Parameter(size * torch.randn(shape)))
        self.value = torch.nn.Linear(STATE, 1)

    def forward(self, shares: torch.Tensor, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Coordinates (size, 2) and the value, from what :func:`inputs` says."""
        state = torch.tanh(seen @ self.first)
        for n in range(ROUNDS):
            every = state.mean(0).expand_as(state)
            hidden = torch.relu(torch.cat([state, shares @ state, every], 1) @ self.inner[n] + self.bias[n])
            state = torch.tanh(state + hidden @ self.outer[n])
        return seen[:, 2:4] + state @ self.last, self.value(state.mean(0))

    def weights(self) -> Weights:
        """Those of the placer."""
        return Weights({name: getattr(self, name).detach().numpy().copy() for name in SHAPES})


def relaxed(problem: Problem, points: torch.Tensor) -> torch.Tensor:
    """The cost over the zigzag's if every core is shared out over the places near its point, each place as full as
    every other one."""
    height = problem.size // problem.width
    y, x = np.divmod(np.arange(problem.size), problem.width)
    grid = torch.tensor(np.stack([2 * (x + 0.5) / problem.width - 1, 2 * (y + 0.5) / height - 1], 1)).float()
    points = (points - points.mean(0)) / (points.std(0) + 1e-3) * grid.std(0)  # which does not change their order
    sharp = SHARPNESS * min(problem.width, height) / 8
    shares = -sharp * ((points[:, None] - grid) ** 2).sum(2)
    for _ in range(NORMALISATIONS):
        shares = shares - shares.logsumexp(0, keepdim=True)
        shares = shares - shares.logsumexp(1, keepdim=True)
    shares = shares.exp()
    flows, distance = torch.tensor(problem.shared).float(), torch.tensor(problem.distance).float()
    pairs = (flows * (shares @ distance @ shares.T)).sum() / 2
    host = torch.tensor(problem.host).float() @ (shares @ torch.tensor(problem.home).float())
    crowding = ((shares.sum(0) - 1) ** 2).mean()
    return (pairs + host) / problem.cost(zigzag(problem)) + crowding


def ppo(problem: Problem, network: Network, optimiser: torch.optim.Optimizer, seen: tuple, rng: np.random.Generator):
    """Several placements whose points are drawn around the network's, settled on the mesh; an actor-critic update with
    PPO's clipped ratio of each core's probability."""
    with torch.no_grad():
        mean, _ = network(*seen)
        points = mean + SPREAD * torch.tensor(rng.normal(size=(SAMPLES, *mean.shape))).float()
        before = -((points - mean) ** 2).sum(2) / (2 * SPREAD**2)
    base = problem.cost(zigzag(problem))
    reward = torch.tensor([-problem.cost(settle(problem, drawn.numpy())) / base for drawn in points]).float()
    for _ in range(EPOCHS):
        mean, value = network(*seen)
        ratio = (-((points - mean) ** 2).sum(2) / (2 * SPREAD**2) - before).exp()
        advantage = ((reward - value.detach()) / (reward.std() + 1e-3))[:, None]
        actor = -torch.minimum(ratio * advantage, ratio.clamp(1 - CLIP, 1 + CLIP) * advantage).mean()
        _step(network, optimiser, actor + (value - reward.mean()).pow(2).mean())


def _step(network: Network, optimiser: torch.optim.Optimizer, loss: torch.Tensor):
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()


def train(method: str, seconds: float, seed: int, rate: float = 1e-3) -> Iterator[tuple[Progress, Weights]]:
    """Train for so many seconds; what there is at the start, and after every twentieth of the time.

    On one thread of PyTorch: its products are too small to be shared out.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield from _trained(method, seconds, seed, rate)
    finally:
        torch.set_num_threads(threads)


def _trained(method: str, seconds: float, seed: int, rate: float) -> Iterator[tuple[Progress, Weights]]:
    torch.manual_seed(seed)
    network, rng = Network(), np.random.default_rng(seed)
    optimiser = torch.optim.Adam(network.parameters(), rate)
    held = [problem_of(number) for number in HELD]
    zigzags = [problem.cost(zigzag(problem)) for problem in held]
    began, problems, shown = perf_counter(), 0, 0
    while True:
        spent = perf_counter() - began
        if spent >= shown * seconds / 20:
            weights = network.weights()
            costs = [problem.cost(learned(problem, weights)) for problem in held]
            of_zigzag = float(np.mean([cost / base for cost, base in zip(costs, zigzags, strict=True)]))
            yield Progress(problems, spent, of_zigzag), weights
            shown = int(20 * spent / seconds) + 1
        if spent >= seconds:
            return
        for group in optimiser.param_groups:
            group["lr"] = rate * (1 - 0.95 * spent / seconds)
        batch = [problem_of(int(number)) for number in rng.integers(10**6, size=BATCH)]
        if method == "ppo":
            for problem in batch:
                ppo(problem, network, optimiser, _tensors(problem), rng)
        else:
            costs = [relaxed(problem, network(*_tensors(problem))[0]) for problem in batch]
            _step(network, optimiser, torch.stack(costs).mean())
        problems += BATCH


def _tensors(problem: Problem) -> tuple[torch.Tensor, torch.Tensor]:
    shares, seen = inputs(problem)
    return torch.tensor(shares.toarray()), torch.tensor(seen)


def curve(points: list[Progress], path: Path):
    """Draw the cost over time, as SVG."""
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([point.seconds for point in points], [point.of_zigzag for point in points])
    axes.set_xlabel("seconds")
    axes.set_ylabel("flits x hops ÷ zigzag")
    figure.savefig(path, metadata={"Date": None, "Creator": None})
