"""What must hold of everything that was observed, one subject a module.

A check takes the history of an order, or the numbers of a shard, and yields what is wrong with it. It reads no topic,
no table and no clock: the verifier runs it on a running system, the simulation and the fault tests on theirs.
"""
