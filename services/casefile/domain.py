"""It decides nothing: it follows what everybody says, record by record, and is never asked."""

from typing import Any

from schemas.topics import CASE_FILE, FOLLOWED
from shared.kernel.decider import Decider, stateless

DECIDER: Decider[None, Any, Any] = Decider(service=CASE_FILE, evolve=stateless, follows=tuple(sorted(FOLLOWED)))
