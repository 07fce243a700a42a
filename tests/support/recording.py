"""What a case file would have of orders, from the records of a bus in memory."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from services.casefile.foresight.oracle import JUDGES
from services.casefile.foresight.remembered import in_order
from services.casefile.shown.reading import Found
from services.casefile.shown.shapes import AsOf
from shared.kernel.codec import header
from shared.kernel.ports import Record

SAID = (*(f"{service}.events" for service in JUDGES), "payments.events", "mediation.roster")
INBOXES = tuple(f"{service}.commands" for service in JUDGES)
PLACED = "order.placed.v1"


def recording(records: Iterable[Record], until: datetime) -> list[Found]:
    """Of every order that was placed. `records` in the order in which they came."""
    said: dict[str, list[Record]] = defaultdict(list)
    commands: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        key = (record.key or b"").decode()
        if record.topic in SAID:
            said[key].append(record)
        elif record.topic in INBOXES:
            commands[key].append(record)
    as_of = AsOf(at=until, records={}, behind_seconds=0)
    return [
        Found(order_id, in_order(ones), (), commands[order_id], as_of)
        for order_id, ones in said.items()
        if any(header(one.headers, "ce_type") == PLACED for one in ones)
    ]
