"""What is wrong with recorded words, before anybody trains on them: duplicates, leaks, levels, labels."""
