"""The example that every message carries, and whom and what all of them speak of.

They tell one story: Bea buys a lamp for 12.50 EUR from Sam, it arrives broken, Mia decides that 9.00 go back.
"""

from collections.abc import Mapping
from typing import Any

from schemas.wire import AnyMessage

BUYER = {"role": "buyer", "id": "bea"}
SELLER = {"role": "seller", "id": "sam"}
MEDIATOR = {"role": "mediator", "id": "mia"}
OPERATOR = {"role": "operator", "id": "olga"}
PLATFORM = {"role": "platform", "id": "shop"}
"""Who acts. The `actor` of an event is null, as of what a deadline brought about, where nothing else is said."""

BEA = {"id": "bea", "email": "bea@example.com", "locale": "en"}
SAM = {"id": "sam", "email": "sam@example.com", "locale": "de-AT"}
MIA = {"id": "mia", "email": "mia@example.com", "locale": "en"}

POLICY = {
    "name": "aliexpress",
    "version": 1,
    "hash": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
}
TERMS = {"kind": "refund", "refund_minor": 900}
PHOTO = {
    "evidence_id": "e1",
    "kind": "photo",
    "uri": "https://files.example.com/e1.jpg",
    "media_type": "image/jpeg",
    "size_bytes": 284_913,
    "sha256": "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",
    "note": "Taken right after unpacking.",
    "supersedes": "e0",
}

_UNTIL_SHIPPED = {"name": "processing_ends", "at": "2026-03-09T09:00:00.000Z"}
TO_SHIP = [{"name": "processing_reminder", "at": "2026-03-07T09:00:00.000Z"}, _UNTIL_SHIPPED]
REMINDED_TO_SHIP = [_UNTIL_SHIPPED]
_NOTICE = {"name": "protection_reminder", "at": "2026-04-28T15:30:00.000Z"}
PROTECTED = [_NOTICE, {"name": "protection_ends", "at": "2026-05-03T15:30:00.000Z"}]
PROTECTED_IN_DISPUTE = [_NOTICE]
_ESCALATES = {"name": "auto_escalation", "at": "2026-04-04T18:45:10.250Z"}
_TO_ANSWER = {"name": "seller_first_response", "at": "2026-04-04T18:45:10.250Z"}
TO_ANSWER = [{"name": "reminder", "at": "2026-04-01T00:45:10.250Z"}, _TO_ANSWER, _ESCALATES]
REMINDED_TO_ANSWER = [_TO_ANSWER, _ESCALATES]
NEGOTIATED = [_ESCALATES]
APPEALABLE = [
    {"name": "reminder", "at": "2026-04-12T11:05:00.000Z"},
    {"name": "appeal_window", "at": "2026-04-14T11:05:00.000Z"},
]
TO_SEND_BACK = [
    {"name": "reminder", "at": "2026-04-21T23:05:00.000Z"},
    {"name": "return_ship", "at": "2026-04-24T11:05:00.000Z"},
]
TO_LOOK_AT = [
    {"name": "reminder", "at": "2026-04-26T04:00:00.000Z"},
    {"name": "return_confirm", "at": "2026-04-28T16:00:00.000Z"},
]
TO_SEND_ANEW = [
    {"name": "reminder", "at": "2026-04-21T23:05:00.000Z"},
    {"name": "replacement_ship", "at": "2026-04-24T11:05:00.000Z"},
]
TO_CONFIRM = [
    {"name": "reminder", "at": "2026-06-02T16:00:00.000Z"},
    {"name": "replacement_confirm", "at": "2026-06-17T16:00:00.000Z"},
]
_ROUND_ENDS = {"name": "mediation_max", "at": "2026-06-23T08:00:00.000Z"}
JUDGED = [{"name": "mediator_due", "at": "2026-04-10T08:00:00.000Z"}, _ROUND_ENDS]
_ASKED = {"name": "answer", "at": "2026-04-08T08:00:00.000Z"}
ASKED = [{"name": "answer_reminder", "at": "2026-04-06T02:00:00.000Z"}, _ASKED, _ROUND_ENDS]
REMINDED_TO_SAY = [_ASKED, _ROUND_ENDS]
"""Which clocks run, as `deadlines` tells them."""


def fields(**values: Any) -> Mapping[str, Any]:
    """What a message's example says itself, as JSON, by field; the rest the examples of its families say."""
    return values


def example(model: AnyMessage) -> dict[str, Any]:
    """A message of this kind as JSON, as far as the model and its families say it, in the order of the fields."""
    said: dict[str, Any] = {}
    for family in reversed(model.__mro__):
        said |= family.__dict__.get("example", {})
    return {field.alias or name: said[name] for name, field in model.model_fields.items() if name in said}
