"""Recording with the microphone of a browser: takes, and how they become clips of raw data."""
