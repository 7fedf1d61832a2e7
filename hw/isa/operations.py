"""What a core can do: its operations, and the queues that they go to."""

from enum import IntEnum


class Opcode(IntEnum):
    """What an instruction does; the first six name the engine queue that it goes to."""

    FORWARD = 0
    BACKWARD = 1
    WEIGHT_GRAD = 2
    UPDATE = 3
    RECEIVE = 4  # errors from other cores
    SEND = 5  # spikes to other cores or the host, then a token
    LOSS = 6  # runs in receive's queue
    REDUCE = 7  # gradients from replica to replica; runs in update's queue
    NOTIFY = 8  # a token to other cores or the host; runs in update's queue
    LOOP = 9  # next sample: back to word `job` of the program until all samples are dispatched
    BARRIER = 10  # wait until every queue has come here and every engine is idle
    HALT = 11  # wait as BARRIER does and until every token is back, then tell the host
    JUMP = 12  # go on at word `job` of the program
    ENTER = 13  # go on at word `job` if there are no samples


QUEUES = (Opcode.FORWARD, Opcode.BACKWARD, Opcode.WEIGHT_GRAD, Opcode.UPDATE, Opcode.RECEIVE, Opcode.SEND)

# Operations that share a queue, with the number that tells them apart
QUEUE_OF = {
    **{opcode: (opcode, 0) for opcode in QUEUES},
    Opcode.LOSS: (Opcode.RECEIVE, 1),
    Opcode.REDUCE: (Opcode.UPDATE, 1),
    Opcode.NOTIFY: (Opcode.UPDATE, 2),
}
