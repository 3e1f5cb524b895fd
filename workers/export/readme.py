"""The README of an artifact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from edgewise.spec import client
from edgewise.spec.detection import OperatingPoint
from edgewise.spec.estimates import Estimate
from edgewise.spec.proof import ProofReport, Resources, Stage
from workers.engine.weights import TrainedNetwork
from workers.export.c.targets import TARGETS
from workers.export.proof import Proof, Skipped

if TYPE_CHECKING:
    from workers.export.artifact import Origin


def readme(
    trained: TrainedNetwork,
    report: ProofReport,
    proofs: tuple[Proof | Skipped, ...],
    point: OperatingPoint,
    origin: Origin,
    compiled_for: str | None,
) -> str:
    """Say how to run the artifact, what it hears, how well, and under which licences.

    Args:
        trained: the network.
        report: what was proved.
        proofs: the same, with all figures.
        point: threshold and smoothing.
        origin: where the artifact comes from.
        compiled_for: the key in `TARGETS` of the compiled library that it holds.
    """
    sections = (
        _head(trained, origin),
        _usage(trained, proofs, compiled_for),
        _scores(trained, point),
        _accuracy(trained, report, proofs),
        _estimates(report),
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


def _usage(trained: TrainedNetwork, proofs: Sequence[Proof | Skipped], compiled_for: str | None) -> str:
    first_form = proofs[1].form  # behind the trained network itself
    if first_form.startswith("C library"):
        return _library_usage(trained, compiled_for)
    if first_form.startswith("ONNX"):
        return _onnx_usage(trained)
    return _client_usage(trained, tuple(proofs))


def _onnx_usage(trained: TrainedNetwork) -> str:
    window, stride = trained.preprocessing.window_samples, trained.preprocessing.stride_samples
    return f"""\
## Run it

In this folder, with any mono recording at {trained.preprocessing.sample_rate:,} Hz:

```sh
pip install onnxruntime soundfile
python try_it.py
```

```python
import onnxruntime, soundfile
labels = open("labels.txt", encoding="utf-8").read().splitlines()
audio, rate = soundfile.read("recording.wav", dtype="float32")
(logits,) = onnxruntime.InferenceSession("clip.onnx").run(["logits"], {{"audio": audio[None]}})
print(labels[logits.argmax()])
```

`clip.onnx` takes whole clips (clips, samples). For streams, `features.onnx` makes the features of all whole windows in
a piece of audio. Windows have {window} samples and begin {stride} samples apart, so keep what follows the first
{stride} samples of the last window, and put it before the next piece. `step.onnx` takes the features of one frame and
the states, which are zero at the start, and gives the logits and the next states in the same order; `try_it.py` shows
it. The batch may have any size. `try_it.py` compares both ways with `golden.npz`: ten test clips with the features and
scores that the trained network gives them.
"""


def _client_usage(trained: TrainedNetwork, proofs: tuple[Proof | Skipped, ...]) -> str:
    rate, stride = trained.preprocessing.sample_rate, trained.preprocessing.window_stride_ms
    runner = "TFLiteRunner" if any(proof.form.startswith("TFLite") for proof in proofs) else "SavedModelRunner"
    streaming = f"""
`TFLiteRunner` keeps its state between calls, so a stream can be given in chunks of at least {stride:g} ms each.
Every call returns the scores of the newest audio, and the result does not depend on how the stream is cut. Call
`reset_state()` before each new stream. A stream whose first chunk is shorter than one window begins with silence.
"""
    is_int8 = any("int8" in proof.form for proof in proofs)
    integers = """ The network of TFLite computes in integers of 8 bits, so
its scores are not the same to the digit, but the labels must be, of all clips but one."""
    if any("fine-tuned" in proof.form for proof in proofs):
        integers += """ Its weights were trained on with the
rounding of the device: rounded alone they lost too much."""
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


def _library_usage(trained: TrainedNetwork, compiled_for: str | None) -> str:
    rate = trained.preprocessing.sample_rate
    return f"""\
## Run it
{compiled_usage(compiled_for, rate) if compiled_for else ""}
In this folder, with a C compiler, CMake, and any mono recording of 16 bits at {rate:,} Hz:

```sh
cmake -S . -B build && cmake --build build
build/spot_keywords --scores recording.wav
```

