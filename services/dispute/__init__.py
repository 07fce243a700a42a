"""The quarrel: claims, offers, returns, replacements and what a decision means (docs/RULES.md §4)."""
