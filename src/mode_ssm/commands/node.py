"""`mode-ssm node`: live decoding as a node of a BRAND graph, started, watched and stopped by its supervisor."""

import signal
from collections.abc import Callable
from contextlib import closing

from mode_ssm.commands.live import as_trained, for_participant, open_decoder
from mode_ssm.config import NodeConfig
from mode_ssm.errors import InputError
from mode_ssm.live.lock import guarded
from mode_ssm.live.phrases import open_lock
from mode_ssm.live.session import LiveSession
from mode_ssm.live.streams.opening import require_redis
from mode_ssm.live.streams.server import Server
from mode_ssm.memory import keep_loaded
from mode_ssm.recognition.network import load_recogniser


def node(nickname: str, server: Server) -> None:
    """Decode until SIGINT comes, which ends the node in order.

    Raises:
        InputError: when no server answers, the graph has no such node, or what its parameters name cannot be used.
    """
    require_redis()
    from mode_ssm.live.brand.state import State, set_state, state_stream
    from mode_ssm.live.brand.supergraph import read_parameters

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started it with SIGINT ignored
    client = server.answering(state_stream(nickname))
    with closing(client):
        set_state(client, nickname, State.started)
        last, why = State.fatal_error, "a fault in the program, which its output names"
        try:
            _run(nickname, server, read_parameters(client, nickname), lambda: set_state(client, nickname, State.ready))
        except KeyboardInterrupt:
            last, why = State.shutdown, ""
        except InputError as error:
            why = str(error)
            raise
        finally:
            set_state(client, nickname, last, why)


def _run(nickname: str, server: Server, config: NodeConfig, ready: Callable[[], None]) -> None:
    from mode_ssm.live.brand.sink import BrandSink
    from mode_ssm.live.streams.source import RedisSource

    network = load_recogniser(config.checkpoint, config.device)
    recogniser = for_participant(network, config.participant, config.redis.session)
    spoken, identity = open_decoder(config, recogniser)
    lock = open_lock(config, recogniser)
    source = RedisSource(server, config.binned_input_stream, config.redis)
    output = config.output_stream or nickname
    with closing(BrandSink(server, output, nickname, source, recogniser.checkpoint.labels)) as sink:
        channels = recogniser.channels
        session = LiveSession(spoken, [sink], channels, identity, config.watch, lock)
        keep_loaded()
        ready()
        session.run(guarded(as_trained(source, recogniser), lock))
