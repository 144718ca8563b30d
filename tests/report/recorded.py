"""Run folders with every number that a run may record, written without training."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from mode_ssm.config import TrainConfig
from mode_ssm.settings import dump_settings, read_settings

PARTS = ("preprocessor", "encoder", "ctc_head", "predictor", "joiner")
SESSIONS = [f"t15.{2023 + n // 24}.{1 + n % 12:02d}.{1 + n // 12:02d}" for n in range(45)]


def write_recorded(
    run: Path, *words: str, updates: int = 400, validations: int = 20, sessions: int = 3, scale: float = 1.0
) -> Path:
    """Half of the updates in each stage; the numbers look like a run's. `scale` multiplies losses and error rates."""
    run.mkdir(parents=True)
    config = read_settings(TrainConfig, [f"data.data_root={run / 'no-data'}", f"output_dir={run}", *words])
    (run / "config.yaml").write_text(dump_settings(config))
    rng = np.random.default_rng(0)
    switch, every = updates // 2, updates // validations
    lines: list[dict[str, Any]] = []
    for update in range(1, updates + 1):
        joint = update > switch
        if update in (1, switch + 1):
            lines.append({"kind": "stage", "name": "joint_train" if joint else "ctc_warmup", "update": update})
        lines.append(_update(update, updates, joint, rng, scale))
        if update % every == 0:
            lines.append(_validation(update, updates, joint, rng, sessions, scale))
        if update == switch + 20:
            text = "The RNN-T gradient is 40 times the CTC gradient at the encoder: lower training.optimizer.lr."
            where = {"stage": "joint_train", "epoch": 0, "update": update}
            lines.append({"kind": "warning", "rule": "gradient_ratio", "text": text, **where})
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


def _update(update: int, updates: int, joint: bool, rng: np.random.Generator, scale: float) -> dict[str, Any]:
    noise = float(rng.lognormal(0, 0.3))
    ctc = scale * noise * (0.1 + 10 * np.exp(-12 * update / updates))
    rnnt = scale * noise * (0.1 + 8 * np.exp(-12 * (update / updates - 0.5))) if joint else None
    sampled = joint and update % 10 == 0
    norms = {part: noise * (1 + k) / 3 if joint or k < 3 else 0.0 for k, part in enumerate(PARTS)}
    return {
        "kind": "update",
        "stage": "joint_train" if joint else "ctc_warmup",
        "epoch": 0,
        "update": update,
        "loss": ctc + (rnnt or 0),
        "loss_ctc": ctc,
        "loss_rnnt": rnnt,
        "loss_rnnt_raw": 30 * rnnt if rnnt else None,
        "rnnt_ctc_ratio": rnnt / ctc if rnnt else None,
        "blank_ctc": 0.8,
        "grad_norm": 3 * noise,
        "clipped": bool(noise > 1),
        "clip_norm": 1.0,
        "rnnt_scale": 1 / 30 if joint else None,
        "grad_norms": norms,
        "encoder_grad_ctc": 0.2 * noise if sampled else None,
        "encoder_grad_rnnt": 0.4 * noise if sampled else None,
        "encoder_grad_ratio": 2.0 if sampled else None,
        "lr": 1e-3 * (1 - update / updates),
        "skipped": 0,
        "skipped_now": update == 30,
        "frames_per_s": 1e4 * noise,
    }


def _validation(
    update: int, updates: int, joint: bool, rng: np.random.Generator, sessions: int, scale: float
) -> dict[str, Any]:
    rates = {"ctc": scale * (0.1 + 0.8 * np.exp(-5 * update / updates)), "rnnt": None}
    if joint:
        rates["rnnt"] = scale * (0.12 + 0.8 * np.exp(-8 * (update / updates - 0.5)))
    record: dict[str, Any] = {
        "kind": "validation",
        "stage": "joint_train" if joint else "ctc_warmup",
        "epoch": 0,
        "update": update,
        "blank_ctc": 0.8,
        "blank_rnnt": 0.7 if joint else None,
        "emission_delay_ms": 160.0 if joint else None,
        "seconds": 2.0,
        "peak_memory_mb": 900.0,
    }
    for head, rate in rates.items():
        record[f"per_{head}"] = rate
        if rate is not None:
            by_session = {session: rate * float(rng.lognormal(0, 0.4)) for session in SESSIONS[:sessions]}
            record[f"per_{head}_by_session"] = by_session
    return record
