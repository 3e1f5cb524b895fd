"""Raw data, its clips, and the datasets made of it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import models
from django.db.models import Q

from datasets_app.findings.kinds import KINDS, Kind
from edgewise.accounts.models import User, Workspace, WorkspaceRow
from edgewise.ids import new_id
from edgewise.jobs.models import Job, Queue, State
from edgewise.spec.dataset import DatasetParameters
from edgewise.spec.quality import FindingCode


class Origin(models.TextChoices):
    """Where raw data comes from."""

    UPLOADED = "uploaded"
    SPEECH_COMMANDS = "speech-commands"
    SYNTHETIC = "synthetic"
    RECORDED = "recorded"


class RawDataQuerySet(models.QuerySet["RawData"]):
    """Raw data as a workspace sees it."""

    def visible_to(self, workspace: Workspace) -> RawDataQuerySet:
        """The workspace's own, and what the administrators share with everyone."""
        return self.filter(Q(workspace=workspace) | Q(shared=True))

    def ready(self) -> RawDataQuerySet:
        """Imported completely."""
        return self.filter(import_job__state=State.SUCCEEDED)


class RawData(WorkspaceRow):
    """Recorded words, as they came: clips as rows, their samples in one pack."""

    name = models.CharField(max_length=100)
    origin = models.CharField(max_length=20, choices=Origin.choices)
    shared = models.BooleanField(default=False, help_text="Every workspace sees it.")
    pack = models.CharField(max_length=200, blank=True, help_text="Name in the store: raw/<sha256>.pcm.")
    pack_sha256 = models.CharField(max_length=64, blank=True)
    earlier_packs = models.JSONField(
        default=list, help_text="Names of packs from before clips were added: runs that heard them still read them."
    )
    clip_count = models.PositiveIntegerField(default=0)
    noise_count = models.PositiveIntegerField(default=0)
    problem_count = models.PositiveIntegerField(default=0)
    seconds = models.FloatField(default=0)
    sample_rate = models.PositiveIntegerField(default=16000, help_text="The most common rate of its clips.")
    median_milliseconds = models.PositiveIntegerField(default=1000)
    label_counts = models.JSONField(default=dict, help_text="Clips by label and split: {label: {split: clips}}.")

    objects = RawDataQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "raw data"
        constraints = [models.UniqueConstraint(fields=["workspace", "name"], name="raw_data_names_differ")]

    def __str__(self) -> str:
        return self.name

    @property
    def synthetic(self) -> bool:
        """Whether the words were spoken by a program: then only real recordings can judge a model."""
        return self.origin == Origin.SYNTHETIC

    @property
    def ready(self) -> bool:
        """Whether the import is complete."""
        return self.import_job.state == State.SUCCEEDED


class Source(models.TextChoices):
    """What an import reads."""

    UPLOAD = "upload"
    PATH = "path"
    URL = "url"
    SYNTHESIS = "synthesis"
    MICROPHONE = "microphone"


class RawDataImport(Job):
    """The job that fills raw data: from an archive, a folder, an address, takes of a microphone, or by speaking."""

    KIND = "import_raw_data"
    QUEUE = Queue.LIGHT

    raw_data = models.OneToOneField(RawData, on_delete=models.CASCADE, related_name="import_job")
    source = models.CharField(max_length=10, choices=Source.choices)
    location = models.CharField(max_length=1000, blank=True, help_text="Name in the store, path, or address.")
    options = models.JSONField(default=dict, help_text="SynthesisParameters or RecordingParameters.")

    class Meta(Job.Meta):
        pass


class SpeechPreview(Job):
    """The job that lets people hear what a synthesis would sound like, before thousands of clips are spoken."""

    KIND = "preview_speech"
    QUEUE = Queue.LIGHT

    parameters = models.JSONField(help_text="SynthesisParameters.")
    near_misses = models.JSONField(default=list, help_text="Labels that would be spoken as near misses.")
    text = models.CharField(max_length=100, blank=True, help_text="What the example says.")
    voice = models.CharField(max_length=100, blank=True, help_text="The voice that says it, for people.")
    wav = models.BinaryField(blank=True, help_text="The example; it goes with the row, a few seconds at most.")

    class Meta(Job.Meta):
        pass


