"""The constants of vector programs, from the fields of jobs."""

from amaranth.hdl import Array, Module

from trident.hw.arith.compare import sort_key
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.microcode import NUMBERS, number_fields


def give_numbers(m: Module, cfg: CoreConfig, unit, job, fields: tuple[str, ...] = NUMBERS):
    """The constants of a unit's programs, from the ``fields`` of its job."""
    places = [number_fields(program, fields) for program in unit.steps.programs]

    def number(name: str):
        """That of the program that runs."""
        own = [job[places_of.get(name, fields[0])] for places_of in places]
        return Array(own)[unit.which] if len(set(place.get(name) for place in places)) > 1 else own[0]

    m.d.comb += [unit.numbers[name].eq(number(name)) for name, _ in unit.numbers.shape()]
    if hasattr(unit, "keys"):
        m.d.comb += [unit.keys[name].eq(sort_key(number(name)[: cfg.width])) for name, _ in unit.keys.shape()]
