"""Bodies of the jobs: each loads rows, calls the engine or the exporters, and writes rows."""
