"""`python -m tests.faults.broken services.order`: the order service with a bug in one of its rules, as long as the file
that RECOURSE_TEST_BUG names is there: shipping raises for orders whose id begins with `unlucky`."""

import os
import runpy
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from schemas.order.commands import Ship
from services.order import domain
from shared.kernel.decider import Output
from shared.kernel.policies import Policies

VARIABLE = "RECOURSE_TEST_BUG"
UNLUCKY = "unlucky"
decide = domain.DECIDER.decide


def decide_with_a_bug(state: Any, command: Any, now: datetime, policies: Policies) -> Sequence[Output]:
    if isinstance(command, Ship) and command.order_id.startswith(UNLUCKY) and Path(os.environ[VARIABLE]).exists():
        raise ZeroDivisionError("a rule with a bug")
    return decide(state, command, now, policies)


if __name__ == "__main__":
    domain.DECIDER = replace(domain.DECIDER, decide=decide_with_a_bug)
    runpy.run_module(sys.argv[1], run_name="__main__")