`src/` is all of the library: portable C99 that allocates nothing and needs no other library, but `sqrtf` where the
processor has no instruction for it. `src/edgewise.h` says how to call it. The state of a stream has
`EDGEWISE_STATE_BYTES`, a constant. Compile it with `-ffp-contract=off -fno-math-errno`, as `CMakeLists.txt` does. The
folder is an Arduino library, too: choose *Add .ZIP Library* in the Arduino IDE. A CMake project of your own takes the
folder by `add_subdirectory`, and links `edgewise`.

`edgewise_runner.py` runs the same network in float32 with numpy alone. `python try_it.py` compiles the library, runs
both, and what `lib/` holds for the machine it is on, and compares them with `golden.npz`: ten test clips with the
features and scores that the trained network gives them.
"""


def compiled_usage(name: str, rate: int) -> str:
    """Say how to use the library that was compiled for a target."""
    target = TARGETS[name]
    file = f"lib/{name}/{target.file}"
    if name == "wasm":
        return f"""
`{file}` is the library for browsers, audio worklets and Node, and `edgewise_runner.js` (in Node
`edgewise_runner.mjs`) calls it:

```js
import {{ Spotter }} from "./edgewise_runner.js";
const bytes = await (await fetch("{file}")).arrayBuffer();  // in Node: fs.readFileSync("{file}")
const labels = (await (await fetch("labels.txt")).text()).trim().split("\\n");
const spotter = await Spotter.load(bytes, labels);
const keyword = spotter.feed(samples);  // a Float32Array in [-1, 1] at {rate:,} Hz, again and again; null: nothing yet
```
"""
    if target.is_archive:
        return f"""
`{file}` is the library for {target.title}. Floats are handed over as these options say, so all of your program
must be compiled with them:

```sh
arm-none-eabi-gcc {target.linking} -Isrc your_program.c {file} -lm
```
"""
    return f"""
`{file}` is the library for {target.title}: include `src/edgewise.h` and link it, or load it at run
time.
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


def _accuracy(trained: TrainedNetwork, report: ProofReport, proofs: tuple[Proof | Skipped, ...]) -> str:
    clips, available = report.test_clips, report.available_clips
    amount = f"all {clips:,}" if clips == available else f"{clips:,} of {available:,}"
    first = next(proof for proof in proofs[1:] if isinstance(proof, Proof))
    matrix = "\n".join(_confusion(trained.labels, first.report.confusion.tolist()))
    resources = "\n".join(_resources(stage.resources) for stage in report.stages if stage.resources)
    return f"""\
## Accuracy and proof

{report.verdict}

Of these files themselves, run on {amount} test clips after they were made. *Scores* and *features* are the largest
differences: of scores to the trained network's, and of features to their definition in float64, on
{report.noise}. With less than what is demanded there would be no artifact.
`report.json` holds the same for programs.

{_heading("stage", report.stages[0].columns, "demanded")}
{"".join(map(_stage, report.stages))}
{resources}
Rows are what was spoken, columns what {first.form} heard:

{matrix}
"""


def _stage(stage: Stage) -> str:
    if stage.status == "skipped":
        return f"| {stage.title} | not run: {stage.reason} |" + " |" * len(stage.columns) + "\n"
    cells = "".join(f" {text} |" for _, text in stage.columns)
    return f"| {stage.title} |{cells} {stage.demanded} |\n"


def _resources(resources: Resources) -> str:
    return (
        f"On an emulated {resources.processor}: {resources.flash_bytes:,} bytes of flash, {resources.ram_bytes:,} of "
        f"RAM, {resources.stack_bytes:,} of it stack, and {resources.instructions_per_second / 1e6:.1f} million "
        f"instructions for each second of audio.\n"
    )


def _estimates(report: ProofReport) -> str:
    rows = "".join(_estimate(estimate) for estimate in report.estimates)
    counted = any("counted" in estimate.basis for estimate in report.estimates)
    return f"""\
## Estimates for boards

Estimated from {"counted instructions" if counted else "the size of the network"}
and published results of MLPerf Tiny, never measured on these boards; error bars in brackets. Latency is that of one
decision, load and power those of one at every stride; above 100% a board does not keep up with speech. Only computing
is counted, no microphone, radio or sleep. The battery holds 1,000 mAh at 3 V.

{_heading("board", report.estimates[0].columns, "")}
{rows}"""


def _estimate(row: Estimate) -> str:
    cells = "".join(f" {text} |" for _, text in row.columns)
    return f"| {row.board} |{cells} {row.note} |\n"


def _heading(first: str, columns: Iterable[tuple[str, str]], last: str) -> str:
    names = [first, *(name.lower() for name, _ in columns), last]
    return f"| {' | '.join(names)} |\n{'|---' * len(names)}|"


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
