"""Training in stages: `loop` is the visible loop; the other files are its parts, each readable alone."""
