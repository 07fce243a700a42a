"""Bugs that somebody might really write, as small patches of our own code: each must be caught (`make mutants`)."""
