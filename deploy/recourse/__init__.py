"""The case file from a terminal: each group of commands is a module with `add`, which hands its parsers in."""
