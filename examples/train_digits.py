"""Train handwritten digits on the RTL of one small core: examples/train_digits.py [EPOCHS] [LAYERS]."""

import sys

from trident import train


def main(epochs: str = "3", net: str = "64-32-10"):
    """Train ``net``, layer by layer as in 64-128-10, for so many epochs."""
    result = train(net, preset="TINY", epochs=int(epochs), folder="build/examples/digits")
    print(f"{result.accuracy:.1%} of the test digits after {result.cycles:,} simulated cycles")
    print(f"{result.weights_compared:,} weights and biases equal the golden model's, bit for bit")
    print(f"report: {result.report}")


if __name__ == "__main__":
    main(*sys.argv[1:])
