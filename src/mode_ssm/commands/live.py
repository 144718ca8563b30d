"""`mode-ssm live`: from a source to sinks, decoded on the way."""

import hashlib
import json
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from mode_ssm.batch import Trial
from mode_ssm.config import DataConfig, ListenConfig, LiveConfig, Normalisation, StreamDecodingConfig, Talk, WordDecoder
from mode_ssm.config import Decoder as Head
from mode_ssm.errors import InputError
from mode_ssm.language.commitment import CommittingStream, lag_frames
from mode_ssm.language.folder import ARPA, BINARY, LEXICON, STORE
from mode_ssm.language.search import word_search
from mode_ssm.language.transducer_search import TransducerFrames
from mode_ssm.language.trie import build_tree
from mode_ssm.language.vocabulary import load_words
from mode_ssm.language.weights import choose_confidence, choose_weights
from mode_ssm.language.word_places import WIDE, WordPlaces
from mode_ssm.live.desk import Desk, Press
from mode_ssm.live.events import Event, Floats
from mode_ssm.live.listening import ContinuousSpeech
from mode_ssm.live.lock import Lock, guarded
from mode_ssm.live.log import Logged, LogReplay
from mode_ssm.live.lsl.opening import open_lsl_sink, open_lsl_source
from mode_ssm.live.normaliser import RunningNormaliser
from mode_ssm.live.phrases import open_lock
from mode_ssm.live.replay import Replay
from mode_ssm.live.session import Identity, LiveSession
from mode_ssm.live.sinks import ConsoleSink, JsonlSink, Sink, new_file
from mode_ssm.live.spoken import HeadOutputs, LiveWords, SpokenTrials
from mode_ssm.live.streams.opening import open_sink, open_source
from mode_ssm.live.sureness import LONGEST_SECONDS, Sureness
from mode_ssm.live.talk import PushToTalk
from mode_ssm.live.thresholds import thresholds_file, with_learnt
from mode_ssm.memory import keep_loaded
from mode_ssm.recognition.network import Recogniser, load_recogniser
from mode_ssm.recognition.searches import transducer_callables
from mode_ssm.running_scale import Scale
from mode_ssm.t15.sessions import participant_of

RAW = ("redis:", "lsl:")  # sources of frames that nobody has normalised


def live(config: LiveConfig) -> None:
    """Decode until the source ends or the user stops it, and print how long steps took and what became of frames.

    Raises:
        InputError: when anything named cannot be read or written, or the network needs the future.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started it with SIGINT ignored
    recogniser = _recogniser(config)
    talk = _talk(config)
    listens = replace(config, listen=talk is Talk.listen)
    spoken, identity = open_decoder(listens, recogniser, alternatives=config.alternatives)
    lock = _lock(config, recogniser)
    desk = Desk()
    with ExitStack() as stack:
        stack.callback(desk.close)
        source = guarded(_events(config, recogniser, desk, talk), lock)
        if config.log is not None:
            source = Logged(source, stack.enter_context(new_file(Path(config.log))))
        sinks = []
        for name in config.sink:
            sinks.append(_sink(name, recogniser, desk, talk))
            stack.callback(sinks[-1].close)
        channels = recogniser.channels
        session = LiveSession(spoken, sinks, channels, identity, config.watch, lock)
        keep_loaded()
        try:
            session.run(source)
        finally:
            print(json.dumps(session.summary()))


def _recogniser(config: LiveConfig) -> Recogniser:
    """The network, for the participant who is named or whose session the source gives.

    Raises:
        InputError: where it cannot be read, or does not know the participant or whose the recordings are.
    """
    network, (kind, _, rest) = load_recogniser(config.checkpoint, config.device), config.source.partition(":")
    sessions = {"replay": rest.partition("/")[0], "redis": config.redis.session, "lsl": config.lsl.session}
    return for_participant(network, config.participant, sessions.get(kind))


def for_participant(network: Recogniser, participant: str | None, session: str | None) -> Recogniser:
    """
    Raises:
        InputError: as Recogniser.of, and where the session is another participant's.
    """
    if session and network.checkpoint.participants:
        who = participant_of(session)
        if participant not in (None, who):
            raise InputError(
                f"{session} is of {who}, and participant={participant}; give participant={who}, or leave it out."
            )
        participant = who
    return network.of(participant)


def _lock(config: LiveConfig, recogniser: Recogniser) -> Lock | None:
    """
    Raises:
        InputError: where it cannot be, or the log that is to be decoded again is none.
    """
    lock = open_lock(config, recogniser)
    kind, _, rest = config.source.partition(":")
    if lock is not None and kind == "log" and LogReplay(Path(rest)).locked:
        print("The log says itself when its lock opened and closed; no phrase is listened for.")
        return None
    return lock


def _talk(config: LiveConfig) -> Talk:
    """
    Raises:
        InputError: where two are named, or the button has no page.
    """
    if config.listen and config.talk is Talk.button:
        raise InputError("listen=true lets the network say when someone speaks, and talk=button the page; give one.")
    if config.talk is Talk.button and not _has_page(config):
        raise InputError("talk=button needs the page that has the button; give sink=[page].")
    return Talk.listen if config.listen else config.talk


def _has_page(config: LiveConfig) -> bool:
    return any(name.partition(":")[0] == "page" for name in config.sink)


def _events(config: LiveConfig, recogniser: Recogniser, desk: Desk, talk: Talk) -> Iterable[Event]:
    """The source's events, normalised, and between them what is asked on a page."""
    source = _source(config, recogniser)
    if _has_page(config):
        together = desk.joined(source)
        talked = PushToTalk(together) if talk is Talk.button else together
        source = (event for event in talked if not isinstance(event, Press))
    return as_trained(source, recogniser) if config.source.startswith(RAW) else source


