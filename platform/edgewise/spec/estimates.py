"""Latency, energy and battery life on named boards, estimated: docs/estimates.md tells the method and its error.

Instructions are counted in an emulator where it ran, and otherwise follow from multiply-accumulates by a rule that was
fitted to such counts. How many cycles an instruction takes, how cores compare, and what a board draws come from what
others have published; every figure names its source. Where there is no source there is no figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import exp, log, log2, sqrt

from pydantic import BaseModel, ConfigDict, Field

BATTERY_WATT_HOURS = 3.0
"""1,000 mAh at 3 V."""


class Range(BaseModel):
    """An estimate with its error bars."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    low: float
    middle: float
    high: float

    def written(self, unit: str, factor: float = 1) -> str:
        """Write it as people read it: 6.1 ms (4.2 – 9). The unit brings its space."""
        low, middle, high = (
            f"{value * factor:,.0f}" if value * factor >= 100 else f"{value * factor:.2g}"
            for value in (self.low, self.middle, self.high)
        )
        return f"{middle}{unit} ({low} – {high})"


class Estimate(BaseModel):
    """What one decision, a frame's scores, takes on a board: an estimate, not a measurement."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    board: str
    basis: str = Field(description="What it was computed from.")
    latency_ms: Range | None = Field(None, description="Of one decision; null where nothing was published.")
    load: Range | None = Field(
        None, description="Share of real time that the processor computes, at one decision per stride."
    )
    energy_uj: Range | None = Field(None, description="Of one decision; null where nothing was published.")
    power_mw: Range | None = Field(None, description="Average of computing, at one decision per stride.")
    battery_days: Range | None = Field(None, description="On 1,000 mAh at 3 V, if nothing but computing took power.")
    note: str = ""

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """Headings and texts of a table's row, after the board."""
        return (
            ("Latency", _written(self.latency_ms, " ms")),
            ("Load", _written(self.load, "%", 100)),
            ("Power", _written(self.power_mw, " mW")),
            ("Battery", _written(self.battery_days, " days")),
        )


def _written(values: Range | None, unit: str, factor: float = 1) -> str:
    return "–" if values is None else values.written(unit, factor)


@dataclass(frozen=True)
class Work:
    """What a network computes for one decision."""

    macs: float
    """Multiply-accumulates of the network."""
    fft_points: int
    stride_seconds: float
    precision: str
    """`float32` or `int8`."""
    counted: Mapping[str, float]
    """Instructions of one decision by target (`cortex-m4f` ...), where the emulator counted them."""


# --- published results ------------------------------------------------------------------------------------------------

TASK_MACS = {"kws": 2_656_768, "vww": 7_489_664, "ic": 12_501_632, "ad": 264_192}
"""Multiply-accumulates of the four networks of MLPerf Tiny, added up from their layers."""


@dataclass(frozen=True)
class Published:
    """Results of one board and runtime in MLPerf Tiny, closed division: medians of `results.txt` of each task."""

    board: str
    core: str
    megahertz: int
    source: str
    """Repository of the round under github.com/mlcommons, and folder."""
    per_second: Mapping[str, float]
    """Inferences per second by task."""
    microjoules: Mapping[str, float]
    """Energy of an inference by task."""

    def cycles_per_mac(self, task: str) -> float:
        """Cycles for each multiply-accumulate of a task."""
        return self.megahertz * 1e6 / self.per_second[task] / TASK_MACS[task]

    def milliwatts(self, task: str) -> float:
        """Average power while a task runs."""
        return self.microjoules[task] * self.per_second[task] / 1000


