"""The explorer: look at the clips of raw data, hear them, and mend what is wrong with them."""
