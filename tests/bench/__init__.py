"""How many, how fast, at what cost: `make bench`. Only ratios within one run mean anything."""
