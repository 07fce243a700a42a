"""Documents that are wrong: each of them whoever checks the document has to see."""

from copy import deepcopy
from typing import Any, NamedTuple


class Mistake(NamedTuple):
    path: tuple[str | int, ...]
    value: object
    complaint: str
    """A word of what is said of it."""


MISTAKES = [
    Mistake(
        ("channels", "timer.events", "messages", "timer.rejected.v1", "$ref"), "#/components/messages/no", "not exist"
    ),
    Mistake(("operations", "refund.receive.payments.events", "action"), "subscribe", "action"),
    Mistake(("components", "securitySchemes", "scram", "type"), "scramSha1", "scram"),
    Mistake(("components", "messages", "order.ship.v1", "examples", 0, "payload", "carrier"), 7, "order.ship.v1"),
]


def made(mistake: Mistake, document: dict[str, Any]) -> dict[str, Any]:
    """The document with this mistake in it."""
    wrong = deepcopy(document)
    *way, last = mistake.path
    place: Any = wrong
    for step in way:
        place = place[step]
    assert place[last] != mistake.value
    place[last] = mistake.value
    return wrong
