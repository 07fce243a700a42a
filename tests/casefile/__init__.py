"""The case file: what it shows of what was said, and nothing else."""
