"""``python -m trident``: the command line."""

from trident.cli import main

main()
