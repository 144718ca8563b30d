"""The CTC word search over many trials, in this process or in several that each load the language model."""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from types import TracebackType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from mode_ssm.config import WordSearchConfig
from mode_ssm.errors import InputError
from mode_ssm.labels import Labels
from mode_ssm.language.added_words import extend_model
from mode_ssm.language.ctc_search import CTCWordSearch
from mode_ssm.language.hypothesis import WordHypothesis
from mode_ssm.language.model import Additions, WordModel, load_word_model
from mode_ssm.language.trie import build_tree
from mode_ssm.processes import end_with_parent

_TOGETHER = 16  # trials searched side by side
_Found = list[list[WordHypothesis]]  # n-best, by trial


class _Task(NamedTuple):
    settings: WordSearchConfig
    nbest: int
    trials: Sequence[NDArray[np.float32]]  # side by side


class _Loaded:
    """A language model with its tree, and the search that was used last."""

    def __init__(self, model: WordModel) -> None:
        self._model = model
        self._tree = build_tree(model)
        self._key: tuple[WordSearchConfig, int] | None = None
        self._search: CTCWordSearch | None = None

    def run(self, task: _Task) -> _Found:
        key = (task.settings, task.nbest)
        if self._search is None or key != self._key:
            self._key, self._search = key, CTCWordSearch(self._model, self._tree, *key)
        return self._search(task.trials)


_loaded: _Loaded | None = None  # of a worker process


def _load_in_worker(folder: str, labels: Labels, additions: Additions | None) -> None:
    global _loaded
    end_with_parent()
    model = load_word_model(folder, labels)
    _loaded = _Loaded(model if additions is None else extend_model(model, additions))


def _run_in_worker(task: _Task) -> _Found:
    assert _loaded is not None
    return _loaded.run(task)


class CTCWordPool:
    """Searches lists of trials; the order of the results is that of the trials, for any number of workers."""

    def __init__(self, model: WordModel, folder: str, workers: int) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._map: Callable[[Iterable[_Task]], Iterator[_Found]]
        if workers:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(workers, context, _load_in_worker, (folder, model.labels, model.additions))
            self._map = partial(self._pool.map, _run_in_worker)
        else:
            self._map = partial(map, _Loaded(model).run)

    def __enter__(self) -> "CTCWordPool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def search(
        self, trials: Sequence[NDArray[np.float32]], settings: WordSearchConfig, nbest: int
    ) -> list[list[WordHypothesis]]:
        """Search every trial, log-probabilities (S, V), with a progress bar on stderr.

        Raises:
            InputError: where a worker process dies.
        """
        tasks = [_Task(settings, nbest, trials[at : at + _TOGETHER]) for at in range(0, len(trials), _TOGETHER)]
        try:
            return [found for some in _progress(self._map(tasks), len(tasks)) for found in some]
        except BrokenProcessPool:
            raise InputError(
                "A decoding process ended, most likely for lack of memory (each holds the language model); lower "
                "decode_workers (0 decodes in one process)."
            ) from None


def _progress(found: Iterator[_Found], total: int) -> Iterator[_Found]:
    stderr = Console(stderr=True)
    yield from track(
        found, "searching words", total=total, console=stderr, transient=True, disable=not stderr.is_terminal
    )
