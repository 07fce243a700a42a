"""How a small installation runs: everything on one machine with two cores."""

PARTITIONS = 4
"""Of topics that are made. A batch costs about as much with five records as with a hundred, and twelve partitions make
three times as many batches."""
GROUPS = (("order", "notification", "timer"), ("dispute", "mediation", "refund"))
"""Who shares a process. As measured the two do about as much for an order, whether it is disputed or not."""
