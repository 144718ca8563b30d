"""Word error rates with a language model of other text, what the n-best could reach, and words outside the lexicon.

    python benchmarks/word_rates.py --name NAME --run RUN --lm LM --data DIR [--labels CSV.gz] [--noise SD]

The val split of DIR is decoded by `mode-ssm decode` at the default weights with ten sentences a trial; sentences that
the network was trained on and others stand apart. Where DIR is not there, --labels, a table of T15's sentences, has
those of which recordings are simulated: --each of both kinds. `--noise` as in benchmarks/confidence.py. Writes
benchmarks/results/word_rates.md.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import kept
import torch
from confidence import noisy
from sentences import record, seen_and_unseen

from mode_ssm.commands.decode import decode
from mode_ssm.config import DataConfig, DecodeConfig, Device, WordDecoder
from mode_ssm.recognition.network import load_recogniser

COLUMNS = {
    "trials_labelled": "trials",
    "reference_words": "words",
    "wer": "WER",
    "wer_seen_sentences": "seen",
    "wer_unseen_sentences": "unseen",
    "oracle_wer": "oracle of 10",
    "oov_rate": "OOV",
    "per": "PER",
}


def measure(asked: argparse.Namespace, decoder: str) -> dict[str, Any]:
    """What decode.json says, of the columns."""
    with TemporaryDirectory() as temporary:
        data, out = Path(temporary) / "data", Path(temporary) / "decoded"
        data.mkdir()
        noisy(Path(asked.data), data, asked.noise)
        decode(
            DecodeConfig(
                checkpoint=asked.run,
                lm=asked.lm,
                data=DataConfig(data_root=str(data), cache_dir=str(Path(temporary) / "index"), num_workers=0),
                device=Device.cpu,
                decoder=WordDecoder(decoder),
                alternatives=0,
                output_dir=str(out),
            )
        )
        summary = json.loads((out / "decode.json").read_text())
    return {key: summary[key] for key in COLUMNS}


def table(figures: dict[str, dict[str, Any]]) -> str:
    """Markdown."""
    lines = [
        "`python benchmarks/word_rates.py`: rates in %, by a language model of other text, at the default weights.",
        "",
        f"| data, lexicon, decoder | {' | '.join(COLUMNS.values())} |",
        "|---" * (1 + len(COLUMNS)) + "|",
    ]
    for title, one in figures.items():
        cells = [
            "none" if (value := one[key]) is None else str(value) if isinstance(value, int) else f"{100 * value:.2f}"
            for key in COLUMNS
        ]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("name", "run", "lm", "data"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--each", type=int, default=100, help="sentences that are simulated of each kind")
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument(
        "--decoders", nargs="+", default=["ctc", "rnnt", "joint"], choices=[d.value for d in WordDecoder]
    )
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if not Path(asked.data).exists():
        checkpoint = load_recogniser(asked.run).checkpoint
        said = seen_and_unseen(asked.labels, checkpoint.sentence_hashes.tolist(), asked.each)
        record(Path(asked.data), said, checkpoint.sessions)
    words = json.loads((Path(asked.lm) / "lm.json").read_text())["words"]
    file = kept.file_of("word_rates", torch.device("cpu"))
    for decoder in asked.decoders:
        title = f"{asked.name}, {words} words, {decoder}"
        figures = kept.read(file) | {title: measure(asked, decoder)}
        kept.write(file, figures, table(figures))


if __name__ == "__main__":
    main()
