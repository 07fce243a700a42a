"""How a small installation runs: everything on one machine with two cores."""

PARTITIONS = 4
"""Of topics that are made. A batch costs about as much with five records as with a hundred, and twelve partitions make
three times as many batches."""
GROUPS = (("notification", "timer"), ("order", "dispute", "mediation", "refund"))
"""Who shares a process: where letters are sent, notification costs about as much as all who decide."""
