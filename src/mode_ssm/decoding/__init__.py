"""Searches for label sequences; they see log-probabilities and callables, never a model."""
