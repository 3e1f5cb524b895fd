"""Tasks that networks are judged by: labelled clips, divided into training, validation and test.

| task | trains on | is tested on |
|---|---|---|
| `digits` | ten digits of six speakers | other takes of the same speakers |
| `wake` | five wake words of about fifty people | other people |
| `speakers` | ten digits of five speakers | the sixth, each in turn |
| `voices` | five synthetic words, half of the voices | the other half |
| `synthetic-to-real` | ten synthetic digits | all recorded digits |

`<silence>` and `<unknown>` have as many clips as a keyword has, so that accuracy is the mean over balanced classes.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from edgewise.spec.dataset import SILENCE, SPLITS, UNKNOWN, DatasetParameters
from edgewise.spec.synthesis import SynthesisParameters
from workers.engine.audio import PackWriter, resampled_pack
from workers.engine.data import Clips, TrainingData, cut_silence, join
from workers.engine.errors import EngineError
from workers.engine.ingest import IngestedClip, ingest, published_split
from workers.engine.speech import EspeakSynthesizer, speak_words

ARCHIVES = Path(os.environ.get("EDGEWISE_TEST_AUDIO", Path(__file__).resolve().parents[3] / "shared" / "data"))
"""The folder with the archives of real recordings: `EDGEWISE_TEST_AUDIO`, or beside the checkout."""
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
WAKE_WORDS = ("alexa", "computer", "jarvis", "snowboy", "smart_mirror")
DIRECTIONS = ("up", "down", "left", "right", "stop")

RECORDINGS = "spoken_words.tar.gz"
MORE_DIGITS = "digits_8khz.tar.gz"
SYNTHETIC_DIRECTIONS = 300
SYNTHETIC_DIGITS = 600
"""Clips of each synthetic word: about one by each voice where the test is recorded speech."""
SAMPLE_RATE = 16000
BALANCED = {"silence_percentage": 100, "unknown_percentage": 100}
TAKE = re.compile(r"\d_(?P<speaker>[a-z]+)_\d+")
"""Names in the Free Spoken Digit Dataset: `<digit>_<speaker>_<take>`."""


@dataclass(frozen=True)
class Word:
    """What is known of one clip."""

    name: str
    label: str
    speaker: str
    split: str


@dataclass(frozen=True)
class Corpus:
    """Words, a row of `clips` for each, and noise, all at `SAMPLE_RATE`."""

    words: tuple[Word, ...]
    clips: Clips
    noise: Clips

    def __add__(self, other: Corpus) -> Corpus:
        return Corpus(self.words + other.words, join(self.clips, other.clips), join(self.noise, other.noise))

    def divided(self, split_of: Callable[[Word], str]) -> Corpus:
        """Return the same words in other splits."""
        return replace(self, words=tuple(replace(word, split=split_of(word)) for word in self.words))


def load_task(name: str, recordings: Path, folder: Path) -> dict[str, TrainingData]:
    """Make the data of a task: one part, or, for `speakers`, one for each speaker that is left out.

    Args:
        name: one of `TASKS`.
        recordings: the folder with the archives of real recordings.
        folder: takes the packs; they stay valid as long as it is there.

    Raises:
        EngineError: an archive is missing or damaged, or this machine cannot speak.
    """
    return TASKS[name](recordings, folder)


# --- tasks ------------------------------------------------------------------------------------------------------------


def digits(recordings: Path, folder: Path) -> dict[str, TrainingData]:
    """Give the digits as the archive divides them, by take: every speaker is in every split."""
    corpus = read(recordings / RECORDINGS, folder)
    return {"digits": training_data(corpus, _recipe(DIGITS))}


def wake(recordings: Path, folder: Path) -> dict[str, TrainingData]:
    """Give five wake words as the archive divides them, by the published rule: nobody is in two splits."""
    corpus = read(recordings / RECORDINGS, folder)
    return {"wake": training_data(corpus, _recipe(WAKE_WORDS, clip_duration_ms=1500))}


def speakers(recordings: Path, folder: Path) -> dict[str, TrainingData]:
    """Leave out each speaker of the digits in turn, named by the archive's hash.

    The takes of the other five that the archives set aside for validation choose the best checkpoint. A sixth part of
    so few voices is dear: a speaker who only validated would be missing in training.
    """
    corpus = read(recordings / RECORDINGS, folder) + read(recordings / MORE_DIGITS, folder)
    voices = sorted({word.speaker for word in corpus.words if word.label in DIGITS})
    recipe = _recipe(DIGITS)
    return {voice: training_data(corpus.divided(_without(voice)), recipe) for voice in voices}


def _without(voice: str) -> Callable[[Word], str]:
    """Let one voice be the test; whoever says no digit stays in the archive's split."""

    def split_of(word: Word) -> str:
        if word.label not in DIGITS:
            return word.split
        if word.speaker == voice:
            return "test"
        return "validation" if word.split == "validation" else "train"

    return split_of


