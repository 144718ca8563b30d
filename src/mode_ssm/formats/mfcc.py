"""Mel-frequency cepstra of speech, by kaldi-native-fbank with Kaldi's defaults: 13 of them, 25 ms every 10 ms."""

import numpy as np
from numpy.typing import NDArray

from mode_ssm.errors import InputError

RATE = 16_000  # Hz
WINDOW, STEP = 400, 160  # samples: 25 ms every 10 ms
COUNT = 13
_FULL_SCALE = 32_768.0  # of 16 bits


def check_installed() -> None:
    """Raises: InputError, where the library is not there."""
    try:
        import kaldi_native_fbank  # noqa: F401
    except ImportError:
        raise InputError(
            "Features of audio are computed by kaldi-native-fbank; install it: pip install 'mode-ssm[an4]'."
        ) from None


def frame_count(samples: int) -> int:
    """The last frame is filled up with zeros.

    >>> frame_count(16_000), frame_count(11_200), frame_count(1), frame_count(0)
    (99, 69, 1, 0)
    """
    return 1 + max(0, -(-(samples - WINDOW) // STEP)) if samples else 0


def mfcc(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """(T, 13) of 16 kHz samples (N,), T = frame_count(N); the first is the log-energy. Nothing is random: no dither."""
    import kaldi_native_fbank as knf

    options = knf.MfccOptions()
    options.frame_opts.samp_freq, options.frame_opts.dither = RATE, 0.0
    frames = frame_count(len(samples))
    padded = np.zeros(WINDOW + max(0, frames - 1) * STEP, dtype=np.float32)
    padded[: len(samples)] = samples / _FULL_SCALE
    computed = knf.OnlineMfcc(options)
    computed.accept_waveform(RATE, padded)
    computed.input_finished()
    rows = [computed.get_frame(frame) for frame in range(frames)]
    return np.array(rows, dtype=np.float32).reshape(frames, COUNT)
