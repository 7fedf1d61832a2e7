"""The vector programs of a core, from its configuration."""

from trident.hw.isa.batch_norm import norm_passes
from trident.hw.isa.charges import leak_program
from trident.hw.isa.losses import loss_programs
from trident.hw.isa.neurons import NeuronKind
from trident.hw.isa.optimisers import optimiser
from trident.hw.isa.passes import Pass, programs_of
from trident.hw.isa.standardise import update_passes
from trident.hw.isa.tables import piece_bits
from trident.hw.isa.vector import Input, Table
from trident.hw.isa.vector_program import Program


class ConfigPrograms:
    """What of :class:`~trident.hw.isa.config.CoreConfig` follows from its neurons, optimiser, loss and norms."""

    @property
    def neurons(self) -> tuple[NeuronKind, ...]:
        """The neurons that a layer can have, by the number that a job names them by."""
        own = NeuronKind(self.charge, self.reset, self.surrogate, self.detach)
        return own, *(NeuronKind.parse(text) for text in self.others.split(",") if self.others)

    @property
    def forward_programs(self) -> tuple[Program, ...]:
        """The neurons' programs of the forward pass."""
        return tuple(own.forward for own in self.neurons)

    @property
    def backward_programs(self) -> tuple[Program, ...]:
        """The neurons' programs of the backward pass."""
        return tuple(own.backward for own in self.neurons)

    @property
    def learns(self) -> bool:
        """Whether a layer's neurons can learn their leaks or thresholds."""
        return any(own.learns for own in self.neurons)

    @property
    def leak_programs(self) -> tuple[Program, ...]:
        """Those that make leaks or thresholds of what is learned, for every neuron of :attr:`neurons` that learns its
        own."""
        return tuple(dict.fromkeys(leak_program(own.charge) for own in self.neurons if own.learns))

    @property
    def keeps_potentials(self) -> bool:
        """Whether the backward pass or the loss reads potentials."""
        nodes = (node for program in self.backward_programs for node in program.nodes())
        return self.loss == "steps" or any(isinstance(node, Input) and node.name == "u" for node in nodes)

    @property
    def reads_out(self) -> bool:
        """Whether a layer can be a readout."""
        return any(own.readout for own in self.neurons)

    @property
    def update_program(self) -> Program:
        """The optimiser's program."""
        return optimiser(self.optimiser)

    @property
    def passes(self) -> tuple[Pass, ...]:
        """Those of an update of standardised weights; none where there are none."""
        return update_passes(self.update_program) if self.standardise else ()

    @property
    def norm_programs(self) -> tuple[Program, ...]:
        """Those of batch norm; none where there is none."""
        return programs_of(norm_passes()) if self.batch_norm else ()

    @property
    def tables(self) -> tuple[Table, ...]:
        """The functions that its programs read, in the order in which the function table has them."""
        norms = (*programs_of(self.passes), *self.norm_programs)
        programs = (*self.backward_programs, self.update_program, *self.loss_programs, *norms, *self.leak_programs)
        return tuple({table.name: table for program in programs for table in program.tables}.values())

    @property
    def loss_programs(self) -> tuple[Program, ...]:
        """The programs of a loss of all classes."""
        return () if self.loss == "table" else loss_programs(self.soft_targets > 0)

    @property
    def function_lines(self) -> int:
        """Lines of the function table, those of a power of two of functions."""
        return len(self.tables) and 1 << piece_bits(self.format) + (len(self.tables) - 1).bit_length()