def voices(recordings: Path, folder: Path) -> dict[str, TrainingData]:
    """Train on one half of the synthetic voices and test on the other; a fifth of the first half validates.

    A voice here is espeak-ng's variant: the same variant with another accent would be no new voice.
    """
    corpus = speak(DIRECTIONS, SYNTHETIC_DIRECTIONS, folder)
    names = sorted({_variant(word) for word in corpus.words}, key=_draw)
    half = len(names) // 2
    validating, testing = set(names[: half // 5]), set(names[half:])

    def split_of(word: Word) -> str:
        variant = _variant(word)
        return "test" if variant in testing else "validation" if variant in validating else "train"

    return {"voices": training_data(corpus.divided(split_of), _recipe(DIRECTIONS))}


def _variant(word: Word) -> str:
    return word.speaker.rpartition("+")[2]


def synthetic_to_real(recordings: Path, folder: Path) -> dict[str, TrainingData]:
    """Train and validate on synthetic digits and noise; test on all recorded digits, with real noise and words."""
    recipe = _recipe(DIGITS)
    spoken = speak(DIGITS, SYNTHETIC_DIGITS, folder)
    real = read(recordings / RECORDINGS, folder) + read(recordings / MORE_DIGITS, folder)
    synthetic = training_data(spoken.divided(_never_test), recipe)
    return {"synthetic-to-real": replace(synthetic, test=training_data(real.divided(lambda word: "test"), recipe).test)}


def _never_test(word: Word) -> str:
    return "train" if word.split == "test" else word.split


TASKS: dict[str, Callable[[Path, Path], dict[str, TrainingData]]] = {
    "digits": digits,
    "wake": wake,
    "speakers": speakers,
    "voices": voices,
    "synthetic-to-real": synthetic_to_real,
}


def _recipe(keywords: Sequence[str], clip_duration_ms: int = 1000) -> DatasetParameters:
    return DatasetParameters(keywords=list(keywords), clip_duration_ms=clip_duration_ms, **BALANCED)


# --- where words come from --------------------------------------------------------------------------------------------


def read(archive: Path, folder: Path) -> Corpus:
    """Read recordings in one of the layouts of `workers.engine.ingest`.

    Raises:
        EngineError: the archive is missing, or cannot be read.
    """
    if not archive.is_file():
        raise EngineError(
            "no-recordings",
            f"There is no {archive.name} in {archive.parent}.",
            f"Set EDGEWISE_TEST_AUDIO to the folder of {RECORDINGS} and {MORE_DIGITS}, or choose the task `voices`, "
            "which needs no recordings.",
        )
    found = ingest(archive, folder, lambda files, share: None, lambda: None)
    pack, places = resampled_pack(
        found.pack, [(clip.offset, clip.length, clip.sample_rate) for clip in found.clips], SAMPLE_RATE, folder
    )
    return _corpus(pack, [(_word(clip), *place) for clip, place in zip(found.clips, places, strict=True)])


def speak(words: Sequence[str], clips_per_word: int, folder: Path) -> Corpus:
    """Speak words, other words and noises; the split of a word is that of its voice."""
    rows = []
    asked = SynthesisParameters(keywords=list(words), clips_per_word=clips_per_word, near_misses=[])
    with PackWriter(folder) as pack:
        for clip in speak_words(asked, EspeakSynthesizer()):
            label = "" if clip.noise else clip.label
            word = Word(clip.name, label, clip.speaker, published_split(clip.speaker))
            rows.append((word, pack.append(clip.samples), len(clip.samples)))
    return _corpus(pack.path, rows)


def _corpus(pack: Path, rows: Iterable[tuple[Word, int, int]]) -> Corpus:
    """Put words and noise, which has no label, into tables of their own."""
    rows = list(rows)
    words = [row for row in rows if row[0].label]
    return Corpus(
        tuple(word for word, _, _ in words),
        Clips.of((pack,), [(0, offset, length, 0) for _, offset, length in words]),
        Clips.of((pack,), [(0, offset, length, 0) for word, offset, length in rows if not word.label]),
    )


def _word(clip: IngestedClip) -> Word:
    label = "" if clip.noise else clip.label
    take = TAKE.fullmatch(PurePosixPath(clip.name).stem)
    if take is None:
        return Word(clip.name, label, clip.speaker, clip.split)
    # The Speech Commands layout names the same speakers by a hash. Divided by take, as the other archive's digits are.
    speaker = hashlib.sha1(take["speaker"].encode(), usedforsecurity=False).hexdigest()[:8]
    return Word(clip.name, label, speaker, published_split(clip.name))


# --- from words to clips with labels ----------------------------------------------------------------------------------


def training_data(corpus: Corpus, recipe: DatasetParameters) -> TrainingData:
    """Label the words of each split, draw `<unknown>` from the other words, and cut `<silence>` from the noise.

    The shares of both are the recipe's, of the mean number of clips per keyword in the same split.
    """
    parts = {split: _labelled(corpus, split, recipe) for split in SPLITS}
    counts = {split: _share(corpus, split, recipe, recipe.silence_percentage) for split in SPLITS}
    silence = cut_silence(corpus.noise, counts, recipe.labels.index(SILENCE), recipe.clip_samples, recipe.seed)
    found = {split: join(parts[split], silence[split]) for split in SPLITS}
    return TrainingData(tuple(recipe.labels), recipe.sample_rate, recipe.clip_samples, **found, noise=corpus.noise)


def _labelled(corpus: Corpus, split: str, recipe: DatasetParameters) -> Clips:
    there = [(row, word) for row, word in enumerate(corpus.words) if word.split == split]
    labels = {row: recipe.labels.index(word.label) for row, word in there if word.label in recipe.keywords}
    others = [(row, word) for row, word in there if row not in labels]
    others.sort(key=lambda item: _draw(f"{recipe.seed}:{item[1].name}"))
    unknown = recipe.labels.index(UNKNOWN)
    labels |= {row: unknown for row, _ in others[: _share(corpus, split, recipe, recipe.unknown_percentage)]}
    clips = corpus.clips.select(np.array(list(labels), dtype=np.int64))
    return replace(clips, label=np.array(list(labels.values()), dtype=np.int64))


def _share(corpus: Corpus, split: str, recipe: DatasetParameters, percentage: float) -> int:
    count = sum(word.split == split and word.label in recipe.keywords for word in corpus.words)
    return max(1, round(count / len(recipe.keywords) * percentage / 100)) if count else 0


def _draw(text: str) -> bytes:
    """A random place in a row that is the same on every machine."""
    return hashlib.md5(text.encode(), usedforsecurity=False).digest()
