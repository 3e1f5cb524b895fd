"""Each bench measures in a process of its own."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from typing import Any

from workers.bench.figures import Figure
from workers.engine.errors import EngineError

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


def in_own_process(module: str, function: str, *arguments: object, threads: int = 0) -> list[Figure]:
    """Call a function of one of the modules beside this one in a new process.

    BLAS and TensorFlow take their number of threads when they are first imported, and what one bench leaves in memory
    must not slow the next.

    Args:
        module: its name in `workers.bench`.
        function: its name.
        arguments: of the function.
        threads: of BLAS and TensorFlow; 0: as many as they like.
    """
    with ProcessPoolExecutor(1, get_context("spawn"), _begin, (threads,)) as pool:
        return pool.submit(_call, module, function, *arguments).result()


def _begin(threads: int) -> None:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    if threads:
        os.environ.update(dict.fromkeys(THREADS, str(threads)))


def _call(module: str, function: str, *arguments: Any) -> list[Figure]:
    try:
        figures: list[Figure] = getattr(import_module(f"workers.bench.{module}"), function)(*arguments)
    except EngineError as error:
        # It would lose its reason on the way; this one ends the command with the reason alone.
        raise SystemExit(str(error)) from error
    return figures
