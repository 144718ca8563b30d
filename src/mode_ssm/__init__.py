"""MODE-SSM: intracortical recordings of attempted speech to phonemes and words.

A trained decoder reads features, (T, C), a row every 20 ms:

>>> import mode_ssm
>>> decoder = mode_ssm.load("RUN")
>>> said = decoder.transcribe(features, session="t15.2023.08.13")
>>> len(said.phonemes) == len(said.frames) == len(said.times)
True

While one speaks, a causal network says what each piece of features has decided:

>>> with decoder.stream(session="t15.2023.08.13") as stream:
...     heard = [stream.extend(piece) for piece in pieces]
>>> sum((transcript.phonemes for transcript in heard), ()) == said.phonemes
True

Other decoders may start from the posteriors of the CTC head, (S, V) log-probabilities in the order of decoder.labels:

>>> decoder.posteriors(features, session="t15.2023.08.13").shape[1] == len(decoder.labels)
True

Training takes the words of the command line, or the configuration that they make:

>>> run = mode_ssm.train(settings)  # doctest: +ELLIPSIS
18 train and 6 val trials of 3 sessions; ... M parameters; run folder RUN2
...
>>> run.name
'RUN2'

(`settings` here are words such as `["experiment=an4", "data.data_root=DIR", "output_dir=RUN2"]`.)

`mode_ssm.losses.fused_rnnt_loss` is the transducer loss by itself.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mode_ssm import losses
    from mode_ssm.errors import InputError
    from mode_ssm.labels import T15, Labels
    from mode_ssm.recognition.decoder import TrainedDecoder, Transcript, TranscriptStream, load
    from mode_ssm.training.start import train

__version__ = "0.1.0"

__all__ = [
    "T15",
    "InputError",
    "Labels",
    "TrainedDecoder",
    "Transcript",
    "TranscriptStream",
    "__version__",
    "load",
    "losses",
    "train",
]

# Where a name stands; it is imported when it is first asked for, for PyTorch alone takes seconds.
_PLACES = {
    "InputError": "errors",
    "Labels": "labels",
    "T15": "labels",
    "TrainedDecoder": "recognition.decoder",
    "Transcript": "recognition.decoder",
    "TranscriptStream": "recognition.decoder",
    "load": "recognition.decoder",
    "train": "training.start",
}


def __getattr__(name: str) -> Any:
    if name == "losses":
        return import_module("mode_ssm.losses")
    if name not in _PLACES:
        raise AttributeError(f"module 'mode_ssm' has no attribute '{name}'")
    return getattr(import_module(f"mode_ssm.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
