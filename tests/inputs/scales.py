"""Rows of numbers that are promised, of the scale of the losses, and of weights from another run."""

import json

from mode_ssm.recognition.checkpoint import read_checkpoint
from tests.inputs.counts import TWO_STAGES
from tests.inputs.mended import TRAIN
from tests.inputs.row import Place, Row, nothing

SHORT = f"train {TRAIN} {TWO_STAGES}"


# 12: numbers promised


def session_layer_stays(place: Place) -> object:
    """Whether the session layer is the identity still."""
    model = read_checkpoint(place.at / "new" / "checkpoints" / "last.safetensors").model
    return not any(model[f"preprocessor.session.{name}"].any() for name in ("bias", "gain", "up"))


DECAYING = f"{SHORT} preprocessor.session_layer=low_rank training.optimizer.weight_decay=10 training.learn"
NUMBERS = [
    Row(12, "a layer that does not learn", nothing, f"{DECAYING}=[ctc_head]", 0, "", session_layer_stays, True),
    Row(12, "a layer that learns", nothing, f"{DECAYING}=[session]", 0, "", session_layer_stays, False),
    Row(
        12, "a precision that is none", nothing, f"{SHORT} training.precision=fp16", 2, "there are 32-true, bf16-mixed"
    ),
]


# 16: the scale of the losses


def scales(place: Place) -> object:
    """Whether the transducer's loss of the last update is in nats per label: of 5 to 20 labels, as a trial here has."""
    lines = (place.at / "new" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    last = [record for record in map(json.loads, lines) if record["kind"] == "update"][-1]
    return 5 < last["loss_rnnt_raw"] / last["loss_rnnt"] < 20


def scaling_of(place: Place) -> object:
    config = read_checkpoint(place.at / "new" / "checkpoints" / "last.safetensors").config
    return config.losses.rnnt_scaling.value


SEQUENCE = "losses.rnnt_scaling=sequence_length"
LOSSES = [
    Row(16, "the default", nothing, SHORT, 0, "", scaling_of, "label_length"),
    Row(16, "the default's loss", nothing, SHORT, 0, "RNN-T/CTC ratio", scales, True),
    Row(16, "the first user's", nothing, f"{SHORT} {SEQUENCE}", 0, "", scaling_of, "sequence_length"),
    Row(16, "a scale that is none", nothing, f"{SHORT} losses.rnnt_scaling=frames", 2, "it needs one of sequence_l"),
]


# 4: weights of another run and the network that they are for

WEIGHTS = [
    Row(4, "weights of a run", nothing, f"{SHORT} init={{run}}", 0, ("Starting with", "!begin anew")),
    Row(
        4, "weights of another width", nothing, f"{SHORT} init={{run}} predictor.width=12", 0, "41x8 there, 41x12 here"
    ),
    Row(4, "weights that are not there", nothing, f"{SHORT} init={{at}}/gone", 2, "gone does not exist"),
    Row(4, "a part that is none", nothing, f"{SHORT} training.learn=[head]", 2, "there are participant, session, pre"),
]

ROWS = (*NUMBERS, *LOSSES, *WEIGHTS)