def open_decoder(
    config: StreamDecodingConfig, recogniser: Recogniser, *, alternatives: int = 0
) -> tuple[SpokenTrials, Identity]:
    """What decodes as the settings say, and what it is; with so many alternatives for each word of a trial.

    Raises:
        InputError: when the language model or a file of weights cannot be read, or the network needs the future.
    """
    decoder = recogniser.word_decoder(config.decoder)
    if decoder is WordDecoder.joint and config.lm is None:
        raise InputError("decoder=joint finds words, which takes a language model; give lm=FOLDER, or ctc or rnnt.")
    head = Head.ctc if decoder is WordDecoder.ctc else Head.rnnt
    words = None if config.lm is None else _word_search(config, recogniser, decoder, alternatives)
    identity = Identity(
        _digest([recogniser.checkpoint.path]),
        None if config.lm is None else _digest([Path(config.lm) / name for name in (STORE, ARPA, BINARY, LEXICON)]),
    )
    spoken = (
        ContinuousSpeech(recogniser, head, words, _thresholds(config, recogniser), int8=config.int8)
        if config.listen
        else SpokenTrials(recogniser, head, words, int8=config.int8)
    )
    spoken.rehearse(recogniser.channels)
    return spoken, identity


def _thresholds(config: StreamDecodingConfig, recogniser: Recogniser) -> ListenConfig:
    return with_learnt(config.listening, thresholds_file(recogniser.checkpoint.path))


def _word_search(
    config: StreamDecodingConfig, recogniser: Recogniser, decoder: WordDecoder, alternatives: int
) -> LiveWords:
    """
    Raises:
        InputError: where there is no such language model or file of weights.
    """
    checkpoint = recogniser.checkpoint
    settings = choose_weights(config.weights, config.search, checkpoint.path, decoder, str(config.lm))
    model = load_words(str(config.lm), checkpoint.labels, settings)
    share, lag = config.commit_share, lag_frames(config.commit_seconds, recogniser.frame_ms)
    tree, transducer = build_tree(model), transducer_callables(recogniser.model)
    search = word_search(model, tree, transducer, decoder, settings, nbest=WIDE if alternatives else 1)
    sureness = None
    if alternatives:
        places = WordPlaces(model, settings, None, heard=Head.ctc in recogniser.heads, tree=tree)
        confidence = choose_confidence(config.weights, settings, checkpoint.path, decoder, str(config.lm))
        longest = round(1000 * LONGEST_SECONDS / recogniser.frame_ms)
        sureness = Sureness(places, confidence, alternatives, longest)
    return LiveWords(lambda: CommittingStream(search, share, lag), partial(_piece, decoder), sureness)


