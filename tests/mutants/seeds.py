"""The simulation as a check: from one seed on so many, until one goes wrong, or comes to no end."""

import os
import signal
import sys
from typing import NoReturn

from tests.simulation.history import judge
from tests.simulation.plan import draw

FOUND = 3
"""Exit status; 1 is what Python says of a program that fails."""
ENDLESS_SECONDS = 120
"""A history takes a tenth of a second."""


def found(seed: int, what: str) -> NoReturn:
    print(f"simulation, seed {seed}: {what[:100]}", flush=True)
    os._exit(FOUND)  # whatever a broken loop makes of an exception


if __name__ == "__main__":
    first, histories = map(int, sys.argv[1:])
    for seed in range(first, first + histories):
        signal.signal(signal.SIGALRM, lambda *_, seed=seed: found(seed, "no end"))
        signal.alarm(ENDLESS_SECONDS)
        if wrong := judge(draw(seed)).wrong:
            found(seed, wrong[0])
        signal.alarm(0)
