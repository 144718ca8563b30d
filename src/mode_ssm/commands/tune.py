"""`mode-ssm tune`: search for the weights of word decoding with the lowest word error rate on a labelled split."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from mode_ssm.commands.phonemes import tune_phonemes
from mode_ssm.commands.word_results import missing_words, oracle_errors_of, word_errors_of
from mode_ssm.config import TuneConfig, WordDecoder, WordSearchConfig
from mode_ssm.data import denominator, spread
from mode_ssm.errors import InputError
from mode_ssm.language.confidence import LEAST, Confidence
from mode_ssm.language.pool import CTCWordPool
from mode_ssm.language.search import Found, search_ctc, search_transducer
from mode_ssm.language.spoken import SpokenTrial
from mode_ssm.language.trie import build_tree
from mode_ssm.language.vocabulary import load_words
from mode_ssm.language.weights import decoding_folder, read_weights, tuned_file, write_weights
from mode_ssm.language.word_places import WIDE, WordPlaces, learn_confidence
from mode_ssm.recognition.ensemble import load_ensemble
from mode_ssm.scoring import ErrorRate, has_words, total

Objective = Callable[[WordSearchConfig], ErrorRate]

# The range of each weight that a decoder knows, in natural logarithms (temperature: a divisor).
_TRANSDUCER = {
    "lm_weight": (0.0, 2.0),
    "word_score": (-3.0, 3.0),
    "blank_penalty": (0.0, 2.0),
    "internal_lm_weight": (0.0, 0.8),
}
RANGES: dict[WordDecoder, dict[str, tuple[float, float]]] = {
    WordDecoder.ctc: {
        "lm_weight": (0.0, 2.0),
        "word_score": (-3.0, 3.0),
        "silence_score": (-1.0, 1.0),
        "blank_penalty": (0.0, 3.0),
        "temperature": (0.5, 3.0),
    },
    WordDecoder.rnnt: _TRANSDUCER,
    WordDecoder.joint: {**_TRANSDUCER, "ctc_weight": (0.0, 2.0)},
}


class Tuned(NamedTuple):
    settings: WordSearchConfig
    wer: float
    tries: int  # in all, those of earlier runs included


def tune(config: TuneConfig) -> None:
    """Search, print the best weights, and keep them where `mode-ssm decode weights=tuned` finds them.

    Raises:
        InputError: when the split has no sentences, or anything named cannot be read or written.
    """
    if config.phonemes is not None:
        tune_phonemes(config)
        return
    if config.checkpoint is None:
        raise InputError("tune needs what to tune on; give checkpoint=RUN, or phonemes=FILE of another decoder.")
    if config.labels is not None:
        raise InputError("labels=FILE is for phonemes=FILE; a checkpoint has its own.")
    if config.out is not None:
        raise InputError("out=FILE is for phonemes=FILE; a checkpoint's weights are kept in its run folder.")
    ensemble = load_ensemble(config.checkpoint, config.ensemble, config.device)
    decoder = ensemble.word_decoder(config.decoder)
    config = replace(config, decoder=decoder, data=ensemble.recognisers[0].data(config.data))
    checkpoint = ensemble.recognisers[0].checkpoint
    model = load_words(config.lm, checkpoint.labels, config.search)
    for_transducer = decoder is not WordDecoder.ctc
    batches = ensemble.encode(
        config.data, config.split, config.batch_size, for_transducer=for_transducer, labelled=True
    )
    trials = spread([t for batch in batches for t in batch if has_words(t.sentence)], config.max_sentences)
    if not trials:
        raise InputError(f"split={config.split} has no sentences to compare with; tune on split=val.")
    file = tuned_file(checkpoint.path, decoder)
    storage = decoding_folder(checkpoint.path) / "tune.db"
    file.parent.mkdir(parents=True, exist_ok=True)
    study = study_name(config, decoder, checkpoint.position.update, len(trials))
    with CTCWordPool(model, config.lm, config.decode_workers) as pool:

        def search(settings: WordSearchConfig, nbest: int) -> list[Found]:
            if not for_transducer:
                return search_ctc(trials, pool, settings, nbest)
            groups = in_batches(trials, config.batch_size)
            return list(search_transducer(groups, model, tree, ensemble.transducer, decoder, settings, nbest))

        def objective(settings: WordSearchConfig) -> ErrorRate:
            return total(map(word_errors_of, search(settings, nbest=1)))

        tree = build_tree(model)
        best = search_weights(objective, config, decoder, starts(config, decoder, checkpoint.path), storage, study)
        places = WordPlaces(model, best.settings, clock=None, heard=ensemble.heard, tree=tree)
        found = search(best.settings, WIDE)
        confidence = learn_confidence(found, places)
    write_weights(file, best.settings, best.wer, config.lm, confidence)
    for sentence in denominator(len(trials), [trial.lost for trial in trials if trial.lost]):
        print(sentence)
    _print_best(best, decoder, len(trials), file)
    _print_bounds(found, model.words)
    _print_confidence(confidence)


def study_name(config: TuneConfig, decoder: WordDecoder, update: int, sentences: int) -> str:
    """What an error rate depends on besides the weights; another study begins when any of it changes."""
    lm = Path(config.lm).resolve()
    files = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in sorted(lm.iterdir())]
    given = [Path(path) for path in (config.search.words, config.search.hotwords) if path is not None]
    files += [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in given]
    fixed = {name: value for name, value in asdict(config.search).items() if name not in RANGES[decoder]}
    roots = ",".join(str(Path(root).resolve()) for root in config.data.roots or [config.data.data_root])
    rest = repr((fixed, roots, config.data.max_sessions, files)).encode()
    digest = hashlib.sha256(rest).hexdigest()[:12]
    return f"{decoder.value} {config.split} {sentences} update {update} {lm} {config.ensemble or ''} {digest}"


def starts(config: TuneConfig, decoder: WordDecoder, checkpoint: Path) -> list[WordSearchConfig]:
    """What is tried first: the settings given, and for joint what was tuned for rnnt, without and with CTC scores."""
    tuned = tuned_file(checkpoint, WordDecoder.rnnt)
    if decoder is not WordDecoder.joint or not tuned.exists():
        return [config.search]
    weights, _ = read_weights(tuned)
    return [config.search, replace(weights, ctc_weight=0.0), replace(weights, ctc_weight=config.search.ctc_weight)]


def search_weights(
    objective: Objective,
    config: TuneConfig,
    decoder: WordDecoder,
    first: Sequence[WordSearchConfig],
    storage: Path,
    study: str,
) -> Tuned:
    """Try settings by optuna's TPE sampler, after those named first; an interrupted search goes on.

    Raises:
        InputError: where optuna is not installed.
    """
    try:
        optuna: Any = import_module("optuna")
    except ImportError:
        raise InputError("mode-ssm tune needs optuna, which is not installed; run pip install optuna.") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    ranges = RANGES[decoder]
    kept = optuna.create_study(storage=f"sqlite:///{storage}", study_name=study, load_if_exists=True)
    state = optuna.trial.TrialState
    done = len(kept.get_trials(states=[state.COMPLETE]))
    kept.sampler = optuna.samplers.TPESampler(seed=config.seed + done)
    there = kept.get_trials(states=[state.COMPLETE, state.WAITING])  # not one that was interrupted
    tried = [trial.system_attrs.get("fixed_params", trial.params) for trial in there]
    for settings in first:
        inside = {n: min(max(getattr(settings, n), low), high) for n, (low, high) in ranges.items()}
        if inside not in tried:
            kept.enqueue_trial(inside)
            tried.append(inside)

    def attempt(trial: Any) -> float:
        weights = {name: trial.suggest_float(name, low, high) for name, (low, high) in ranges.items()}
        wer = objective(replace(config.search, **weights)).rate
        print(f"{trial.number + 1:4d}  WER {100 * wer:6.2f} %  " + _describe(weights), flush=True)
        return wer

    kept.optimize(attempt, n_trials=max(config.tries - done, 0))
    finished = len(kept.get_trials(states=[state.COMPLETE]))
    return Tuned(replace(config.search, **kept.best_params), kept.best_value, finished)


def in_batches(trials: Sequence[SpokenTrial], size: int) -> list[list[SpokenTrial]]:
    return [list(trials[start : start + size]) for start in range(0, len(trials), size)]


def _describe(weights: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in weights.items())


def _print_best(best: Tuned, decoder: WordDecoder, sentences: int, file: Path) -> None:
    weights = {name: asdict(best.settings)[name] for name in RANGES[decoder]}
    print(f"Best of {best.tries} on {sentences} sentences: WER {100 * best.wer:.2f} % with {_describe(weights)}.")
    print(f"Kept in {file}; use them by mode-ssm decode weights=tuned decoder={decoder.value}.")


def _print_bounds(found: Sequence[Found], lexicon: Sequence[str]) -> None:
    """What no weights could mend."""
    oracle, missing = total(map(oracle_errors_of, found)), missing_words(found, lexicon).total()
    print(
        f"The best of {WIDE} sentences each would be {100 * oracle.rate:.2f} % (oracle); {missing} of "
        f"{oracle.reference_length} words are outside the lexicon (OOV)."
    )


def _print_confidence(confidence: Confidence | None) -> None:
    if confidence is None:
        print(f"No confidence was learnt: it needs {LEAST} words that are right and {LEAST} that are wrong.")
        return
    print(
        f"Confidence, learnt on {confidence.words} words: each half by the other's has an expected calibration error "
        f"of {confidence.ece:.3f} and an AUROC of {confidence.auroc:.3f}."
    )
