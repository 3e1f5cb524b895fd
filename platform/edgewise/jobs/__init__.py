"""Jobs: everything that takes longer than a request."""
