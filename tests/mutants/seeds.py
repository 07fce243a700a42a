"""The simulation as a check: the first so many seeds, until one goes wrong."""

import sys

from tests.simulation.history import judge
from tests.simulation.plan import draw

FOUND = 3
"""Exit status; 1 is what Python says of a program that fails."""

if __name__ == "__main__":
    for seed in range(int(sys.argv[1])):
        if wrong := judge(draw(seed)).wrong:
            print(f"simulation, seed {seed}: {wrong[0][:100]}")
            sys.exit(FOUND)
