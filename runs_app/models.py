"""Projects, runs, their curves and their results."""

from __future__ import annotations

from functools import cached_property

from django.db import models

from datasets_app.models import AtRevision, Clip, Dataset
from edgewise.accounts.models import WorkspaceRow
from edgewise.jobs.models import Job, Queue
from edgewise.spec.detection import OperatingPoint
from edgewise.spec.run import RunParameters


class Project(WorkspaceRow):
    """A heading under which runs stand together."""

    name = models.CharField(max_length=100)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "name"], name="project_names_differ")]

    def __str__(self) -> str:
        return self.name


class Run(AtRevision, Job):
    """The training of one network on one dataset, evaluated on the test split at its end."""

    KIND = "train"
    QUEUE = Queue.TRAIN

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="runs")
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="runs")
    name = models.CharField(max_length=100)
    parameters = models.JSONField(help_text="RunParameters.")
    labels = models.JSONField(help_text="Labels in the order of the network's outputs.")
    initial_weights = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="heirs")

    manifest_sha256 = models.CharField(max_length=64, blank=True, help_text="Of the list of clips that it trains on.")
    weights_sha256 = models.CharField(max_length=64, blank=True)
    best_step = models.PositiveIntegerField(null=True, blank=True)
    best_accuracy = models.FloatField(null=True, blank=True, help_text="On the validation split, at the best step.")
    training_seconds = models.FloatField(default=0, help_text="Spent in training by all attempts.")
    threshold = models.FloatField(null=True, blank=True, help_text="Of the operating point, once one was measured.")
    smoothing_ms = models.PositiveIntegerField(null=True, blank=True, help_text="Of the operating point.")

    class Meta(Job.Meta):
        constraints = [
            *Job.Meta.constraints,
            models.UniqueConstraint(fields=["project", "name"], name="run_names_differ"),
        ]

    def __str__(self) -> str:
        return self.name

    @cached_property
    def settings(self) -> RunParameters:
        """The parameters, validated."""
        return RunParameters.model_validate(self.parameters)

    @property
    def operating_point(self) -> OperatingPoint:
        """When a keyword counts as detected; the default where nothing was measured."""
        if self.threshold is None or self.smoothing_ms is None:
            return OperatingPoint()
        return OperatingPoint.model_validate({"threshold": self.threshold, "smoothing_ms": self.smoothing_ms})

    @property
    def folder(self) -> str:
        """Where its files lie in the store."""
        return f"runs/{self.pk}"

    @property
    def manifest_name(self) -> str:
        """The stored list of its clips."""
        return f"{self.folder}/manifest.json"

    @property
    def weights_name(self) -> str:
        """The stored weights of its best checkpoint; what has this name never changes."""
        return f"{self.folder}/weights/{self.weights_sha256}.npz"


class RunDraft(WorkspaceRow):
    """A run that a script is still putting together; the run that it becomes takes over its id (`drafts.py`)."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="drafts")
    dataset = models.ForeignKey(Dataset, on_delete=models.SET_NULL, null=True, related_name="+")
    name = models.CharField(max_length=100, blank=True)
    parameters = models.JSONField(default=dict, help_text="Those of RunParameters that were set.")

    def __str__(self) -> str:
        return self.name or f"Draft in {self.project}"


class Preview(AtRevision, Job):
    """Training examples of one step, as a network hears them: after augmentation, with their features as pictures."""

    KIND = "preview_examples"
    QUEUE = Queue.LIGHT
    SIZE = 10

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="previews")
    parameters = models.JSONField(help_text="Those of RunParameters that decide the batches.")
    step = models.PositiveIntegerField(help_text="The first examples of this step's batch are shown.")
    examples = models.JSONField(default=list, help_text="Label, and the clip and its name, of each example.")

    class Meta(Job.Meta):
        constraints = [
            *Job.Meta.constraints,
            models.UniqueConstraint(
                fields=["dataset", "revision", "noise_revision", "step", "parameters"],
                name="one_preview_for_each_input",
            ),
        ]

    def __str__(self) -> str:
        return f"Step {self.step} on {self.dataset}"

    @cached_property
    def settings(self) -> RunParameters:
        """The parameters, validated; those that do not decide the batches are the defaults."""
        return RunParameters.model_validate(self.parameters)

    @property
    def next_step(self) -> int:
        """The first step whose batch has none of these examples; small batches are shown one after the other."""
        return self.step + -(-self.SIZE // self.settings.batch_size)

    @property
    def folder(self) -> str:
        """Where its files lie in the store."""
        return f"previews/{self.pk}"

    def audio_name(self, number: int) -> str:
        """The stored sound of an example, counted from 0: 16-bit wav."""
        return f"{self.folder}/{number}.wav"

    def picture_name(self, number: int) -> str:
        """The stored picture of an example's features, counted from 0: PNG."""
        return f"{self.folder}/{number}.png"


