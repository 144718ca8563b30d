"""The command line. Most commands take settings as key=value words; what each does stands in a module of its own.

Exit status: 0 done; 1 `inspect` or `submit` found something wrong; 2 the input was wrong, with one sentence on stderr;
130 or 143 stopped by a signal.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from mode_ssm import __version__
from mode_ssm.config import (
    CombineConfig,
    ConvertConfig,
    DecodeConfig,
    EvaluateConfig,
    ExportConfig,
    InspectConfig,
    ListeningConfig,
    LiveConfig,
    LmConfig,
    LmImportConfig,
    LmInfoConfig,
    LmPruneConfig,
    LmServeConfig,
    NodeConfig,
    PosteriorsConfig,
    ReportConfig,
    RescoreFileConfig,
    SimulateConfig,
    SubmitConfig,
    TrainConfig,
    TuneConfig,
    WordsConfig,
)
from mode_ssm.errors import InputError
from mode_ssm.settings import read_settings
from mode_ssm.settings.help import settings_help


class Command(NamedTuple):
    """A command of settings: `run` names module:function, imported late because some imports take seconds."""

    schema: type
    run: str
    purpose: str
    path: str = ""  # the setting that a path alone, without key=, is for


COMMANDS = {
    "simulate": Command(SimulateConfig, "simulation:simulate", "write simulated recordings in the T15 layout"),
    "inspect": Command(
        InspectConfig,
        "commands.inspect:inspect",
        "say what a data root holds and what is wrong, or draw it",
        "data.data_root",
    ),
    "export": Command(
        ExportConfig,
        "commands.export:export",
        "write recordings of any format as NWB, a file a session",
        "data.data_root",
    ),
    "convert": Command(
        ConvertConfig,
        "commands.convert:convert_recordings",
        "write recordings of another format in the T15 layout",
        "from",
    ),
    "train": Command(TrainConfig, "training.loop:train", "train a network in stages: CTC alone, then CTC and RNN-T"),
    "evaluate": Command(
        EvaluateConfig, "commands.evaluate:evaluate", "decode a labelled split and print its error rates", "checkpoint"
    ),
    "decode": Command(
        DecodeConfig, "commands.decode:decode", "decode a split to words with a language model", "checkpoint"
    ),
    "tune": Command(
        TuneConfig, "commands.tune:tune", "search the weights of word decoding on a labelled split", "checkpoint"
    ),
    "rescore": Command(
        RescoreFileConfig,
        "commands.rescore:rescore_decoded",
        "order decoded trials' n-best anew by a causal language model",
        "decoded",
    ),
    "posteriors": Command(
        PosteriorsConfig,
        "commands.posteriors:write",
        "write the CTC log-probabilities of a split for other programs, or to decode later",
        "checkpoint",
    ),
    "live": Command(
        LiveConfig,
        "commands.live:live",
        "decode features to words while they come, from a recording, a log or a Redis stream",
        "checkpoint",
    ),
    "listening": Command(
        ListeningConfig,
        "commands.listening:learn_listening",
        "learn the thresholds by which live listen=true finds speech, on a labelled split",
        "checkpoint",
    ),
    "submit": Command(SubmitConfig, "commands.submit:submit", "write the competition's CSV, or check one"),
}
LM_COMMANDS = {
    "build": Command(
        LmConfig, "commands.lm_build:build", "make an n-gram model and a lexicon from text and transcripts"
    ),
    "info": Command(LmInfoConfig, "commands.lm_info:info", "say what a language model holds", "lm"),
    "serve": Command(LmServeConfig, "commands.lm_serve:serve", "answer clients of the NEJM language model in Redis"),
    "prune": Command(LmPruneConfig, "commands.lm_prune:prune_model", "make a language model smaller", "lm"),
    "import": Command(
        LmImportConfig,
        "commands.lm_import:import_model",
        "make a folder from an ARPA file or KenLM's binary and a lexicon",
    ),
}


WORDS_COMMANDS = {  # name: function of commands.words, what for
    "add": ("add", "add words; phonemes after a word are its pronunciation, else it is guessed and said"),
    "list": ("show", "print the words, or those named, with their phonemes"),
    "remove": ("remove", "take words out"),
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; {self.prog} --help tells how it is used.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; wrong input ends with one sentence on stderr and status 2."""
    if isinstance(sys.stdout, TextIOWrapper):  # a name that the terminal's encoding lacks is no reason to stop
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        arguments = sys.argv[1:] if arguments is None else arguments
        parser = _parser()
        options, unknown = parser.parse_known_args(arguments or ["--help"])
        if unknown and options.run is not _node:  # a BRAND node ignores flags that it does not know
            parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        sys.exit(options.run(options) or 0)
    except InputError as error:
        print(f"mode-ssm: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("mode-ssm: stopped.", file=sys.stderr)
        sys.exit(130)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="mode-ssm", description="Brain recordings of attempted speech to phonemes and words.")
    parser.add_argument("--version", action="version", version=f"mode-ssm {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    demo = commands.add_parser("demo", help="simulate, train and show what was learnt: about three minutes")
    demo.add_argument("--out", type=Path, default=Path("demo"), help="folder of the data and the run; default: demo")
    demo.add_argument("--live", action="store_true", help="words on a page while a session plays, by a causal network")
    demo.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="settings of the training, such as encoder=gru")
    demo.set_defaults(run=_demo)
    for name, command in COMMANDS.items():
        _add_command(commands, name, command)
    lm = commands.add_parser("lm", help="build, describe, prune, import and serve language models")
    lm_commands = lm.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    for name, command in LM_COMMANDS.items():
        _add_command(lm_commands, name, command)
    _add_words(commands)
    _add_report(commands)
    _add_combine(commands)
    _add_node(commands)
    score = commands.add_parser("score", help="print the error rate between two columns of a CSV as JSON")
    score.add_argument("file", type=Path, help="a CSV with a header")
    score.add_argument("--reference", required=True, help="the column with what was said")
    score.add_argument("--hypothesis", required=True, help="the column with what was decoded")
    score.add_argument("--unit", default="phoneme", help="phoneme (symbols between spaces) or word (normalised first)")
    score.add_argument("--labels", help="of phonemes: a YAML file of the symbols; default: T15's")
    score.set_defaults(run=_score)
    return parser


