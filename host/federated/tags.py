"""The first byte of what a worker sends over its connection."""

READY = b"R"  # it takes tasks
STAGE = b"S"  # a stage, see trident.host.federated.worker.STAGES, and minibatches done, of how many: as JSON
ANSWER = b"A"  # an answer, see trident.host.federated.message.to_bytes
FAULT = b"F"  # a sentence that says why there is none
END = b"E"  # the end of all that it has to say to a task: its round, as text