def _piece(decoder: WordDecoder, heard: HeadOutputs) -> Floats | TransducerFrames:
    if decoder is WordDecoder.ctc:
        assert heard.ctc is not None, "the head that decodes is CTC"
        return heard.ctc
    assert heard.transducer is not None, "the head that decodes is the transducer"
    return TransducerFrames(heard.transducer, heard.ctc if decoder is WordDecoder.joint else None)


def _source(config: LiveConfig, recogniser: Recogniser) -> Iterable[Event]:
    kind, _, rest = config.source.partition(":")
    if kind == "log" and rest:
        return LogReplay(Path(rest))
    if kind == "redis":
        return open_source(config.source, config.redis)
    if kind == "lsl" and rest:
        channels = recogniser.channels
        return open_lsl_source(rest, channels, config.lsl, said_elsewhere=_talk(config) is not Talk.source)
    if kind == "replay" and rest:
        return Replay(_trials(rest, config.data, recogniser), config.speed)
    raise InputError(
        f"source={config.source} is none that is known; give replay:SESSION/SPLIT, replay:SESSION/SPLIT/TRIAL, "
        "log:FILE, redis://HOST:PORT/STREAM or lsl:NAME."
    )


def as_trained(raw: Iterable[Event], recogniser: Recogniser) -> Iterable[Event]:
    """What comes from an amplifier, as the network was trained to read it; a recording is normalised as it is read."""
    network = recogniser.model.preprocessor
    if network.config.normalisation is Normalisation.none:
        return raw
    return RunningNormaliser(raw, Scale(*network.reference.reshape(2, -1).cpu().numpy()))


def _trials(place: str, data: DataConfig, recogniser: Recogniser) -> Iterator[Trial]:
    """The trials that SESSION/SPLIT or SESSION/SPLIT/TRIAL names, read one by one.

    Raises:
        InputError: where there is none, or one cannot be read.
    """
    session, _, rest = place.partition("/")
    split, _, group = rest.partition("/")
    dataset = recogniser.open(data, split, labelled=False)
    root = recogniser.data(data).place
    chosen = [n for n, e in enumerate(dataset.entries) if e.key.session == session and group in ("", e.key.group)]
    if not chosen:
        has = sorted({entry.key.session for entry in dataset.entries})
        raise InputError(
            f"source=replay:{place} names no trial of {root}; its {split} trials are of {len(has)} sessions, "
            f"{has[0]} to {has[-1]}."
        )
    return _read(dataset.__getitem__, chosen)


def _read(read: Callable[[int], object], chosen: Sequence[int]) -> Iterator[Trial]:
    for place in chosen:
        trial = read(place)
        if not isinstance(trial, Trial):
            print(f"Left out: {trial}")
            continue
        yield trial


def _sink(name: str, recogniser: Recogniser, desk: Desk, talk: Talk) -> Sink:
    kind, _, rest = name.partition(":")
    if name == "console":
        return ConsoleSink(Console())
    if kind == "jsonl" and rest:
        return JsonlSink(Path(rest))
    if kind == "page" and (rest.isdigit() or name == "page"):
        return _page(int(rest or "8765"), recogniser, desk, talk)
    if kind == "redis":
        return open_sink(name)
    if kind == "lsl" and rest:
        return open_lsl_sink(rest, recogniser.checkpoint.labels, Head.ctc in recogniser.heads)
    raise InputError(
        f"sink={name} is none that is known; give console, jsonl:FILE, page, page:PORT, redis://HOST:PORT/STREAM "
        "or lsl:NAME."
    )


def _page(port: int, recogniser: Recogniser, desk: Desk, talk: Talk) -> Sink:
    from mode_ssm.live.page.opening import open_page  # a web server, for a page alone

    sink = open_page(port, recogniser.checkpoint, desk, button=talk is Talk.button)
    print(f"Page: {sink.url}", flush=True)
    return sink


def _digest(paths: Sequence[Path]) -> str:
    """Of the contents of those files that are there."""
    digest = hashlib.sha256()
    for path in paths:
        if path.is_file():
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
