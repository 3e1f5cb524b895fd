"""Projects and runs."""
