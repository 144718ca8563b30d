"""A trained network in use: its checkpoint, the network as it was trained, the searches over its output, its stream.

Nothing of training is needed, or loaded, to use what was trained.
"""
