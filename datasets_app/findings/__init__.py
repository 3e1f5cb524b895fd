"""What the check of raw data noticed, and what to do about it."""
