"""Benchmarks: how fast and how accurate the engine is, beside what others offer. `docs/benchmarks.md` holds results."""
