"""What counters are priced as, by hand."""

from collections import Counter
from dataclasses import replace

import pytest

from trident.host.energy.chip import OWN, PARTS, REFERENCE, core_counts
from trident.hw.errors import TridentError
from trident.hw.isa.config import PRESETS, CoreConfig
from trident.hw.isa.registers import counted

CFG = CoreConfig.preset("SMALL", timesteps=4)
WINDOWS = replace(CFG, window=2, sum_words=8, winner_words=8)
EVERYTHING = replace(
    WINDOWS, batch_norm=True, adds=True, standardise=True, charge="plif", surrogate="atan", loss="softmax",
    optimiser="adam",
)  # fmt: skip
ROW, WORD, SUM = 8 * 16, 8 * 4, 48  # bits of a row, of a spike word, of an accumulator


def of(convention=OWN, cfg=CFG, **counters):
    """Counts of counters, named with an underscore for the point."""
    return core_counts(Counter({name.replace("__", "."): value for name, value in counters.items()}), cfg, convention)


def test_a_forward_engine_adds_what_spikes_select():
    found = of(forward__useful=10, forward__issued=10, forward__rows=3, forward__words=2, forward__drained=4)["forward"]
    assert found.operations == Counter({"add": 80, "select": 80})
    assert found.read == Counter({"register": 80 * 16 + SUM * (80 + 32), "weights": 3 * ROW, "spikes": 2 * WORD})
    assert found.written["register"] == 3 * ROW + SUM * 80


def test_a_backward_engine_reads_one_lane_of_a_row_of_errors():
    found = of(backward__useful=10, backward__issued=10, backward__rows=3, error_masks__reads=2)["backward"]
    assert found.operations == Counter({"add": 80, "multiply": 80})
    assert found.read["errors"] == 10 * 16 and found.read["masks"] == 2 * WORD and found.read["weights"] == 3 * ROW


def test_of_gradients_the_update_takes_a_row_for_each_that_it_writes():
    counters = {"gradients__reads": 9, "gradients__writes": 9, "weights__writes": 5, "weights__reads": 5,
                "weight_grad__rows": 7, "momentum__reads": 5, "momentum__writes": 5}  # fmt: skip
    found = of(**counters)
    bits = CFG.gradient_row_bits
    assert found["weight_grad"].read["gradients"] == found["weight_grad"].written["gradients"] == 4 * bits
    assert found["weight_grad"].read["errors"] == 7 * ROW
    assert found["update"].read == Counter({"gradients": 5 * bits, "weights": 10 * ROW})  # with momenta
    reference = Counter({"gradients": 5 * bits, "weights": 5 * ROW, "optimizer": 5 * ROW})
    assert of(REFERENCE, **counters)["update"].read == reference


def test_the_reference_has_sums_of_forward_and_backward_in_memory():
    counters = {f"{engine}__useful": 32 for engine in ("forward", "backward", "weight_grad")}
    found = of(REFERENCE, **counters)
    for engine in ("forward", "backward"):
        assert found[engine].read["sums"] == found[engine].written["sums"] == 32 * 8 * 16 / 16
    assert found["weight_grad"].read["sums"] == 0
    assert all(counts.read["sums"] == 0 for counts in of(**counters).values())


def test_units_and_memories_that_only_some_cores_have():
    found = of(
        mac__loss=1, mac__norm=2, potentials__writes=3, potentials__reads=4, functions__reads=5, squares__reads=6,
        raw__writes=7, sums__reads=8, winners__writes=9, cfg=WINDOWS,
    )  # fmt: skip
    assert found["neuron_grad"].operations["multiply"] == 8 and found["norm"].operations["multiply"] == 16
    assert found["neuron_grad"].written["potentials"] == 3 * ROW and found["neuron_grad"].read["potentials"] == 4 * ROW
    assert found["neuron_grad"].read["weights"] == 5 * 32 and found["update"].read["weights"] == 6 * ROW
    assert found["update"].written["weights"] == 7 * ROW
    assert found["norm"].read["sums"] == 8 * ROW and found["norm"].written["masks"] == 9 * WINDOWS.winner_bits > 0


def test_additions_of_sums_and_their_errors_cost_what_norms_do():
    found = of(mac__add=3, mac__add_errors=4, errors__reads=9, backward__issued=2, cfg=EVERYTHING)
    assert found["norm"].operations["add"] == 7 * 8
    assert found["norm"].read["errors"] == 7 * EVERYTHING.backward_cols * ROW


def test_every_counter_of_work_is_priced():
    """All but those of time and of the network, of what engines start, whose additions count, and of words that are
    reads of a memory."""
    unpriced = ("cycles", "forward.issued", "weight_grad.issued", "backward.words")
    told = [name for name in counted(EVERYTHING) if name not in unpriced and not name.startswith("noc.")]
    told = [name for name in told if name.split(".")[1] not in ("running", "stalled", "skipped")]
    assert {"mac.add", "winners.reads", "squares.writes", "raw.reads", "mac.leak", "functions.reads"} <= set(told)
    base = Counter(dict.fromkeys(counted(EVERYTHING), 100))
    before = core_counts(base, EVERYTHING)
    for name in told:
        assert core_counts(base + Counter({name: 1}), EVERYTHING) != before, name


def test_every_part_is_told_of():
    assert tuple(of()) == PARTS


@pytest.mark.parametrize("preset", ["FPGA", "COMPACT"])
def test_a_core_that_counts_less_is_refused(preset):
    with pytest.raises(TridentError, match="needs counters=all, and this core has counters=(few|running)") as caught:
        core_counts({}, CoreConfig.preset(preset), OWN)
    named = str(caught.value).partition("everything are ")[2].split(", ")
    assert named == ["TINY", "SMALL", "WIDE"] == [name for name, own in PRESETS.items() if own.counters == "all"]
