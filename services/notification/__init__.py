"""Tells people what happened to their order: who hears what, the letters, and the mail that carries them (R49)."""