class Upload(WorkspaceRow):
    """An archive on its way to the server by tus. Its bytes lie in `settings.UPLOAD_FOLDER` under its id."""

    name = models.CharField(max_length=100, blank=True, help_text="Of the raw data that the last byte begins.")
    file_name = models.CharField(max_length=255)
    size = models.PositiveBigIntegerField(help_text="Bytes when it is complete.")
    expires_at = models.DateTimeField()
    raw_data = models.OneToOneField(RawData, on_delete=models.CASCADE, null=True, related_name="upload")

    class Meta:
        indexes = [models.Index(fields=["expires_at"])]

    def __str__(self) -> str:
        return self.file_name

    @property
    def path(self) -> Path:
        """Where its bytes lie while they arrive."""
        return Path(settings.UPLOAD_FOLDER, str(self.pk))

    @property
    def location(self) -> str:
        """Its name in the store when it is complete."""
        return f"uploads/{self.pk}/{self.file_name}"

    @property
    def received(self) -> int:
        """Bytes that are safely here: what the file system says, which no crash can falsify."""
        if self.raw_data_id is None and self.path.exists():
            return self.path.stat().st_size
        return self.size if self.raw_data_id or default_storage.exists(self.location) else 0


class Split(models.TextChoices):
    """Parts of the data."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class ClipKind(models.TextChoices):
    """What a clip holds."""

    WORD = "word"
    NOISE = "noise"


class Clip(models.Model):
    """One recording: a stretch of its raw data's pack, mono, at its original rate."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    raw_data = models.ForeignKey(RawData, on_delete=models.CASCADE, related_name="clips")
    name = models.CharField(max_length=500, help_text="Path in the archive.")
    kind = models.CharField(max_length=5, choices=ClipKind.choices, default=ClipKind.WORD)
    label = models.CharField(max_length=100)
    speaker = models.CharField(max_length=200, blank=True)
    split = models.CharField(max_length=10, choices=Split.choices)
    offset = models.PositiveBigIntegerField(help_text="First sample in the pack.")
    length = models.PositiveBigIntegerField(help_text="Samples.")
    sample_rate = models.PositiveIntegerField()
    peak_dbfs = models.FloatField()
    rms_dbfs = models.FloatField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["raw_data", "name"], name="clip_names_differ")]
        indexes = [models.Index(fields=["raw_data", "kind", "label", "split"])]

    def __str__(self) -> str:
        return self.name

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.length / self.sample_rate


