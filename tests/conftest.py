"""One thread, so that tests side by side do not fight; no deadline, so that a busy machine fails nothing."""

import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("busy machine", deadline=None)
settings.load_profile("busy machine")
