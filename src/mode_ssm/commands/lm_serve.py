"""`mode-ssm lm serve`: the NEJM language-model server's protocol in Redis, with our word search behind it."""

import sys

from mode_ssm.config import LmServeConfig
from mode_ssm.labels import NEJM
from mode_ssm.language.vocabulary import load_words
from mode_ssm.live.streams.opening import require_redis
from mode_ssm.live.streams.server import read_address
from mode_ssm.memory import keep_loaded


def serve(config: LmServeConfig) -> None:
    """Answer clients until the process is stopped.

    Raises:
        InputError: when the language model cannot be read, redis=HOST:PORT is none, or redis-py is not installed.
    """
    server = read_address(config.redis)
    require_redis()
    from mode_ssm.live.lm_server.serving import LanguageModelServer

    model = load_words(config.lm, NEJM, config.search)
    served = LanguageModelServer(model, config.search, config.nbest, server.client(), config.lm, _say)
    keep_loaded()
    print(f"{config.lm}: {len(model.words)} words. Clients are answered at {server}, from here on.", flush=True)
    served.serve()


def _say(text: str) -> None:
    print(f"mode-ssm lm serve: {text}.", file=sys.stderr, flush=True)
