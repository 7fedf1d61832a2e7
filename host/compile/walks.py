"""How many positions and groups of lanes share an engine's accumulators, and how backward walks a slice of the layer
below."""

from dataclasses import replace

from trident.host.compile.fields import signed_field
from trident.host.compile.packing import blocks
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.snn.network.kernel import Kernel
from trident.snn.network.layers import Layer


def passes(cfg: CoreConfig, engine: str, width: int, groups: int) -> dict[str, int]:
    """Fields of a job of forward or backward over an image ``width`` pixels wide."""
    words = min(cfg.words_of(engine), width)
    entries = words * cfg.entries_per_word(engine)
    return {
        "words": words,
        "group_entries": entries,
        "groups": groups,
        "pass_groups": min(groups, cfg.accumulators // entries, 255),
    }


def odd_kernel(layer: Layer) -> str:
    """A convolution that not every core computes, for messages."""
    return f"{layer.node!r} with {layer.kernel}" + (f", {layer.conv_groups} groups" if layer.conv_groups > 1 else "")


def reach_fields(cfg: CoreConfig, layer: Layer, back: bool = False) -> dict[str, int]:
    """Fields of a job that say how taps reach over the image that is read, and the bounds of the walk over the other
    one: that of the outputs or, going ``back``, of the inputs."""
    kernel, (y, x, _) = layer.kernel, layer.in_shape if back else layer.sum_shape
    origins = kernel.padding if back else tuple(-pixels for pixels in kernel.padding)
    if cfg.kernels:
        fields = {"last_y": y - 1, "last_x": x - 1}
        fields |= {name: signed_field(name, value) for name, value in zip(("origin", "origin_x"), origins, strict=True)}
        for names, pair in (
            (("last_tap", "last_tap_x"), kernel.size), (("stride_y", "stride_x"), kernel.stride),
            (("dilation_y", "dilation_x"), kernel.dilation),
        ):  # fmt: skip
            fields |= {name: value - 1 for name, value in zip(names, pair, strict=True)}
        return fields
    origin, step = origins[0], 1 if back else kernel.stride[0]
    bounds = {"origin": origin, "last_y": origin + (y - 1) * step, "last_x": origin + (x - 1) * step}
    bounds = {name: signed_field(name, value) for name, value in bounds.items()}
    return bounds | {"last_tap": kernel.size[0] - 1, "stride2": int(kernel.stride[0] == 2)}


def walk_to_slice(cfg: CoreConfig, layer: Layer, low: int, high: int) -> dict[str, int]:
    """How backward of ``layer`` walks the channels from ``low`` to ``high`` of the layer below: beside the fields of
    :func:`passes`, ``first`` is their first block and ``step`` the blocks from pass to pass.

    Raises TridentError for a slice that needs more accumulators than there are.
    """
    if missing := slice_needs(cfg, layer, low, high):
        raise TridentError(f"a core below {layer} needs {missing}")
    (y, x, channels), width = layer.image, layer.in_shape[1]
    per_pixel = blocks(channels, cfg.lanes)
    first, own = low // cfg.lanes, blocks(high, cfg.lanes) - low // cfg.lanes
    if _by_pixel(cfg, layer, own):
        fields = passes(cfg, "backward", width, y * x * own)
        return fields | {"first": first, "pass_groups": own, "step": per_pixel}
    fields = passes(cfg, "backward", width, own if layer.kind == "conv" else y * x * own)
    return fields | {"first": first, "step": fields["pass_groups"]}


def as_convolution(layer: Layer) -> Layer:
    """A linear layer as the convolution of an image that has one position: with the same weights in the same
    places, but that backward walks the pixels of the image; of a mean, all taps have the same weights."""
    if layer.mean > 1:
        image = (layer.mean, layer.mean, layer.image[2])
        return replace(layer, kind="conv", kernel=Kernel.square(layer.mean), image=image)
    return replace(layer, kind="conv", kernel=Kernel(layer.image[:2])) if layer.kind == "linear" else layer


def slice_needs(cfg: CoreConfig, layer: Layer, low: int, high: int) -> str:
    """What a core lacks whose backward walks these channels of the layer below; empty if it lacks nothing."""
    own = blocks(high, cfg.lanes) - low // cfg.lanes
    needed = passes(cfg, "backward", layer.in_shape[1], own)["group_entries"] * own
    if not _by_pixel(cfg, layer, own) or needed <= cfg.accumulators:
        return ""
    return f"{needed} accumulators for a slice of {own} groups of lanes, a core has {cfg.accumulators}"


def _by_pixel(cfg: CoreConfig, layer: Layer, own: int) -> bool:
    """Whether there is a pass for each pixel of a flattened image, of which so many blocks are read."""
    y, x, channels = layer.image
    return layer.kind == "linear" and own != blocks(channels, cfg.lanes) and y * x > 1
