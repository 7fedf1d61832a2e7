"""The one exception that stands for input a user can put right."""


class TridentError(ValueError):
    """What the user gave is refused: one sentence that names the value and what is allowed.

    The command line prints the sentence and exits with code 2; nothing has been built or written by then.
    """
