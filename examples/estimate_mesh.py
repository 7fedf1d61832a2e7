"""How a deep network is spread over a mesh of cores, without simulating it: examples/estimate_mesh.py [MESH]."""

import sys

from trident import estimate

CLOCK = 40e6  # Hz, what an ECP5 reaches with twenty cores


def main(mesh: str = "5x4"):
    """Estimate the deep network that ``make train CORES=20`` trains, on ``mesh``."""
    found = estimate(mesh=mesh)
    print(f"{found.weights:,} weights on {found.cores} of {found.mesh.cores} cores, partition {found.partition}")
    for number, core in enumerate(found.members):
        print(
            f"core {number} of each replica: stage {core.stage + 1}, {core.weight_rows} rows of weights, "
            f"{core.spike_words} words of spikes, {core.work:,.0f} cycles per sample"
        )
    print(f"placement: {', '.join(map(str, found.placement))}")
    speedup = found.one_core / found.cycles_per_sample
    print(f"{found.cycles_per_sample:,.0f} cycles per sample, {speedup:.1f} times as fast as one core")
    print(f"{found.samples_per_second(CLOCK):,.0f} samples per second at {CLOCK / 1e6:g} MHz")


if __name__ == "__main__":
    main(*sys.argv[1:])