def _add_command(commands: "argparse._SubParsersAction[Any]", name: str, command: Command) -> None:
    entry = commands.add_parser(
        name,
        help=command.purpose,
        description=f"{command.purpose[0].upper()}{command.purpose[1:]}.",
        epilog=settings_help(command.schema),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    alone = f"; a path alone is {command.path}" if command.path else ""
    entry.add_argument("settings", nargs="*", metavar="KEY=VALUE", help=f"settings, listed below{alone}")
    entry.set_defaults(run=_with_settings(command))


def _add_words(commands: "argparse._SubParsersAction[Any]") -> None:
    words = commands.add_parser("words", help="keep a file of words that decode takes besides those of its lm")
    entries = words.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    for name, (function, purpose) in WORDS_COMMANDS.items():
        entry = entries.add_parser(
            name,
            help=purpose,
            description=f"{purpose[0].upper()}{purpose[1:]}. For instance: mode-ssm words add file=names.txt Kaja "
            "K AY AH Zoltan lm=LM; then mode-ssm decode RUN lm=LM search.words=names.txt.",
            epilog=settings_help(WordsConfig),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        entry.add_argument("words", nargs="*", metavar="WORD", help="words, and settings as KEY=VALUE, listed below")
        entry.set_defaults(run=_words(function))


def _add_report(commands: "argparse._SubParsersAction[Any]") -> None:
    entry = commands.add_parser(
        "report",
        help="write an HTML page about a run, or about how several compare",
        description="Write an HTML page about a run, or about how several compare.",
        epilog=settings_help(ReportConfig),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    entry.add_argument("words", nargs="+", metavar="RUN", help="run folders, and settings as KEY=VALUE, listed below")
    entry.set_defaults(run=_report)


def _add_combine(commands: "argparse._SubParsersAction[Any]") -> None:
    entry = commands.add_parser(
        "combine",
        help="join the words of several runs or systems into one sentence a trial",
        description="Join the words of several runs or systems into one sentence a trial.",
        epilog=settings_help(CombineConfig),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    entry.add_argument(
        "words",
        nargs="+",
        metavar="FILE",
        help="hypotheses.csv or nbest.jsonl of mode-ssm decode, or lines of id and words; and settings as KEY=VALUE",
    )
    entry.set_defaults(run=_combine)


def _add_node(commands: "argparse._SubParsersAction[Any]") -> None:
    entry = commands.add_parser(
        "node",
        help="decode as a node of a BRAND graph, whose parameters say how",
        description="Decode as a node of a BRAND graph. Its parameters in the graph are the settings below.",
        epilog=settings_help(NodeConfig),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    entry.add_argument("-n", "--nickname", required=True, help="of the node in the graph")
    entry.add_argument("-i", "--redis_host", default="localhost", help="default: localhost")
    entry.add_argument("-p", "--redis_port", type=int, default=6379, help="default: 6379")
    entry.add_argument("-s", "--redis_socket", help="of the server; goes before host and port")
    entry.set_defaults(run=_node)


def _with_settings(command: Command) -> Callable[[argparse.Namespace], int]:
    def run(options: argparse.Namespace) -> int:
        config: object = read_settings(command.schema, _named_path(command, options.settings))
        module, function = command.run.split(":")
        status = getattr(import_module(f"mode_ssm.{module}"), function)(config)
        return status if isinstance(status, int) else 0

    return run


def _named_path(command: Command, words: Sequence[str]) -> list[str]:
    """`RUN` -> `checkpoint=RUN`, for the one word that is a path alone."""
    paths = [word for word in words if command.path and word[:1] not in ("-", "+") and _is_path(word)]
    if len(paths) > 1 or (paths and any(word.startswith(f"{command.path}=") for word in words)):
        raise InputError(f"{command.path} is given twice; name one path, besides settings as key=value.")
    return [f"{command.path}={word}" if word in paths else word for word in words]


def _is_path(word: str) -> bool:
    return "=" not in word or Path(word).exists()


def _demo(options: argparse.Namespace) -> None:
    if options.live:
        from mode_ssm.commands.live_demo import live_demo

        live_demo(options.out, options.settings)
    else:
        from mode_ssm.commands.demo import demo

        demo(options.out, options.settings)


def _report(options: argparse.Namespace) -> None:
    from mode_ssm.commands.report import report

    runs = [word for word in options.words if _is_path(word)]
    settings = [word for word in options.words if word not in runs]
    if not runs:
        raise InputError("report needs a run folder that `mode-ssm train` wrote; name one, or several to compare.")
    print(f"Written: {report(runs, read_settings(ReportConfig, settings))}")


def _words(function: str) -> Callable[[argparse.Namespace], None]:
    def run(options: argparse.Namespace) -> None:
        words = [word for word in options.words if "=" not in word]
        settings = [word for word in options.words if "=" in word]
        getattr(import_module("mode_ssm.commands.words"), function)(words, read_settings(WordsConfig, settings))

    return run


def _combine(options: argparse.Namespace) -> None:
    from mode_ssm.commands.combine import combine

    files = [word for word in options.words if "=" not in word or Path(word).is_file()]
    settings = [word for word in options.words if word not in files]
    combine(files, read_settings(CombineConfig, settings))


def _node(options: argparse.Namespace) -> None:
    from mode_ssm.commands.node import node
    from mode_ssm.live.streams.server import Server

    node(options.nickname, Server(options.redis_host, options.redis_port, options.redis_socket))


def _score(options: argparse.Namespace) -> None:
    from mode_ssm.commands.score import score

    result = score(
        options.file,
        reference=options.reference,
        hypothesis=options.hypothesis,
        unit=options.unit,
        labels=options.labels,
    )
    for column, changes in result["normalised"].items():
        said = ", ".join(f"{what} ({count} times)" for what, count in changes.items())
        print(f"{column}: {said}.", file=sys.stderr)
    if result["rows_without_reference"]:
        print(f"{result['rows_without_reference']} rows have no reference and are not scored.", file=sys.stderr)
    print(json.dumps(result, indent=2))
