"""Tokens: counting semaphores between the engines of a core, and between cores."""

from enum import IntEnum

from trident.hw.errors import TridentError
from trident.hw.isa.words import WORD


class Token(IntEnum):
    """Counting semaphores between engines, and between cores; each has one consumer, but UNIT_FREE."""

    INPUT_READY0 = 0  # send of core 0 of the stage before, or host -> forward: its part of a sample is in memory
    INPUT_READY1 = 1
    INPUT_READY2 = 2
    INPUT_READY3 = 3
    NEXT_FREE0 = 4  # notify of core 0 of the next stage -> send: it has room for a sample's spikes
    NEXT_FREE1 = 5
    NEXT_FREE2 = 6
    NEXT_FREE3 = 7
    INPUT_FREE = 8  # weight_grad or send -> notify: an input slot may be overwritten
    OUTPUT_READY = 9  # forward -> send: the last layer's spikes are complete
    LOSS_READY = 10  # forward -> loss: likewise
    SENT = 11  # send -> forward: the last layer's spikes have left
    SLOT_FREE = 12  # weight_grad or send -> forward: a slot of spikes and masks may be overwritten
    ERRORS_READY = 13  # receive or loss -> weight_grad: the last layer's errors are complete
    ERRORS_FREE = 14  # weight_grad -> receive or loss: a slot of errors may be overwritten
    TOP_READY = 15  # receive or loss -> backward: the last layer's errors are complete
    UNIT_FREE = 16  # backward, receive or loss -> receive, loss or backward: the neuron-gradient unit
    REDUCED = 17  # notify of the last replica -> update: the gradients of all replicas are in memory
    BACKWARD_DONE = 18  # backward -> receive or loss: the last layer's errors have been sent on
    PEER_READY = 19  # notify of the next replica -> reduce: its queue of rows is for gradients now
    LOWER_READY = 20  # backward -> weight_grad: the errors of a layer below are complete
    GO = 21  # host tile -> update: every core has its gradients; the value says whether one has overflowed


TOKEN_BITS = 4  # of a count
TOKEN_NUMBER_BITS = 5
TOKEN_LIST = 6  # tokens in a list
NO_TOKEN = 31  # ends a list; for a send that gives none


def pack_tokens(tokens: tuple[Token, ...]) -> int:
    """A list of tokens, five bits for each, three in a half of the word, the first lowest.

    Raises TridentError for more than six.
    """
    if len(tokens) > TOKEN_LIST:
        raise TridentError(f"a job waits for or gives at most {TOKEN_LIST} tokens, not {len(tokens)}")
    places = [*tokens, *[NO_TOKEN] * (TOKEN_LIST - len(tokens))]
    return sum(token << token_place(n) for n, token in enumerate(places))


def token_place(n: int) -> int:
    """The lowest bit of token ``n`` in a list."""
    half, place = divmod(n, TOKEN_LIST // 2)
    return half * WORD // 2 + place * TOKEN_NUMBER_BITS


def unpack_tokens(bits: int) -> tuple[Token, ...]:
    """The tokens of a packed list."""
    numbers = [bits >> token_place(n) & (1 << TOKEN_NUMBER_BITS) - 1 for n in range(TOKEN_LIST)]
    return tuple(Token(number) for number in numbers[: (*numbers, NO_TOKEN).index(NO_TOKEN)])
