"""The stories of the rule book, each written once as a dialogue and played anywhere: in memory or on the real stack."""
