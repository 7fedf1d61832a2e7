"""A spike that PyTorch can differentiate, written apart from the surrogates of hw/isa/neurons.py."""

import pytest

torch = pytest.importorskip("torch", reason="the oracle extra is not installed")


class Step(torch.autograd.Function):
    """A step at 0; backward the rectangle or the triangle of half width ``size``, or, with ``size`` for alpha, the fast
    sigmoid's ``1 / (1 + alpha * |x|)**2``."""

    @staticmethod
    def forward(ctx, x, size, kind):
        ctx.save_for_backward(x)
        ctx.size, ctx.kind = size, kind
        return (x >= 0).to(x)

    @staticmethod
    def backward(ctx, grad):
        distance = ctx.saved_tensors[0].abs()
        slope = {
            "rectangle": lambda: (distance < ctx.size).to(grad),
            "triangle": lambda: torch.clamp(1 - distance / ctx.size, min=0),
            "fast-sigmoid": lambda: 1 / (1 + ctx.size * distance) ** 2,
        }[ctx.kind]()
        return grad * slope, None, None
