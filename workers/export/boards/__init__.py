"""Programs for the boards of the client: the C library with its serial protocol around it."""
