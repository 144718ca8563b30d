"""The server of a language model on a real Redis, asked as its clients ask: the same sentences as our search alone."""

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from mode_ssm.config import WordSearchConfig
from mode_ssm.errors import InputError
from mode_ssm.labels import NEJM, T15
from mode_ssm.language.ctc_search import CTCWordSearch
from mode_ssm.language.model import load_word_model
from mode_ssm.language.trie import build_tree
from mode_ssm.live.lm_server.parameters import Parameters
from mode_ssm.live.lm_server.serving import LanguageModelServer
from tests.live.lm_server.client import Client
from tests.live.redis_rig import PATIENCE

SETTINGS = WordSearchConfig()
FROM_T15 = [T15.symbols.index(symbol) for symbol in NEJM.symbols]  # columns in the order of clients


def logits(seed: int, frames: int = 30) -> np.ndarray:
    """(frames, 41) in our order: the phonemes of the lexicon, silence and blank are likelier."""
    values = np.random.default_rng(seed).normal(size=(frames, len(T15))).astype(np.float32)
    values[:, [0, 1, 7, 40]] += 6
    return values


def found_alone(lm, values: np.ndarray, settings: WordSearchConfig, nbest: int = 100):
    """By our search in our order of the classes."""
    model = load_word_model(lm, T15)
    (found,) = CTCWordSearch(model, build_tree(model), settings, nbest)([values])
    return found


class Served:
    """A server that answers in a thread."""

    def __init__(self, process, lm) -> None:
        self.said: list[str] = []
        model = load_word_model(lm, NEJM)
        self._client = process.server.client()
        server = LanguageModelServer(model, SETTINGS, 100, self._client, str(lm), self.said.append)
        self._stopped = False
        self._thread = threading.Thread(target=self._serve, args=(server,))
        self._thread.start()

    def _serve(self, server: LanguageModelServer) -> None:
        while not self._stopped:
            server.answer()

    def stop(self) -> None:
        self._stopped = True
        self._thread.join()
        self._client.close()


@pytest.fixture
def served(redis_process, lm_folder) -> Iterator[Served]:
    process = Served(redis_process, lm_folder)
    yield process
    process.stop()


@pytest.fixture
def client(redis_process, served) -> Client:
    return Client(redis_process.client)


def test_the_whole_sequence_gives_the_sentences_of_our_search(client, redis_process, lm_folder):
    redis_process.client.set("contextual_decoding_current_context", " ah bee ")
    for seed in range(5):
        values = logits(seed)
        client.reset()
        partial = [client.partial(piece[:, FROM_T15]) for piece in np.split(values, [1, 4, 20])]
        final = client.finalize()
        found = found_alone(lm_folder, values, SETTINGS)
        assert final.sentence == found[0].text
        assert final.context == "ah bee"
        assert [name for name, *_ in final.candidates] == [each.text for each in found if each.words]
        for (_, acoustic, ngram, llm, total), each in zip(final.candidates, found, strict=False):
            assert llm == 0
            assert ngram == pytest.approx(each.lm)
            assert acoustic + SETTINGS.lm_weight * ngram == pytest.approx(each.score)
            assert total == pytest.approx(acoustic / SETTINGS.lm_weight + ngram)
        assert all(set(text.split()) <= {"ah", "awe", "ab", "bee"} for text in partial)
        assert any(partial)


def test_parameters_of_a_client_change_the_search(client, lm_folder):
    client.update(acoustic_scale=0.35, blank_penalty=90.0, beam=17, nbest=3)
    values = logits(7)
    client.partial(values[:, FROM_T15])
    final = client.finalize()
    own = WordSearchConfig(lm_weight=1 / 0.35, blank_penalty=math.log(90), beam_threshold=17 / 0.35)
    found = found_alone(lm_folder, values, own, nbest=3)
    assert final.sentence == found[0].text
    for (name, acoustic, ngram, _, total), each in zip(final.candidates, found, strict=True):
        assert name == each.text
        assert total == pytest.approx(0.35 * acoustic + ngram) == pytest.approx(0.35 * each.score)
    assert client.in_force()[b"acoustic_scale"] == b"0.35"


