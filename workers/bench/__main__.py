"""`./edgewise bench`: measure, print tables, and with --json one JSON object on the last line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from edgewise.spec.network import NETWORKS
from workers.bench.figures import Figure, print_tables, to_json
from workers.bench.machine import load, machine, versions
from workers.bench.peers import DS_CNN
from workers.bench.processes import in_own_process
from workers.bench.tasks import TASKS

SPEED = ("features", "ingest", "training", "inference")
DEFAULT_CLIPS = {"ingest": 3_000, "memory": 100_000, "explorer": 100_000}
BENCHES = (*SPEED, "memory", "explorer", "accuracy", "agreement", "quality")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benches and return the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.bench == "agreement" and DS_CNN in options.network:
        parser.error(f"{DS_CNN} is a peer, of which no artifact is made: it has no form in integers")
    circumstances = {"machine": machine(), "versions": versions(), "load": load()}
    results = {}
    for bench in [options.bench] if options.bench else SPEED:
        print(f"Measuring {bench} ...", file=sys.stderr, flush=True)
        results[bench] = _measure(bench, options)
    print_tables(results, circumstances)
    if options.json:
        print(to_json(results, circumstances))
    return 0


def _measure(bench: str, options: argparse.Namespace) -> list[Figure]:
    if bench == "training":
        return in_own_process("training", "layers", threads=1) + in_own_process("training", "pipeline")
    if bench == "accuracy":
        return in_own_process(
            "accuracy", "measure", options.task, options.network, options.seeds, options.steps, threads=options.threads
        )
    if bench == "agreement":
        return in_own_process("agreement", "measure", options.task[0], options.network, options.steps)
    if bench == "quality":
        return in_own_process("quality", "measure", options.seeds, threads=1)
    if bench in DEFAULT_CLIPS:
        # What is counted is the memory of a user's run, with all its threads.
        threads = 0 if bench == "memory" else 1
        return in_own_process(bench, "measure", options.clips or DEFAULT_CLIPS[bench], threads=threads)
    return in_own_process(bench, "measure", threads=1)


def _parser() -> argparse.ArgumentParser:
    networks = [*NETWORKS, DS_CNN]
    parser = argparse.ArgumentParser(prog="./edgewise bench", description="Measure how fast and accurate Edgewise is.")
    parser.add_argument("bench", nargs="?", choices=BENCHES, help=f"default: {', '.join(SPEED)}")
    parser.add_argument("--json", action="store_true", help="results as one JSON object on the last line")
    parser.add_argument(
        "--seeds", type=int, default=3, metavar="N", help="of accuracy and quality: runs of each (default: %(default)s)"
    )
    defaults = ", ".join(f"{clips:,} of {bench}" for bench, clips in DEFAULT_CLIPS.items())
    parser.add_argument("--clips", type=int, metavar="N", help=f"of {', '.join(DEFAULT_CLIPS)} (default: {defaults})")
    accuracy = parser.add_argument_group("accuracy, agreement")
    accuracy.add_argument(
        "--task", nargs="+", choices=list(TASKS), default=["digits"], metavar="TASK", help=f"of {', '.join(TASKS)}"
    )
    accuracy.add_argument(
        "--network",
        nargs="+",
        choices=networks,
        default=["kws-large"],
        metavar="NETWORK",
        help=f"of {', '.join(networks)}",
    )
    accuracy.add_argument("--steps", type=int, default=2000, metavar="N", help="of each run (default: %(default)s)")
    accuracy.add_argument(
        "--threads", type=int, default=0, metavar="N", help="for BLAS and TensorFlow (default: as they like)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