class Take(models.Model):
    """A clip that was recorded and kept, in a file of its own until it becomes a `Clip` with the same id."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    raw_data = models.ForeignKey(RawData, on_delete=models.CASCADE, related_name="takes")
    kind = models.CharField(max_length=5, choices=ClipKind.choices, default=ClipKind.WORD)
    label = models.CharField(max_length=100)
    speaker = models.CharField(max_length=100, blank=True)
    length = models.PositiveBigIntegerField(help_text="Samples.")
    sample_rate = models.PositiveIntegerField()
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        # Ids are UUIDv7: in the order of recording.
        ordering = ["id"]
        indexes = [models.Index(fields=["raw_data", "kind", "label"])]

    def __str__(self) -> str:
        return self.clip_name

    @property
    def file_name(self) -> str:
        """Name of its wav in the store."""
        return f"takes/{self.raw_data_id}/{self.pk}.wav"

    @property
    def clip_name(self) -> str:
        """Path that it has as a clip, in the layout of Speech Commands: it tells label and speaker."""
        speaker = f"{self.speaker}_nohash_" if self.speaker else ""
        return f"{self.label}/{speaker}{self.pk}.wav"

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.length / self.sample_rate


class EditAction(models.TextChoices):
    """What an edit does to its clips."""

    EXCLUDE = "exclude"
    INCLUDE = "include"
    RELABEL = "relabel"
    UNDO = "undo"


class ClipEdit(WorkspaceRow):
    """An entry in the log of what a workspace changed in raw data; the recordings themselves never change.

    Entries are only added, so every revision can be computed again: an undo is an entry too, and can be undone itself.
    """

    raw_data = models.ForeignKey(RawData, on_delete=models.CASCADE, related_name="edits")
    revision = models.PositiveIntegerField(help_text="1, 2, 3, … for each workspace and raw data.")
    action = models.CharField(max_length=10, choices=EditAction.choices)
    label = models.CharField(max_length=100, blank=True, help_text="Of a relabel: what the clips are said to be.")
    undoes = models.OneToOneField("self", on_delete=models.CASCADE, null=True, blank=True, related_name="undone_by")
    reason = models.CharField(max_length=200, blank=True)
    clip_count = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "raw_data", "revision"], name="one_edit_for_each_revision"),
            models.CheckConstraint(
                condition=Q(action=EditAction.RELABEL) ^ Q(label=""), name="clipedit_relabel_has_label"
            ),
            models.CheckConstraint(
                condition=Q(action=EditAction.UNDO) ^ Q(undoes__isnull=True), name="clipedit_undo_has_target"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} in revision {self.revision}"

    @property
    def sentence(self) -> str:
        """What was done, in a few words."""
        clips = f"{self.clip_count:,} clip{'' if self.clip_count == 1 else 's'}"
        return {
            EditAction.EXCLUDE: f"{clips} excluded",
            EditAction.INCLUDE: f"{clips} taken in again",
            EditAction.RELABEL: f"{clips} relabelled “{self.label}”",
            EditAction.UNDO: f"An edit of {clips} undone",
        }[EditAction(self.action)]


class ClipEditItem(models.Model):
    """One of the clips of an edit."""

    edit = models.ForeignKey(ClipEdit, on_delete=models.CASCADE, related_name="items")
    clip = models.ForeignKey(Clip, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["edit", "clip"], name="a_clip_once_in_an_edit")]


class ClipOverride(models.Model):
    """What the edits make of a clip from revision `since` on, until revision `until`: derived from the log.

    It lets one join read the clips at any revision, where a replay of the log would read all of it.
    """

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    clip = models.ForeignKey(Clip, on_delete=models.CASCADE, related_name="overrides")
    label = models.CharField(max_length=100)
    excluded = models.BooleanField()
    since = models.PositiveIntegerField()
    until = models.PositiveIntegerField(null=True, blank=True, help_text="First revision without it; none: still so.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "clip", "since"], name="one_override_since_a_revision"),
            # With all that a join asks for, so that what is in force is read without what was.
            models.UniqueConstraint(
                fields=["workspace", "clip"],
                include=["label", "excluded"],
                condition=Q(until__isnull=True),
                name="one_override_in_force",
            ),
            models.CheckConstraint(condition=Q(until__gt=models.F("since")), name="override_lasts"),
        ]


class Finding(models.Model):
    """Something that the check noticed about a clip. Whether it still matters follows from the edits."""

    raw_data = models.ForeignKey(RawData, on_delete=models.CASCADE, related_name="findings")
    code = models.CharField(max_length=40, choices=[(code.value, code.value) for code in FindingCode])
    clip = models.ForeignKey(Clip, on_delete=models.CASCADE, related_name="findings")
    other = models.ForeignKey(
        Clip, on_delete=models.CASCADE, null=True, blank=True, related_name="+",
        help_text="Another clip with the same recording, which stays.",
    )  # fmt: skip
    suggestion = models.CharField(max_length=100, blank=True, help_text="The word that is probably spoken.")
    score = models.FloatField(default=1, help_text="How sure it is; 1 is certain.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["clip", "code"], name="a_finding_once_for_a_clip")]
        indexes = [models.Index(fields=["raw_data", "code"])]

    def __str__(self) -> str:
        return f"{self.code}: {self.clip_id}"

    @property
    def kind(self) -> Kind:
        """What it means to people."""
        return KINDS[FindingCode(self.code)]


class FileProblem(models.Model):
    """A file that could not be used, why, and what to do about it."""

    raw_data = models.ForeignKey(RawData, on_delete=models.CASCADE, related_name="problems")
    name = models.CharField(max_length=500)
    code = models.CharField(max_length=50)
    reason = models.TextField()
    remedy = models.TextField()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


class AtRevision(models.Model):
    """Something that was made of a dataset, and at which revisions of its data."""

    revision = models.PositiveIntegerField(default=0, help_text="Of the raw data, as the workspace has edited it.")
    noise_revision = models.PositiveIntegerField(default=0, help_text="Of the raw data that the noise comes from.")

    class Meta:
        abstract = True


class Dataset(AtRevision, WorkspaceRow):
    """A recipe over raw data, never changed after it was made, only renamed. What it gives follows the edits of clips.

    Its revisions are those at which it was made.
    """

    raw_data = models.ForeignKey(RawData, on_delete=models.PROTECT, related_name="datasets")
    noise_source = models.ForeignKey(
        RawData, on_delete=models.PROTECT, null=True, blank=True, related_name="noise_of",
        help_text="Other raw data whose noise it uses.",
    )  # fmt: skip
    name = models.CharField(max_length=100)
    parameters = models.JSONField(help_text="DatasetParameters.")
    counts = models.JSONField(help_text="Clips by label and split, in the order of the labels: [[label, {split: n}]].")
    counted_revision = models.PositiveIntegerField(default=0, help_text="Of the raw data, when `counts` were counted.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "name"], name="dataset_names_differ")]

    def __str__(self) -> str:
        return self.name

    @cached_property
    def recipe(self) -> DatasetParameters:
        """The parameters, validated."""
        return DatasetParameters.model_validate(self.parameters)

    @property
    def noise_data(self) -> RawData:
        """The raw data that its noise comes from."""
        return self.noise_source or self.raw_data

    @property
    def labels(self) -> list[str]:
        """Labels in the order of the network's outputs."""
        return self.recipe.labels

    @property
    def totals(self) -> dict[str, int]:
        """Clips in each split."""
        return {split: sum(counts.get(split, 0) for _, counts in self._counts()) for split in Split.values}

    def _counts(self) -> list[tuple[str, dict[str, int]]]:
        rows: list[Any] = self.counts
        return [(label, counts) for label, counts in rows]
