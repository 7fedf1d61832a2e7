"""A *job*: one pass of one engine over one layer, or what another unit does for it."""

from trident.hw.isa.words import Field, WordLayout

JOB = WordLayout("job", [
    [Field("src", 16, "first word that is read: spikes (forward, weight_grad, send) or errors (backward); 2**k / n, as "
           "a float, of weights that are standardised over n rows (update)"),
     Field("src_slot", 16, "words between the slots of consecutive samples")],
    [Field("aux", 16, "second operand: errors (weight_grad) or the layer's own spikes (backward, loss); where a "
           "readout's outputs go (forward); the first mask (drop); n / (n - 1), likewise (update); words from dst to "
           "an operand (add, add_errors)"),
     Field("aux_slot", 16, "as src_slot")],
    [Field("dst", 16, "first word that is written: spikes (forward, receive) or errors (backward, loss); what is "
           "added to a variance, likewise (update)"),
     Field("dst_slot", 16, "as src_slot")],
    [Field("tile", 16, "first tile of the layer's weights"),
     Field("block_step", 16, "tiles from one block of channels to the next")],
    [Field("tap_step", 16, "tiles from the last block of a tap to the first of the next tap; from the number of a "
           "sample to that of the core's next one (drop); words from the last group of a window to the next window "
           "(join, window)"),
     Field("pass_step", 16, "tiles from one pass over the groups to the next; the number of the core's first sample "
           "(drop); words from a row of windows to the next (join, window)")],
    [Field("group_step", 16, "tiles from one group to the next; rows from one to the next or, of standardised weights, "
           "groups (update)"),
     Field("groups", 16, "groups of lanes that the job computes")],
    [Field("pass_groups", 8, "groups per pass, bounded by the accumulators; exponent code from which on a number "
           "is too large for a sum of standardised weights (update); the last window that the first pixel is in, along "
           "a side (spread); other copies of the network, whose sums are added (norm)"),
     Field("exponent", 8, "power of two that scales the learning rate, two's complement (update); exponent code from "
           "which on a number is too large for a sum (engines, spread)"),
     Field("group_entries", 12, "accumulator entries of one group"),
     Field("words", 4, "spike words gathered at once; k, the whole part of log2(n), of standardised weights "
           "(update); pixels from one window to the next (join, window, spread)")],
    [Field("src_y", 8, "height of the image that is read"),
     Field("src_x", 8, "width of the image that is read"),
     Field("blocks", 16, "spike words per pixel of the image that is read; channels of it, where weights are "
           "standardised (update); neurons that vote for a class, less one (loss)")],
    [Field("last_x", 10, "column that tap (0, 0) reads at the last position of the image that is walked, before a "
           "transposed stride divides it, two's complement; that image's width less one (receive, join, window, "
           "spread)"),
     Field("last_tap", 4, "kernel width less one; that of the windows of pixels that a word stands for (drop), or of "
           "those that may overlap (join, window, spread)"),
     Field("stride2", 1, "stride of 2"),
     Field("bias", 1, "a last row of weights that every timestep adds"),
     Field("last_y", 10, "likewise the row; height less one (receive, join, window, spread)"),
     Field("origin", 6, "likewise row and column at the first position: -padding, or padding (backward); pixels that "
           "windows begin before the image (join, window); the place of the first pixel in its last window (spread)")],
    [Field("leak", 16, "leak (neurons) or momentum (update), as a float"),
     Field("threshold", 16, "firing threshold, or the negated learning rate's significand (update); what is left has a "
           "hash below it, 0: all is left (drop)")],
    [Field("low", 16, "surrogate is 1 above this potential (rectangle); or another number of the program; "
           "lower half of the key (drop); 1 + log2 of the channels of a group of a convolution, where groups share "
           "words, or 0 (weight_grad, in a core with kernels)"),
     Field("high", 16, "surrogate is 1 below this potential (rectangle); likewise; upper half of the key (drop)")],
    [Field("slope", 16, "-1 / window (triangle); likewise"),
     Field("count", 16, "rows (reduce; update, of a group where weights are standardised), runs of words (send), "
           "classes (loss), positions (receive), channels (leak); what real values that are read are made of, see "
           "Planes (forward, weight_grad); words of a row of pixels whose windows are pooled (pool, backward, drop, "
           "join, window), or of a row of windows (spread)")],
    [Field("target", 8, "who gets what the job sends, as the route of its packets"),
     Field("channel", 1, "which of the target's queues of rows the rows go to, see Rows"),
     Field("take", 1, "rows that come in are added: backward, reduce; which operand passes the multiplier (add, "
           "add_errors); what is kept beside gains and offsets is written (norm)"),
     Field("outgoing", 1, "rows leave the core: backward, reduce"),
     Field("token", 5, "token that send and notify give at the end; 31: none; power of two that the products of a walk "
           "are divided by (backward)"),
     Field("source", 8, "who sends the rows that the job takes, as the route of the credits; the layer's first group "
           "of leaks that are learned (forward, fire, backward, spread, loss)"),
     Field("final", 1, "the reduced rows go into the targets' gradient memories; errors are those of windows, and are "
           "kept as they are (backward); spread errors go to the neuron-gradient unit (spread); errors are those of "
           "the first timesteps, sums over time (norm)"),
     Field("neuron", 3, "which of the core's neurons the layer has; which of its programs of leaks (leak)"),
     Field("ends", 1, "the last chunk: a readout writes its outputs, and no neuron fires behind the sample's end "
           "(forward, fire)"),
     Field("carry", 1, "neurons go on with the states that the chunk of timesteps before has left; gradients are those "
           "of another copy of the network, and 0 here (norm)"),
     Field("more", 1, "the next job is no job of its own but another walk, whose terms are added to the same sums "
           "(forward, backward)")],
    # Of engines in cores with kernels, which alone load this word
    [Field("stride_y", 2, "stride along y, less one, in a core with kernels, where last_tap and origin are those along "
           "y, and last_y and last_x the height and width of the image that is walked, less one"),
     Field("stride_x", 2, "likewise along x"),
     Field("last_tap_x", 4, "likewise, kernel width less one"),
     Field("dilation_y", 4, "likewise, pixels from tap to tap along y, less one"),
     Field("dilation_x", 4, "likewise along x"),
     Field("origin_x", 6, "likewise, as origin, along x"),
     Field("own_blocks", 5, "of a grouped convolution, words of each pixel that are read, of so many; 0: all"),
     Field("own_groups", 5, "likewise groups of lanes that are computed (forward, backward)")],
    [Field("wait", 31, "tokens taken before the start, see pack_tokens")],
    [Field("post", 31, "tokens given at the end")],
])  # fmt: skip

POINTERS = ("src", "aux", "dst")  # the low halves of a job's first words, with the step from slot to slot above them
JOB_INDEX_BITS = (JOB.words - 1).bit_length()

JOB_NUMBER_BITS = 12  # of jobs, and of a program's words
SAMPLE_BITS = 16  # samples of one run, at most 65,535
SLOT_BITS = 4  # samples whose spikes are in memory at once, at most 15
SERIAL_BITS = 8  # likewise where a minibatch is computed layer by layer, spikes and errors, at most 255
ERROR_SLOTS = 2
FAN = 4  # cores that one stage may have: each has a token of its own
