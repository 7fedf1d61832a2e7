"""The controller's firmware: what takes packets apart, gives tokens, starts the engine and does all other jobs.

It is one loop that gives each task a turn. A task does a bounded piece of work and never waits for anything that other
cores do, so packets are always taken.
"""

from trident.hw.compact.assembler import Assembler, Image
from trident.hw.compact.firmware import (
    answers,
    elements,
    errors,
    jobs,
    packets,
    queues,
    rows,
    send,
    tasks,
    threads,
    updates,
)
from trident.hw.compact.firmware.data import declare
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig

PARTS = (tasks, packets, elements, answers, threads, queues, jobs, rows, errors, send, updates)


def image(cfg: CoreConfig, mesh: MeshConfig) -> Image:
    """The words of the controller's memories. Raises TridentError for a configuration that it has no room for."""
    a = Assembler(f"with jobs of {cfg.jobs} and program_words of {cfg.program_words}")
    declare(a, cfg, mesh)
    for part in PARTS:
        part.assemble(a, cfg, mesh)
    return a.image()