def test_parameters_in_force_stand_in_their_stream_also_after_a_flush(client, redis_process, lm_folder):
    usual = client.in_force()
    assert usual[b"lm_path"].decode() == str(lm_folder)
    assert float(usual[b"acoustic_scale"]) == pytest.approx(1 / SETTINGS.lm_weight)
    assert float(usual[b"blank_penalty"]) == pytest.approx(math.exp(SETTINGS.blank_penalty))
    client.update(blank_penalty=7)
    redis_process.client.flushall()
    assert float(client.in_force()[b"blank_penalty"]) == 7
    fresh = Client(redis_process.client)
    fresh.reset()
    assert isinstance(fresh.partial(logits(1)[:, FROM_T15]), str)


def test_what_a_client_sets_in_vain_is_said(client, served):
    client.update(alpha=0.5, acoustic_scale="loud", blank_penalty="nan", nbest=0)
    client.update(alpha=0.7)
    assert served.said == [
        "the parameter alpha has no effect here",
        "acoustic_scale=loud is no number above 0; acoustic_scale stays as it was",
        "blank_penalty=nan is no number above 0; blank_penalty stays as it was",
        "nbest=0 is no number above 0; nbest stays as it was",
    ]


def test_each_entry_has_its_answer_however_many_wait(client, redis_process, lm_folder):
    values = logits(3)
    for frame in values[:, FROM_T15]:
        redis_process.client.xadd("remote_lm_input", {"logits": frame.tobytes()})
    for _ in values:
        client.partial_answer()
    assert client.finalize().sentence == found_alone(lm_folder, values, SETTINGS)[0].text


def test_without_logits_there_is_no_candidate(client):
    assert client.finalize() == ("", [], "")


def test_logits_that_are_none_are_left_out_and_still_answered(client, redis_process, served, lm_folder):
    values = logits(4)
    broken = values[:3].copy()
    broken[1, 5] = np.nan
    assert client.partial(broken[:, FROM_T15]) == ""
    redis_process.client.xadd("remote_lm_input", {"logits": b"seven"})
    client.partial_answer()
    client.partial(values[3:, FROM_T15])
    kept = np.delete(values, 1, axis=0)
    assert client.finalize().sentence == found_alone(lm_folder, kept, SETTINGS)[0].text
    assert served.said == [
        "1 frames of logits are not finite; left out",
        "an entry of remote_lm_input has 5 bytes of logits, not 164 a frame; left out",
    ]


def test_a_server_that_is_killed_is_waited_for(client, redis_process, served, lm_folder):
    client.reset()
    redis_process.kill()
    time.sleep(0.5)
    redis_process.start()
    again = Client(redis_process.client)
    again.reset()
    values = logits(5)
    again.partial(values[:, FROM_T15])
    assert again.finalize().sentence == found_alone(lm_folder, values, SETTINGS)[0].text
    assert any(text.startswith("Redis is away or refuses (") for text in served.said)


def test_a_stream_that_became_something_else_is_waited_for(client, redis_process, served):
    redis_process.client.delete("remote_lm_output_partial")
    redis_process.client.set("remote_lm_output_partial", "text")
    redis_process.client.xadd("remote_lm_input", {"logits": logits(1, 1).tobytes()})
    while not served.said:
        time.sleep(0.05)
    redis_process.client.delete("remote_lm_output_partial")
    assert client.partial_answer() == ""
    (text,) = served.said
    assert text.startswith("Redis is away or refuses (WRONGTYPE")


def test_entries_from_before_the_start_are_not_answered(redis_process, lm_folder):
    redis_process.client.xadd("remote_lm_finalize", {"done": 0})
    process = Served(redis_process, lm_folder)
    Client(redis_process.client).reset()
    process.stop()
    assert redis_process.client.xlen("remote_lm_output_final") == 0


def test_a_search_without_a_language_model_has_no_acoustic_scale():
    with pytest.raises(InputError, match="search.lm_weight=0 leaves clients no acoustic_scale"):
        Parameters.of(WordSearchConfig(lm_weight=0.0), 1)


def test_the_command_answers_and_stops(redis_process, lm_folder):
    command = [sys.executable, "-m", "mode_ssm", "lm", "serve", f"lm={lm_folder}", f"redis={redis_process.address}"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().endswith(
            f"4 words. Clients are answered at {redis_process.address}, from here on.\n"
        )
        Client(redis_process.client).reset()
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=PATIENCE)
    assert (process.returncode, error) == (130, "mode-ssm: stopped.\n")
