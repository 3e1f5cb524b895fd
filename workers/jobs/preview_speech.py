"""Speak one example of a synthesis, and find its near misses."""

from __future__ import annotations

from datasets_app.models import SpeechPreview
from edgewise.spec.synthesis import ACCENTS, SynthesisParameters
from edgewise.wav import wav_header
from workers.attempt import Attempt
from workers.engine.speech import EspeakSynthesizer, speak_example, with_near_misses


def run(attempt: Attempt) -> None:
    """Do the job."""
    job = attempt.job
    assert isinstance(job, SpeechPreview)
    synthesizer = EspeakSynthesizer()
    asked = with_near_misses(SynthesisParameters.model_validate(job.parameters), synthesizer)
    # Another example each time: the clips of a synthesis differ from each other, too.
    example, voice = speak_example(asked.model_copy(update={"seed": job.pk.int % 2**31}), synthesizer)
    attempt.succeed(
        near_misses=asked.near_misses,
        text=example.label.replace("_", " "),
        voice=f"{ACCENTS[voice.accent]}, {voice.name.partition('+')[2]}",
        wav=wav_header(len(example.samples), example.sample_rate) + example.samples.astype("<i2").tobytes(),
    )
