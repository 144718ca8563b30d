"""`mode-ssm listening`: thresholds by which `mode-ssm live listen=true` finds speech, learnt on a labelled split."""

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from mode_ssm.config import ListenConfig, ListeningConfig
from mode_ssm.data import denominator
from mode_ssm.decoding.alignment import ctc_alignment
from mode_ssm.errors import InputError
from mode_ssm.labels import Labels
from mode_ssm.language.spoken import SpokenTrial
from mode_ssm.live.listening import ListenFrames, evidence, require_ctc
from mode_ssm.live.thresholds import HeardTrial, learn_thresholds, thresholds_file, write_thresholds
from mode_ssm.recognition.ensemble import load_ensemble


def learn_listening(config: ListeningConfig) -> None:
    """Learn them, print on how much and how well they divide it, and keep them where `mode-ssm live` finds them.

    Raises:
        InputError: when the split has too few words, or anything named cannot be read or written.
    """
    ensemble = load_ensemble(config.checkpoint, None, config.device)
    recogniser = ensemble.recognisers[0]
    require_ctc(recogniser)
    labels, data = recogniser.checkpoint.labels, recogniser.data(config.data)
    batches = ensemble.encode(data, config.split, config.batch_size, for_transducer=False, labelled=True)
    trials = [trial for batch in batches for trial in batch]
    heard = [found for trial in trials if (found := _heard(trial, labels)) is not None]
    learnt = learn_thresholds(heard, ListenFrames.of(ListenConfig(), recogniser.frame_ms))
    path = thresholds_file(recogniser.checkpoint.path)
    write_thresholds(path, learnt)
    for sentence in denominator(len(trials), [trial.lost for trial in trials if trial.lost]):
        print(sentence)
    rest = learnt.rest_frames * recogniser.frame_ms / 1000
    print(
        f"From {learnt.words} words and {rest:.0f} s of rest in {len(heard)} of {len(trials)} trials: "
        f"listening.onset_labels={learnt.onset_labels}, which {100 * learnt.missed:.1f} % of the "
        f"words do not reach by themselves, and listening.end_evidence={learnt.end_evidence}, which "
        f"{100 * learnt.false:.1f} % of the frames of rest do."
    )
    print(f"Kept in {path}: mode-ssm live listen=true uses both, unless its listening.* say others.")


def _heard(trial: SpokenTrial, labels: Labels) -> HeardTrial | None:
    """None for a trial that was not read, has no labels, or in which they do not fit into the frames."""
    if trial.lost or not trial.labels:
        return None
    try:
        begins = ctc_alignment(torch.from_numpy(trial.ctc), torch.tensor(trial.labels), labels.blank).numpy()
    except InputError:
        return None
    return HeardTrial(evidence(trial.ctc, labels), _by_word(begins, np.array(trial.labels), labels.boundary))


def _by_word(begins: NDArray[np.int64], said: NDArray[np.int64], boundary: int | None) -> list[NDArray[np.int64]]:
    """The frames at which the labels of each word begin; all of them together where there is no boundary."""
    cuts = [0, *(np.flatnonzero(said == boundary) + 1 if boundary is not None else ()), len(said)]
    words = (slice(first, last) for first, last in pairwise(cuts))
    spoken = (begins[word][said[word] != boundary] for word in words)
    return [word for word in spoken if len(word)]