HALE_M0PLUS = Published(
    "NUCLEO-G0B1RE", "Cortex-M0+", 64, "tiny_results_v1.1: closed/bosch/results/NUCLEO_G0B1RE",
    {"kws": 1.472, "vww": 0.535, "ic": 0.599, "ad": 21.484}, {},
)  # fmt: skip
HALE_M4 = Published(
    "NUCLEO-L4R5ZI", "Cortex-M4", 120, "tiny_results_v1.1: closed/bosch/results/NUCLEO_L4R5ZI",
    {"kws": 15.954, "vww": 5.533, "ic": 5.586, "ad": 176.699}, {},
)  # fmt: skip
HALE_M7 = Published(
    "DISCO-F746NG", "Cortex-M7", 216, "tiny_results_v1.1: closed/bosch/results/DISCO_F746NG",
    {"kws": 54.293, "vww": 17.490, "ic": 16.242, "ad": 587.335}, {},
)  # fmt: skip
COMPILED_M4 = Published(
    "NUCLEO-L4R5ZI", "Cortex-M4", 120, "tiny_results_v1.0: closed/OctoML/results/microtvm_native/NUCLEO_L4R5ZI",
    {"kws": 6.941, "vww": 2.956, "ic": 2.570, "ad": 85.332},
    {"kws": 7950.510, "vww": 17131.583, "ic": 21342.301, "ad": 633.734},
)  # fmt: skip
"""Code that a compiler made, without hand-written kernels: the nearest to the C library."""

PUBLISHED = (HALE_M0PLUS, HALE_M4, HALE_M7, COMPILED_M4)

NRF52840_MILLIWATTS = 9.9
"""3.3 mA at 3 V: nRF52840 Product Specification, current consumption, CoreMark from flash at 64 MHz with DC/DC."""


def geometric_mean(values: Iterator[float]) -> float:
    """Return the mean of factors."""
    logarithms = [log(value) for value in values]
    return exp(sum(logarithms) / len(logarithms))


def core_ratio(core: Published, other: Published, without: str = "") -> float:
    """Cycles of a core for each cycle of another one with the same runtime, over all tasks but one."""
    tasks = (task for task in TASK_MACS if task != without)
    return geometric_mean(core.cycles_per_mac(task) / other.cycles_per_mac(task) for task in tasks)


# --- cross-validation -------------------------------------------------------------------------------------------------


def left_out_tasks() -> Iterator[tuple[str, str, float]]:
    """Predict each published latency from the other tasks of its row by multiply-accumulates alone.

    Yields:
        Source, task, and predicted by published latency.
    """
    for row in PUBLISHED:
        for task in TASK_MACS:
            others = geometric_mean(row.cycles_per_mac(other) for other in TASK_MACS if other != task)
            yield row.source, task, others / row.cycles_per_mac(task)


def left_out_cores() -> Iterator[tuple[str, str, float]]:
    """Predict each latency on another core from the Cortex-M4's, by how the cores compare in the other tasks."""
    for row in (HALE_M0PLUS, HALE_M7):
        for task in TASK_MACS:
            predicted = HALE_M4.cycles_per_mac(task) * core_ratio(row, HALE_M4, without=task)
            yield row.source, task, predicted / row.cycles_per_mac(task)


def left_out_power() -> Iterator[tuple[str, str, float]]:
    """Predict each published energy from its latency and the power of the other tasks."""
    for task in TASK_MACS:
        others = geometric_mean(COMPILED_M4.milliwatts(other) for other in TASK_MACS if other != task)
        yield COMPILED_M4.source, task, others / COMPILED_M4.milliwatts(task)


# --- from a network to a board ----------------------------------------------------------------------------------------

CYCLES_PER_INSTRUCTION = 1.4
"""Between 1, which these cores cannot beat, and 2; loads take two cycles, branches two to four, wait states more: Arm
Cortex-M4 Technical Reference Manual, instruction set summary."""
CYCLES_ERROR = 1.45

RULES = {
    # Instructions for each multiply-accumulate, and for each P log2(P) of an FFT of P points; counted in the emulator
    # for kws-small, -medium and -large, which they meet within 7 %.
    ("cortex-m4f", "float32"): (5.6, 11.0),
    ("cortex-m4f", "int8"): (5.6, 11.0),
    ("cortex-m0plus", "float32"): (197.0, 300.0),
    ("cortex-m0plus", "int8"): (14.3, 337.0),
}
RULE_ERROR = 1.1


@dataclass(frozen=True)
class Board:
    """A board that estimates are made for."""

    title: str
    megahertz: int
    target: str
    """Whose instructions it runs, or runs about as many of."""
    cycles: float
    """For each of these instructions."""
    error: float
    """Factor that the latency may be off by, the count of instructions excepted."""
    milliwatts: float | None = None
    power_error: float = 1.0
    note: str = ""


