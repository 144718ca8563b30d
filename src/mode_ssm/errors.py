"""The one exception that means: the input was wrong, and this sentence says how to mend it."""


class InputError(ValueError):
    """What was got, what is needed, what to do next, in one sentence; the command line prints it and exits 2."""
