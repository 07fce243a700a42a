"""The timer service's messages: deadlines kept durably and rung after their instant (docs/RULES.md R0)."""
