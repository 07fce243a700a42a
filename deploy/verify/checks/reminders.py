"""Nobody is reminded of what is over, or twice of one end of a clock (E2, R68)."""

from collections.abc import Iterator

from deploy.verify.checks.order_history import OrderHistory
from deploy.verify.observation import Observation, milliseconds
from deploy.verify.report import Violation

REMINDING = ("order", "dispute", "mediation")
WHAT = ("dispute_id", "question_id", "clock", "to", "ends_at")
"""Of one who is reminded of one end."""


def check(history: OrderHistory) -> Iterator[Violation]:
    known: dict[tuple[object, ...], Observation] = {}
    for one in reminded(history):
        said_at, ends_at = milliseconds(one.time), milliseconds(one.data["ends_at"])
        if said_at is not None and ends_at is not None and said_at >= ends_at:
            sentence = f"the {one.data['to']} is reminded at {one.time} of {one.data['clock']}, which ended before"
            yield history.violated("E2", f"{sentence}: {one.data['ends_at']}", one)
        first = known.setdefault((one.topic, *(one.data.get(name) for name in WHAT)), one)
        if first is not one:
            yield history.violated("E2", f"the {one.data['to']} is reminded twice: by {first} and by {one}", one)


def reminded(history: OrderHistory) -> Iterator[Observation]:
    for service in REMINDING:
        yield from (one for one in history.said_by(service) if one.type == f"{service}.reminded.v1")
