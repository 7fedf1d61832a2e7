"""Golden norm: what hw/units/norm.py computes, bit for bit."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from trident.hw.errors import TridentError
from trident.hw.isa.batch_norm import (
    NUMBERS,
    POWER,
    backward_passes,
    forward_passes,
    frozen_passes,
    norm_numbers,
)
from trident.hw.isa.capabilities import Capability, require
from trident.hw.isa.config import CoreConfig
from trident.sim.golden.constants import check_epsilon
from trident.sim.golden.format import to_bits, to_values, value_dtype
from trident.sim.golden.passes import Passes
from trident.snn.network.layers import Layer
from trident.snn.network.network import Tensors

MOST_VALUES = 1 << 31  # of a channel: the powers of two that a job tells end there


@dataclass(frozen=True)
class NormConstants:
    """Constants of a layer's norm over so many samples: ``bits``, by name the raw bits of floats; ``power``: k of
    :mod:`hw.isa.batch_norm`; ``limit``: the exponent code from which on a number is too large for a sum. Of a frozen
    norm the part of means is 0, so that errors are scaled alone."""

    bits: dict[str, int]
    power: int
    limit: int

    @classmethod
    def of(cls, layer: Layer, cfg: CoreConfig, samples: int, single: bool = False) -> "NormConstants":
        """Those of a layer; ``single``: of one timestep, of errors that are sums over time. Raises
        :class:`TridentError`, naming its norm's node, for a core that has none, for one value of a channel, for more
        than a sum holds, and for an epsilon that the format does not hold."""
        assert layer.norm is not None
        name = repr(layer.norm.name)
        require(cfg.capabilities, name, (Capability.BATCH_NORM,))
        y, x, _ = layer.sum_shape
        values = samples * y * x * cfg.steps
        values //= cfg.steps if single else 1
        if values < 2 and not single and not layer.norm.frozen:
            raise TridentError(f"{name} has one value of a channel in a minibatch, which has no variance: take more")
        fmt = cfg.format
        numbers = norm_numbers(values, layer.norm.epsilon, layer.norm.momentum, layer.norm.frozen)
        bits = {field: int(to_bits(numbers[field], fmt)) for field in NUMBERS}
        check_epsilon(name, layer.norm.epsilon, bits["floor"], cfg)
        limit = cfg.pass_fixed.limit(fmt, values, room=1)
        if limit <= fmt.bias or values >= MOST_VALUES:
            raise TridentError(f"{name}: a sum over {values:,} values of a channel has no room for one of 1")
        return cls(bits, int(numbers[POWER]), limit)


class BatchNorm:
    """The norm of a layer: of sums x (N, y, x, T, out) to normalised z and scaled y of the same shape, and of errors
    at y to those at x; all are values of the format.

    parameters: of gain and offset; running: of their names, the running variance and the running mean, which a training
    changes in place; inverse (out,): of the deviation that z was made with.
    """

    def __init__(self, layer: Layer, cfg: CoreConfig):
        assert layer.norm is not None
        self.layer, self.cfg, self.norm = layer, cfg, layer.norm
        self.inverse = np.zeros(layer.out_channels, value_dtype(cfg.format))

    def _passes(self, samples: int, single: bool = False) -> Passes:
        constants = NormConstants.of(self.layer, self.cfg, samples, single)
        dtype = value_dtype(self.cfg.format)
        values: dict[str, Any] = {POWER: constants.power}
        values |= {name: dtype(to_values(bits, self.cfg.format)) for name, bits in constants.bits.items()}
        return Passes(self.cfg, values, constants.power)

    def forward(
        self, x: np.ndarray, parameters: Tensors, running: Tensors, training: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """z, y, and in which channels of which samples there is a fault, bool (N, out)."""
        rows, gain, offset = {"x": _rows(x)}, self.norm.gain, self.norm.offset
        names = {"gain": parameters[gain], "offset": parameters[offset], "running_variance": running[gain],
                 "running_mean": running[offset]}  # fmt: skip
        channels = {name: values[None, None] for name, values in names.items()}
        moving = training and not self.norm.frozen
        samples = len(x) if moving else max(len(x), 2)  # frozen, nothing is summed: any number will do
        fault = self._passes(samples).run(forward_passes() if moving else frozen_passes(), rows, channels, {})
        if moving:
            running[gain][:], running[offset][:] = channels["running_variance"][0, 0], channels["running_mean"][0, 0]
        if training:
            self.inverse = channels["inverse"][0, 0]
        return rows["z"].reshape(x.shape), rows["y"].reshape(x.shape), fault

    def backward(
        self, errors: np.ndarray, z: np.ndarray, parameters: Tensors
    ) -> tuple[np.ndarray, Tensors, np.ndarray]:
        """Errors at x, the gradients of gain and offset by name, and faults as :meth:`forward` has them. Where values
        that stay the same over time are read, errors are sums over time at the first timestep; at others they stay."""
        steps = slice(0, 1 if self.layer.planes else None)  # that has the sum over time of values that stay the same
        rows = {"g": _rows(errors[..., steps, :]), "z": _rows(z[..., steps, :])}
        channels = {"gain": parameters[self.norm.gain][None, None], "inverse": self.inverse[None, None]}
        fault = self._passes(len(errors), self.layer.planes is not None).run(backward_passes(), rows, channels, {})
        names = {self.norm.gain: "gain_gradient", self.norm.offset: "offset_gradient"}
        gradients = {name: channels[of][0, 0] for name, of in names.items()}
        found = errors.copy()
        found[..., steps, :] = rows["g"].reshape(found[..., steps, :].shape)
        return found, gradients, fault


def _rows(values: np.ndarray) -> np.ndarray:
    """(N, y, x, T, out) as (N, n, out)."""
    return values.reshape(len(values), -1, values.shape[-1])
