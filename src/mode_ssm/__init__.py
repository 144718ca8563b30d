"""MODE-SSM: intracortical recordings of attempted speech to phonemes and words."""

__version__ = "0.1.0"
