"""What ends a command with one sentence and no traceback."""


class TridentError(ValueError):
    """What the user gave is refused: one sentence that names the value and what is allowed.

    The command line prints the sentence and exits with code 2; nothing has been built or written by then.
    """


class TooLarge(TridentError):
    """A network is larger than the memories and the instructions of a core allow."""


class Failure(RuntimeError):
    """What was asked for has failed: RTL and golden differ, a chip does not answer, a tool reports an error. The
    message says what and where.

    The command line prints it and exits with code 1.
    """


class Interrupted(Exception):
    """Work was stopped from outside; the message says where it stopped and what was kept.

    The command line prints it and exits with code 130.
    """
