"""The formats of an artifact: what people read about them, and the options that each takes.

The page, the API and the demo list what stands here. The worker finds the forms that a format holds under the same name
in `workers/export/forms.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict


class NoOptions(BaseModel):
    """A format that leaves nothing to choose."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Format:
    """One format."""

    name: str
    title: str
    description: str
    options: type[BaseModel] = NoOptions
    """Declared as all parameters are: `edgewise.spec.fields`."""


FORMATS = {
    row.name: row
    for row in (
        Format(
            "binary",
            "Binary",
            "SavedModel and TFLite side by side, for a computer with CPU or GPU: whichever runner your program or "
            "notebook names, it runs.",
        ),
        Format(
            "savedmodel",
            "SavedModel",
            "For TensorFlow, and SavedModelRunner of nengo-edge: whole clips of audio in, one score for each label "
            "out.",
        ),
        Format(
            "tflite",
            "TFLite",
            "For streams, and TFLiteRunner of nengo-edge: a feature extractor and a network that take audio as it "
            "comes and keep their state in between.",
        ),
    )
}
