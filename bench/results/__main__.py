"""``python -m trident.bench.results``: measured figures go into README.md and the pages under docs."""

from trident.bench.results.pages import results

results()
