"""A node of a BRAND graph (Ali et al. 2024): its parameters and states, and the streams of a speech decoder."""
