"""What happens when ten times as much comes as the machine can take? `make overload` (tests/overload/__main__.py)."""
