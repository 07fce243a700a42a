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


def fields(**values: Any) -> Mapping[str, Any]:
    """What a message's example says itself, as JSON, by field; the rest the examples of its families say."""
    return values


def example(model: AnyMessage) -> dict[str, Any]:
    """A message of this kind as JSON, as far as the model and its families say it, in the order of the fields."""
    said: dict[str, Any] = {}
    for family in reversed(model.__mro__):
        said |= family.__dict__.get("example", {})
    return {field.alias or name: said[name] for name, field in model.model_fields.items() if name in said}
