"""Parameters of a run: how a network is trained, on which features, with which augmentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Tag, field_validator, model_validator

from edgewise.spec.fields import parameter, wrong
from edgewise.spec.network import NETWORKS, NetworkSpec

PREPROCESSING = "Audio preprocessing"
AUGMENTATION = "Augmentation"
TRAINING = "Training"


class AudioPreprocessing(BaseModel):
    """Features of a clip, with the names and defaults of the client, whose `parameters.json` holds just these."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    window_size_ms: float = parameter(
        40,
        title="Window",
        group=PREPROCESSING,
        unit="ms",
        ge=5,
        le=500,
        help="Length of audio behind each frame of features.",
    )
    window_stride_ms: float = parameter(
        20,
        title="Stride",
        group=PREPROCESSING,
        unit="ms",
        ge=5,
        le=500,
        help="Time from one frame of features to the next.",
    )
    mel_num_bins: int = parameter(
        40,
        title="Mel bands",
        group=PREPROCESSING,
        ge=4,
        le=128,
        help="Number of frequency bands, spaced as the ear hears them.",
    )
    dct_num_features: int = parameter(
        20,
        title="DCT features",
        group=PREPROCESSING,
        ge=0,
        le=128,
        help="Cepstral coefficients kept of each frame (MFCC). 0 feeds the mel bands themselves to the network.",
    )
    sample_rate: int = parameter(
        16000,
        title="Sample rate",
        group=PREPROCESSING,
        unit="Hz",
        ge=8000,
        le=48000,
        help="Follows from the dataset.",
    )
    mel_lower_edge_hertz: float = parameter(
        20,
        title="Lowest frequency",
        group=PREPROCESSING,
        unit="Hz",
        ge=0,
        le=20000,
        help="Lower edge of the first mel band.",
    )
    mel_upper_edge_hertz: float = parameter(
        7000,
        title="Highest frequency",
        group=PREPROCESSING,
        unit="Hz",
        ge=100,
        le=24000,
        help="Upper edge of the last mel band; at most half the sample rate.",
    )
    log_epsilon: float = parameter(
        1e-12,
        title="Log floor",
        group=PREPROCESSING,
        advanced=True,
        ge=1e-30,
        le=1,
        help="Smallest magnitude before the logarithm; keeps digital silence finite.",
    )

    @model_validator(mode="after")
    def _bands_fit_the_spectrum(self) -> Self:
        if self.mel_lower_edge_hertz >= self.mel_upper_edge_hertz:
            raise wrong("mel_lower_edge_hertz", "The lowest frequency must lie below the highest frequency.")
        if self.mel_upper_edge_hertz > self.sample_rate / 2:
            raise wrong(
                "mel_upper_edge_hertz",
                f"The highest frequency can be at most half the sample rate: {self.sample_rate // 2:,} Hz for this "
                "dataset.",
            )
        if self.dct_num_features > self.mel_num_bins:
            raise wrong(
                "dct_num_features",
                f"There can be at most as many DCT features as mel bands ({self.mel_num_bins}).",
            )
        if self.window_stride_ms > self.window_size_ms:
            raise wrong(
                "window_stride_ms",
                "The stride can be at most as long as the window, or audio between frames would be lost.",
            )
        return self

    @property
    def window_samples(self) -> int:
        """Samples of one window."""
        return round(self.sample_rate * self.window_size_ms / 1000)

    @property
    def fft_points(self) -> int:
        """Points of the Fourier transform of a window: the next power of two."""
        return 1 << (self.window_samples - 1).bit_length()

    @property
    def stride_samples(self) -> int:
        """Samples between the starts of two windows."""
        return round(self.sample_rate * self.window_stride_ms / 1000)

    @property
    def num_features(self) -> int:
        """Values of one frame: DCT features, or mel bands where there is no DCT."""
        return self.dct_num_features or self.mel_num_bins

    def num_frames(self, samples: int) -> int:
        """Whole windows in `samples` samples of audio; an incomplete one at the end does not count."""
        return max(0, 1 + (samples - self.window_samples) // self.stride_samples)

    def heard_samples(self, samples: int) -> int:
        """How many of `samples` samples its whole windows cover."""
        frames = self.num_frames(samples)
        return self.window_samples + (frames - 1) * self.stride_samples if frames else 0


class Augmentation(BaseModel):
    """Random changes of training clips, drawn anew each time a clip is seen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    noise_probability: float = parameter(
        0.8,
        title="Noise probability",
        group=AUGMENTATION,
        ge=0,
        le=1,
        help="Share of training clips that get background noise.",
    )
    noise_snr_min_db: float = parameter(
        0, title="Lowest noise ratio", group=AUGMENTATION, unit="dB", advanced=True, ge=-20, le=60,
        help="Speech-to-noise ratio of the noisiest training clips.",
    )  # fmt: skip
    noise_snr_max_db: float = parameter(
        25, title="Highest noise ratio", group=AUGMENTATION, unit="dB", advanced=True, ge=-20, le=60,
        help="Speech-to-noise ratio of the cleanest training clips that get noise.",
    )  # fmt: skip
    shift_ms: float = parameter(
        100,
        title="Shift",
        group=AUGMENTATION,
        unit="± ms",
        ge=0,
        le=2000,
        help="How far a clip is moved in time at most.",
    )
    gain_db: float = parameter(
        18,
        title="Gain",
        group=AUGMENTATION,
        unit="± dB",
        ge=0,
        le=40,
        help="How much louder or softer a clip is made at most.",
    )
    speed_percentage: float = parameter(
        12, title="Speed", group=AUGMENTATION, unit="± %", ge=0, le=50,
        help="How much faster or slower a clip is played at most; its pitch follows.",
    )  # fmt: skip
    narrowband_probability: float = parameter(
        0.4, title="Narrowband probability", group=AUGMENTATION, ge=0, le=1,
        help="Share of training clips that lose what lies above some frequency from 3 kHz up, as telephones, codecs "
        "and cheap microphones do.",
    )  # fmt: skip
    equalizer_db: float = parameter(
        6, title="Equalizer", group=AUGMENTATION, unit="± dB", ge=0, le=20,
        help="How much louder or softer parts of the spectrum are made at most: rooms and microphones differ in this.",
    )  # fmt: skip
    spec_time_masks: int = parameter(
        1, title="Time masks", group=AUGMENTATION, advanced=True, ge=0, le=10,
        help="Stretches of frames that are blanked in each clip (SpecAugment).",
    )  # fmt: skip
    spec_frequency_masks: int = parameter(
        1, title="Frequency masks", group=AUGMENTATION, advanced=True, ge=0, le=10,
        help="Groups of neighbouring features that are blanked in each clip (SpecAugment).",
    )  # fmt: skip

    @model_validator(mode="after")
    def _noise_ratios_are_ordered(self) -> Self:
        if self.noise_snr_min_db > self.noise_snr_max_db:
            raise wrong("noise_snr_min_db", "The lowest noise ratio must not exceed the highest.")
        return self


def _named_or_custom(network: Any) -> str | None:
    """Tell which kind of network is meant, so that a mistake in a custom one is not taken for an unknown name."""
    if isinstance(network, str):
        return "named"
    return "custom" if isinstance(network, Mapping | NetworkSpec) else None


Network = Annotated[
    Annotated[str, Tag("named")] | Annotated[NetworkSpec, Tag("custom")],
    Discriminator(
        _named_or_custom,
        custom_error_type="network",
        custom_error_message="The network must be the name of one, or an object with its `stages`.",
    ),
]


class TrainingParameters(BaseModel):
    """The optimisation itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    network: Network = parameter(
        "kws-small",
        title="Network",
        group="General",
        choices={name: spec.title for name, spec in NETWORKS.items()},
        help="The network to train: a named one, or a list of stages of your own.",
    )
    steps: int = parameter(
        20000, title="Training steps", group=TRAINING, ge=1, le=1_000_000,
        help="Number of weight updates. 2,000 show whether a run will succeed; 20,000 train it out.",
    )  # fmt: skip
    validation_interval: int = parameter(
        500, title="Validation interval", group=TRAINING, unit="steps", ge=1, le=1_000_000,
        help="Steps between two measurements on the validation clips; the best checkpoint is kept.",
    )  # fmt: skip
    batch_size: int = parameter(
        64, title="Batch size", group=TRAINING, unit="clips", ge=1, le=4096,
        help="Clips per step. Larger batches learn more steadily and need more memory and time.",
    )  # fmt: skip
    learning_rate: float = parameter(
        0.003, title="Learning rate", group=TRAINING, ge=1e-6, le=1,
        help="Largest step size; it rises during warm-up and falls to zero along a cosine.",
    )  # fmt: skip
    warmup_percentage: float = parameter(
        5, title="Warm-up", group=TRAINING, unit="% of steps", advanced=True, ge=0, le=90,
        help="Part of the run in which the learning rate rises from zero.",
    )  # fmt: skip
    weight_decay: float = parameter(
        0.004, title="Weight decay", group=TRAINING, advanced=True, ge=0, le=1,
        help="Pull of the weights towards zero (AdamW).",
    )  # fmt: skip
    label_smoothing: float = parameter(
        0.1, title="Label smoothing", group=TRAINING, advanced=True, ge=0, le=0.5,
        help="Probability spread over the other labels; keeps the network from being overconfident.",
    )  # fmt: skip
    dropout: float = parameter(
        0.2, title="Dropout", group=TRAINING, advanced=True, ge=0, le=0.9,
        help="Share of activations before the readout that is dropped at random in training.",
    )  # fmt: skip
    gradient_clip: float = parameter(
        2.0, title="Gradient clip", group=TRAINING, advanced=True, ge=0, le=1000,
        help="Largest norm of the gradient; 0 does not clip.",
    )  # fmt: skip
    ema_decay: float = parameter(
        0.99, title="Weight averaging", group=TRAINING, advanced=True, ge=0, le=0.9999,
        help="Decay of the moving average of the weights that is validated and deployed; 0 uses the last weights.",
    )  # fmt: skip
    early_stopping_patience: int = parameter(
        0, title="Early stopping", group=TRAINING, unit="validations", advanced=True, ge=0, le=10_000,
        help="Stop after this many validations without improvement; 0 never stops early.",
    )  # fmt: skip
    mixed_precision: bool = parameter(
        False, title="Mixed precision", group=TRAINING, advanced=True,
        help="Compute in 16 bits where that is safe. Faster on recent GPUs, slower on most CPUs.",
    )  # fmt: skip
    seed: int = parameter(
        0, title="Seed", group=TRAINING, advanced=True, ge=0, le=2**31 - 1,
        help="The same seed, data and machine give the same weights, bit by bit.",
    )  # fmt: skip

    @field_validator("network")
    @classmethod
    def _network_is_known(cls, network: str | NetworkSpec) -> str | NetworkSpec:
        if isinstance(network, str) and network not in NETWORKS:
            raise ValueError(f"There is no network {network!r}; choose one of {', '.join(NETWORKS)}.")
        return network

    @model_validator(mode="after")
    def _validates_at_least_once(self) -> Self:
        if self.validation_interval > self.steps:
            raise wrong(
                "validation_interval",
                f"The validation interval ({self.validation_interval:,}) can be at most the number of steps "
                f"({self.steps:,}).",
            )
        return self


DECIDE_BATCHES = {*AudioPreprocessing.model_fields, *Augmentation.model_fields, "batch_size", "seed"}
"""The parameters of a run that decide, with its data, what is in the batch of a step."""


class RunParameters(TrainingParameters, AudioPreprocessing, Augmentation):
    """All parameters of a run."""

    schema_version: Literal[1] = 1

    @property
    def preprocessing(self) -> AudioPreprocessing:
        """The eight parameters that travel to the device."""
        return AudioPreprocessing(**self.model_dump(include=set(AudioPreprocessing.model_fields)))

    @property
    def augmentation(self) -> Augmentation:
        """The augmentation alone."""
        return Augmentation(**self.model_dump(include=set(Augmentation.model_fields)))

    @property
    def network_spec(self) -> NetworkSpec:
        """The network's stages, whether it was named or written out."""
        return NETWORKS[self.network] if isinstance(self.network, str) else self.network
