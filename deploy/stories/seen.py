"""What is heard of an order: its events as any reader of the topics sees them, and how long a day is there."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from schemas.instants import EPOCH, from_ms
from schemas.policy import Policy
from schemas.topics import SERVICES
from shared.rules import calendar

EVENT_TOPICS = tuple(f"{service}.events" for service in SERVICES)


@dataclass(frozen=True, slots=True)
class Seen:
    """One event as a reader of the topics sees it. `type` without its version, `at` its append time."""

    at: datetime
    type: str
    data: dict[str, Any]
    id: str
    causation_id: str

    @staticmethod
    def of(record: Any) -> "Seen":
        """From a record as Kafka's clients give it: headers, value, timestamp."""
        headers = {name: value.decode() for name, value in record.headers}
        return Seen(
            from_ms(record.timestamp),
            headers["ce_type"].rpartition(".")[0],
            json.loads(record.value),
            headers["ce_id"],
            headers["ce_causationid"],
        )


def day_of(rules: Policy) -> timedelta:
    """How long one of the `days` of a command takes."""
    return calendar.after(EPOCH, rules.day, rules) - EPOCH
