"""The dispute service's messages (docs/RULES.md §4)."""