A72_CYCLES = sqrt(CYCLES_PER_INSTRUCTION / 3)
"""Between a third, since a Cortex-A72 decodes three instructions at once (Arm Cortex-A72 Software Optimization Guide),
and a Cortex-M4's."""
M7_CYCLES = CYCLES_PER_INSTRUCTION * core_ratio(HALE_M7, HALE_M4)
L4R5_MILLIWATTS = geometric_mean(COMPILED_M4.milliwatts(task) for task in TASK_MACS)

BOARDS = (
    Board("nRF52840, 64 MHz", 64, "cortex-m4f", CYCLES_PER_INSTRUCTION, CYCLES_ERROR, NRF52840_MILLIWATTS, 1.3),
    Board("STM32L4R5, 120 MHz", 120, "cortex-m4f", CYCLES_PER_INSTRUCTION, CYCLES_ERROR, L4R5_MILLIWATTS, 1.1),
    Board("STM32F746, 216 MHz", 216, "cortex-m4f", M7_CYCLES, 1.6, note="No energy was published for this board."),
    Board(
        "RP2040, 133 MHz", 133, "cortex-m0plus", CYCLES_PER_INSTRUCTION, 2.0,
        note="Wide: no result was published for this board, and it has no unit for floating point.",
    ),
    Board(
        "ESP32-S3, 240 MHz", 240, "cortex-m4f", CYCLES_PER_INSTRUCTION, 3.0,
        note="Wide: no result was published for this board; it is taken for a Cortex-M4 of its clock.",
    ),
    Board(
        "Raspberry Pi 4, 1.5 GHz", 1500, "cortex-m4f", A72_CYCLES, 3.0,
        note="Wide: no result was published for this board; it is taken to run as many instructions as a Cortex-M4, "
        "and the operating system is not counted.",
    ),
)  # fmt: skip


CORAL = Estimate(
    board="Coral USB Accelerator",
    basis="nothing",
    note="No figure: calling the accelerator takes longer than so small a network, and how long was not published. "
    "MobileNet v1, thousands of times the work, takes 2.2 ms (Coral's Edge TPU FAQ).",
)


def estimates(work: Work) -> tuple[Estimate, ...]:
    """Estimate what a network takes on each board."""
    return (*(_estimate(board, work) for board in BOARDS), CORAL)


def _estimate(board: Board, work: Work) -> Estimate:
    counted = work.counted.get(board.target)
    instructions = counted or predicted_instructions(board.target, work)
    rule_error = 1.0 if counted else RULE_ERROR
    latency = _around(instructions * board.cycles / (board.megahertz * 1e3), _together(board.error, rule_error))
    load = _times(latency, 1e-3 / work.stride_seconds)
    basis = f"{instructions:,.0f} instructions{' counted in the emulator' if counted else ', by the rule for its core'}"
    if board.milliwatts is None:
        return Estimate(board=board.title, basis=basis, latency_ms=latency, load=load, note=board.note)
    error = _together(board.error, rule_error, board.power_error)
    energy = _around(latency.middle * board.milliwatts, error)
    power = _times(energy, 1e-3 / work.stride_seconds)
    days = _around(BATTERY_WATT_HOURS * 1000 / power.middle / 24, error)
    return Estimate(
        board=board.title, basis=basis, latency_ms=latency, load=load, energy_uj=energy, power_mw=power,
        battery_days=days, note=board.note,
    )  # fmt: skip


def predicted_instructions(target: str, work: Work) -> float:
    """Instructions of one decision by the rule that was fitted to counts."""
    for_mac, for_fft = RULES[target, work.precision]
    return for_mac * work.macs + for_fft * work.fft_points * log2(work.fft_points)


def _together(*errors: float) -> float:
    """Factor of several independent errors: their logarithms add up as squares."""
    return exp(sqrt(sum(log(error) ** 2 for error in errors)))


def _around(middle: float, error: float) -> Range:
    return Range(low=_rounded(middle / error), middle=_rounded(middle), high=_rounded(middle * error))


def _times(values: Range, factor: float) -> Range:
    low, middle, high = (_rounded(value * factor) for value in (values.low, values.middle, values.high))
    return Range(low=low, middle=middle, high=high)


def _rounded(value: float) -> float:
    """Keep two digits: no estimate is more exact."""
    return float(f"{value:.1e}")
