"""The order service's messages (rules R1–R9 of docs/RULES.md)."""
