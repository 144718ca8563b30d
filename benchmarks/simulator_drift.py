"""Does drift bite? Phoneme error rates on simulated recordings, months after the last day that was trained on.

    python benchmarks/simulator_drift.py --labels t15_labels.csv.gz

Three networks: without session layers and with them, both trained on the first sessions alone; and the second one with
session layers of the last sessions, trained there while everything else is held. Writes
benchmarks/results/simulator_drift.md, and data (5 GB) and runs to --work, where an interrupted benchmark goes on.
"""

import argparse
import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from starting import start

from mode_ssm.commands.evaluate import decode
from mode_ssm.config import Decoder, EvaluateConfig, SimulateConfig, TrainConfig
from mode_ssm.recognition.checkpoint import Position, find_checkpoint, read_checkpoint
from mode_ssm.recognition.network import load_recogniser
from mode_ssm.scoring import ErrorRate, total
from mode_ssm.settings import read_settings
from mode_ssm.simulation import simulate
from mode_ssm.training.devices import start_fabric
from mode_ssm.training.loop import Trainer, train
from mode_ssm.training.run_folder import RunFolder
from mode_ssm.training.splits import open_splits
from mode_ssm.training.stopping import StopRequest

RESULT = Path(__file__).with_name("results") / "simulator_drift.md"
SESSIONS = (2, 3, 4, 10, 20, 30, 39, 43, 44, 45)  # of T15's 45; the first three are trained on, the last three renewed
FIRST = LAST = 3
NETWORK = "experiment=demo joiner=none preprocessor.stride_frames=8 training.batch_size=16 training.accelerator=cpu"
SESSION_LAYER = "preprocessor.session."
BySession = dict[str, ErrorRate]


def words(data: Path, run: Path, epochs: int, seed: int) -> list[str]:
    stage = f"training.stages=[{{name: ctc, epochs: {epochs}, ctc_weight: 1.0, rnnt_weight: 0.0}}]"
    resumable = f"output_dir={run} training.resume=auto training.seed={seed}"
    return [*NETWORK.split(), *resumable.split(), stage, f"data.data_root={data}"]


def train_on_first(data: Path, run: Path, epochs: int, seed: int, layer: Sequence[str]) -> Path:
    return train(read_settings(TrainConfig, [*words(data, run, epochs, seed), f"data.max_sessions={FIRST}", *layer]))


def renew_session_layers(trained: Path, data: Path, run: Path, epochs: int, seed: int, layer: Sequence[str]) -> Path:
    """Train session layers for the sessions in `data`, each begun as the last trained day's; all else is held."""
    if (run / "training.png").exists():
        return run
    config = read_settings(TrainConfig, [*words(data, run, epochs, seed), *layer])
    splits = open_splits(config)
    begin = read_checkpoint(find_checkpoint(trained))
    weights = {
        name: tensor[-1:].repeat(len(splits.sessions), *[1] * (tensor.ndim - 1))
        if name.startswith(SESSION_LAYER)
        else tensor
        for name, tensor in begin.model.items()
    }
    checkpoint = replace(begin, model=weights, optimizer={}, position=Position())
    trainer = Trainer(start_fabric(config.training), config, splits, RunFolder(config), checkpoint)
    for name, parameter in trainer.model.named_parameters():
        parameter.requires_grad_(name.startswith(SESSION_LAYER))
    with StopRequest() as stop:
        return trainer.run(stop)


def last_sessions(data: Path, folder: Path) -> Path:
    """A data root of links to the last sessions."""
    folder.mkdir(exist_ok=True)
    for session in sorted(path for path in data.iterdir() if path.is_dir())[-LAST:]:
        link = folder / session.name
        if not link.exists():
            link.symlink_to(session.absolute())
    return folder


def rates(run: Path, data: Path) -> BySession:
    """Greedy CTC on the val trials; a session that the network does not know gets the mean of its session layers."""
    settings = read_settings(EvaluateConfig, [f"checkpoint={run}", f"data.data_root={data}", "decoder=ctc"])
    assert settings.decoder is Decoder.ctc
    errors: BySession = {}
    for result in decode(load_recogniser(str(run)), settings).results:
        errors[result.key.session] = errors.get(result.key.session, ErrorRate()) + result.errors
    return errors


def months_after(session: str, first: str) -> float:
    day, start = (dt.date(*map(int, name.split(".")[1:])) for name in (session, first))
    return (day - start).days / 30.4


def table(none: BySession, known: BySession, renewed: BySession) -> list[str]:
    sessions = list(none)
    trained_until = sessions[FIRST - 1]
    lines = [
        "| val trials of | months after training | no session layers | session layers of the first days | renewed |",
        "|---|---|---|---|---|",
    ]
    for session in sessions:
        cells = [f"{100 * found[session].rate:.1f}" if session in found else "" for found in (none, known, renewed)]
        months = max(months_after(session, trained_until), 0)
        lines.append(f"| {session} | {months:.1f} | {' | '.join(cells)} |")
    for name, group in ((f"first {FIRST}", sessions[:FIRST]), (f"last {LAST}", sessions[-LAST:])):
        pooled = [[found[s] for s in group if s in found] for found in (none, known, renewed)]
        cells = [f"**{100 * total(errors).rate:.1f}**" if errors else "" for errors in pooled]
        lines.append(f"| **{name}** | | {' | '.join(cells)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", help="the table of T15's labels; default: the package's own sentences")
    parser.add_argument("--work", type=Path, default=Path("runs/simulator_drift"), help="folder of data and runs")
    parser.add_argument("--epochs", type=int, default=8, help="of the two trainings")
    parser.add_argument("--renewal-epochs", type=int, default=8)
    parser.add_argument("--rank", type=int, default=32, help="of the session layers")
    parser.add_argument("--seed", type=int, default=0, help="of the simulation and the training")
    given = parser.parse_args()
    seed, work, data = given.seed, given.work, given.work / "data"
    simulate(
        SimulateConfig(out=str(data), preset="t15", labels=given.labels, seed=seed, sessions=list(SESSIONS), workers=1)
    )
    layer = ["preprocessor.session_layer=low_rank", f"preprocessor.session_rank={given.rank}"]
    none = train_on_first(data, work / "none", given.epochs, seed, ["preprocessor.session_layer=none"])
    known = train_on_first(data, work / "known", given.epochs, seed, layer)
    last = last_sessions(data, work / "last")
    renewed = renew_session_layers(known, last, work / "renewed", given.renewal_epochs, seed, layer)
    lines = table(rates(none, data), rates(known, data), rates(renewed, last))
    command = f"python benchmarks/simulator_drift.py{' --labels t15_labels.csv.gz' if given.labels else ''}"
    settings = f"--epochs {given.epochs} --renewal-epochs {given.renewal_epochs} --rank {given.rank} --seed {seed}"
    head = [
        "# Drift on simulated recordings",
        "",
        f"Val phoneme error rates (%), greedy CTC. `{command} {settings}`, preset t15, sessions number "
        f"{', '.join(map(str, SESSIONS))}; networks: `{NETWORK}`, one stage of CTC; "
        f"{time.process_time() / 60:.0f} minutes of processor time. The first three sessions are trained on. Session "
        f"layers of rank {given.rank}; a later session gets the mean of the first days' layers, or (renewed) layers "
        "trained on its own train trials with the rest of the network held.",
        "",
    ]
    RESULT.write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")
    print(RESULT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    start(main)
