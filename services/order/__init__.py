"""The order: what was bought, where its money is, and the only judge of whether it may be disputed (R1-R9)."""
