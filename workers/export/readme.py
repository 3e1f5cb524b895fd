"""The README of an artifact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from edgewise.spec import client
from edgewise.spec.detection import OperatingPoint
from workers.engine.weights import TrainedNetwork
from workers.export.proof import Evidence, Proof, allowed

if TYPE_CHECKING:
    from workers.export.artifact import Origin


def readme(
    trained: TrainedNetwork, evidence: Evidence, proofs: tuple[Proof, ...], point: OperatingPoint, origin: Origin
) -> str:
    """Say how to run the artifact, what it hears, how well, and under which licences."""
    sections = (
        _head(trained, origin),
        _library_usage(trained) if proofs[0].form.startswith("C library") else _client_usage(trained, proofs),
        _scores(trained, point),
        _accuracy(trained, evidence, proofs),
        _licences(trained, origin),
    )
    return "\n".join(sections)


def _head(trained: TrainedNetwork, origin: Origin) -> str:
    return f"""\
# Keyword spotter: {", ".join(trained.labels)}

Network {trained.spec.title}, trained with Edgewise {origin.version}, seed {origin.seed}.

- run {origin.run}
- dataset {origin.dataset}, revision {origin.revision}
- weights SHA-256 {origin.weights_sha256}
"""


def _client_usage(trained: TrainedNetwork, proofs: tuple[Proof, ...]) -> str:
    rate, stride = trained.preprocessing.sample_rate, trained.preprocessing.window_stride_ms
    runner = "TFLiteRunner" if any(proof.form.startswith("TFLite") for proof in proofs) else "SavedModelRunner"
    streaming = f"""
`TFLiteRunner` keeps its state between calls, so a stream can be given in chunks of at least {stride:g} ms each.
Every call returns the scores of the newest audio, and the result does not depend on how the stream is cut. Call
`reset_state()` before each new stream. A stream whose first chunk is shorter than one window begins with silence.
"""
    is_int8 = any("int8" in proof.form for proof in proofs)
    integers = """ The network of TFLite computes in integers of 8 bits, so
its scores are not the same to the digit, but the labels must be."""
    return f"""\
## Run it

In this folder, with Python 3.11, and any mono recording at {rate:,} Hz:

```sh
{client.INSTALLATION}
python try_it.py
```

```python
{client.program(runner)}
```
{streaming if runner == "TFLiteRunner" else ""}
`try_it.py` loads the real client and compares what it computes with `golden.npz`: ten test clips with the features and
scores that the trained network gives them.{integers if is_int8 else ""}
"""


def _library_usage(trained: TrainedNetwork) -> str:
    rate = trained.preprocessing.sample_rate
    return f"""\
## Run it

In this folder, with a C compiler, CMake, and any mono recording of 16 bits at {rate:,} Hz:

```sh
cmake -S . -B build && cmake --build build
build/spot_keywords --scores recording.wav
```

`src/` is all of the library: portable C99 that allocates nothing and needs no other library, but `sqrtf` where the
processor has no instruction for it. `src/edgewise.h` says how to call it. The state of a stream has
`EDGEWISE_STATE_BYTES`, a constant. Compile it with `-ffp-contract=off -fno-math-errno`, as `CMakeLists.txt` does. The
folder is an Arduino library, too: choose *Add .ZIP Library* in the Arduino IDE. `lib/`, if it is here, holds the
library compiled for the target that was chosen.

`edgewise_runner.py` runs the same network in float32 with numpy alone. `python try_it.py` compiles the library, runs
both, and compares them with `golden.npz`: ten test clips with the features and scores that the trained network gives
them.
"""


def _scores(trained: TrainedNetwork, point: OperatingPoint) -> str:
    rows = "\n".join(f"| {index} | `{label}` |" for index, label in enumerate(trained.labels))
    average = f", average them over the last {point.smoothing_ms} ms," if point.smoothing_ms else ""
    return f"""\
## Scores

One score (logit) for each label; of a whole clip the largest one wins. In a stream, turn the scores of each frame into
probabilities by softmax{average} and count the most probable keyword as detected when it reaches {point.threshold:g}.
Then detect nothing for {trained.clip_milliseconds:g} ms; `threshold` and `detection` in `parameters.json` hold these
numbers.

| output | label |
|---|---|
{rows}
"""


def _accuracy(trained: TrainedNetwork, evidence: Evidence, proofs: tuple[Proof, ...]) -> str:
    clips = len(evidence.audio)
    amount = f"all {clips:,}" if clips == evidence.available else f"{clips:,} of {evidence.available:,}"
    matrix = "\n".join(_confusion(trained.labels, proofs[0].report.confusion.tolist()))
    return f"""\
## Accuracy

Of these files themselves, run on {amount} test clips after they were made.
*Difference* is the largest of any score to the trained network's. With less than what is demanded there would be no
artifact.

| form | accuracy | 95 % interval | same label | difference | demanded |
|---|---|---|---|---|---|
{"".join(_form(proof) for proof in proofs)}
Rows are what was spoken, columns what {proofs[0].form} heard:

{matrix}
"""


def _form(proof: Proof) -> str:
    share = proof.report.accuracy
    return (
        f"| {proof.form} | {share.value:.2%} | {share.low:.1%} – {share.high:.1%} | {proof.agreement:.2%} "
        f"| {proof.largest_difference:.0e} | {allowed(proof.bound)} |\n"
    )


def _confusion(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> Iterator[str]:
    yield "| |" + "".join(f" `{label}` |" for label in labels)
    yield "|---|" + "---|" * len(labels)
    for label, row in zip(labels, counts, strict=True):
        yield f"| `{label}` |" + "".join(f" {count} |" for count in row)


def _licences(trained: TrainedNetwork, origin: Origin) -> str:
    notice = f"\n{trained.spec.notice}\n" if trained.spec.notice else ""
    return f"""\
## Licences

Recordings: {origin.data_licence} `golden.npz` holds ten of them.

Code: `try_it.py` is part of Edgewise, Apache-2.0. `nengo-edge` is MIT, by Applied Brain Research. The Legendre Memory
Unit is covered by patents of Applied Brain Research; a commercial product may need a licence of theirs.
{notice}"""