class ClipMap(Job):
    """The words of a run's raw data in the plane, as the run's network hears them."""

    KIND = "map_clips"
    MOST_CLIPS = 5000

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="maps")
    weights_sha256 = models.CharField(max_length=64, blank=True, help_text="Of the network that heard the clips.")
    clip_count = models.PositiveIntegerField(default=0)
    points = models.JSONField(
        default=dict,
        help_text="Columns: clips (ids), x, y, nearest (places of the nearest clips in the columns), is_far.",
    )

    class Meta(Job.Meta):
        pass

    def __str__(self) -> str:
        return f"Map of {self.run}"


class Series(models.TextChoices):
    """Curves of a run."""

    TRAINING = "training"
    VALIDATION = "validation"


class Metric(models.Model):
    """A point of a run's curves. Its id orders the live events: a browser asks for what came after the last one."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="metrics")
    series = models.CharField(max_length=10, choices=Series.choices)
    step = models.PositiveIntegerField()
    loss = models.FloatField()
    accuracy = models.FloatField()
    learning_rate = models.FloatField(null=True, blank=True)
    steps_per_second = models.FloatField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "series", "step"], name="one_point_for_each_step")]

    def __str__(self) -> str:
        return f"{self.series} step {self.step}: loss {self.loss:.4f}"


class Evaluation(models.Model):
    """A run's results on the test split."""

    run = models.OneToOneField(Run, on_delete=models.CASCADE, related_name="evaluation")
    created_at = models.DateTimeField(auto_now_add=True)
    clips = models.PositiveIntegerField()
    accuracy = models.FloatField()
    balanced_accuracy = models.FloatField()
    loss = models.FloatField()
    confusion = models.JSONField(help_text="confusion[i][j]: clips of label i that were taken for label j.")
    report = models.JSONField(help_text="Intervals, and precision, recall, F1 and support of each label.")


class Detection(models.Model):
    """What each operating point costs: errors on long audio of the validation split (`workers/engine/detection.py`).

    `curves` holds one row for each smoothing window, with arrays over the thresholds of `edgewise.spec.detection`:
    `false_accepts`, `most_per_hour` (rate of false accepts that is not exceeded, 95 %), and `misses` of each keyword.
    """

    run = models.OneToOneField(Run, on_delete=models.CASCADE, related_name="detection")
    seconds = models.FloatField(help_text="Of audio.")
    keyword_clips = models.PositiveIntegerField(help_text="Recordings of keywords in the audio.")
    other_clips = models.PositiveIntegerField(help_text="Recordings of other words in the audio.")
    refractory_ms = models.FloatField(help_text="Time after a detection in which there is no other.")
    keywords = models.JSONField(help_text="Labels of the keywords.")
    spoken = models.JSONField(help_text="How often each keyword is in the audio.")
    curves = models.JSONField()
    suggestion = models.JSONField(help_text="OperatingPoint that the measurement suggests.")

    def __str__(self) -> str:
        return f"Detection of {self.run}"

    @property
    def hours(self) -> float:
        """Of audio."""
        return self.seconds / 3600


class Prediction(models.Model):
    """What a run made of one test clip."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="predictions")
    clip = models.ForeignKey(Clip, on_delete=models.CASCADE, related_name="+")
    offset = models.PositiveBigIntegerField(help_text="First sample of the clip that was heard; silence is cut out.")
    length = models.PositiveBigIntegerField()
    label = models.PositiveSmallIntegerField()
    predicted = models.PositiveSmallIntegerField()
    scores = models.JSONField(help_text="Probability of each label.")

    class Meta:
        indexes = [models.Index(fields=["run", "label", "predicted"])]

    @property
    def audio_address(self) -> str:
        """Where to hear what was heard: of a recording of noise only a stretch was."""
        clip = f"/api/v1/raw-data/{self.clip.raw_data_id}/clips/{self.clip_id}"
        return f"{clip}/audio?offset={self.offset}&length={self.length}"
