"""What is written in the commit of the events it follows from: the ledger (R22), and the operators' queue (R62)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from schemas.instants import from_ms
from schemas.refund.events import (
    DoneEvent,
    ExcessReturned,
    MovedInPart,
    RefundEvent,
    RefundSubmitted,
    ReviewAcknowledged,
    ReviewNeeded,
)
from services.refund.ledger import BookedEntry, entry
from shared.kernel.ports import Input, StoredEvent


class LedgerTable(Protocol):
    """The durable side; what it adds is part of the commit that `transaction` belongs to."""

    async def add(self, transaction: Any, booked: Sequence[BookedEntry]) -> None: ...


class Ledger:
    def __init__(self, table: LedgerTable) -> None:
        self.table = table

    async def apply(self, transaction: Any, inputs: Sequence[tuple[int, Input]], events: Sequence[StoredEvent]) -> None:
        booked = [
            BookedEntry(event.id or "", event.stream_id or "", event.type, from_ms(event.time), made)
            for event in events
            if (made := entry(event.message)) is not None
        ]
        if booked:
            await self.table.add(transaction, booked)


class MemoryLedgerTable:
    def __init__(self) -> None:
        self.entries: dict[str, BookedEntry] = {}

    async def add(self, transaction: Any, booked: Sequence[BookedEntry]) -> None:
        """Raises ValueError for an entry that is there already, as the database does."""
        for one in booked:
            if one.id in self.entries:
                raise ValueError(f"the ledger has an entry {one.id}")
            self.entries[one.id] = one


class ReviewPlace(NamedTuple):
    """By what an operator names it."""

    order_id: str
    settlement_id: str
    leg: str


class Review(NamedTuple):
    """Money that waits for an operator, and what the provider said of it last; None where he said nothing."""

    place: ReviewPlace
    since: datetime
    reason: str
    amount_minor: int
    currency: str
    due_by: datetime
    payment_key: str | None
    provider_said: str | None
    provider_amount_minor: int | None
    provider_currency: str | None
    provider_reference: str | None
    code: str | None


class ReviewTable(Protocol):
    async def change(self, transaction: Any, put: Sequence[Review], gone: Sequence[ReviewPlace]) -> None:
        """A review that is there already is told anew, but since when it waits stays."""


class ReviewQueue:
    """All money that waits for a person, and nothing else: a row from the first word that needs him until he, or the
    provider, has brought it to an end."""

    def __init__(self, table: ReviewTable) -> None:
        self.table = table

    async def apply(self, transaction: Any, inputs: Sequence[tuple[int, Input]], events: Sequence[StoredEvent]) -> None:
        changed: dict[ReviewPlace, Review | None] = {}
        for event in events:
            said = event.message
            if isinstance(said, RefundEvent):
                place = ReviewPlace(event.stream_id or "", said.settlement_id, said.leg)
                if isinstance(said, ReviewNeeded):
                    changed[place] = _review(place, said, from_ms(event.time))
                elif _ends_a_review(said):
                    changed[place] = None
        if changed:
            put = [review for review in changed.values() if review]
            await self.table.change(transaction, put, [place for place, review in changed.items() if not review])


def _ends_a_review(event: RefundEvent) -> bool:
    """Of calls only an operator's leads out of it, of what came back only the last of what was too much."""
    match event:
        case ExcessReturned():
            return event.stage == "settled"
        case RefundSubmitted():
            return event.actor is not None
        case _:
            return isinstance(event, DoneEvent | MovedInPart | ReviewAcknowledged)


def _review(place: ReviewPlace, said: ReviewNeeded, since: datetime) -> Review:
    return Review(
        place,
        since,
        said.reason,
        said.amount_minor,
        said.currency,
        said.due_by,
        said.payment_key,
        said.provider_said,
        said.provider_amount_minor,
        said.provider_currency,
        said.provider_reference,
        said.code,
    )


class MemoryReviewTable:
    def __init__(self) -> None:
        self.reviews: dict[ReviewPlace, Review] = {}

    async def change(self, transaction: Any, put: Sequence[Review], gone: Sequence[ReviewPlace]) -> None:
        for review in put:
            known = self.reviews.get(review.place, review)
            self.reviews[review.place] = review._replace(since=known.since)
        for place in gone:
            self.reviews.pop(place, None)
