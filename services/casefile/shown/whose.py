"""Whose an order is: its parties, and the mediators who have or had a seat in it."""

from collections.abc import Iterator
from dataclasses import dataclass

from schemas.mediation.events import MediationAssigned, MediationOpened
from schemas.order.events import Placed
from schemas.visibility import Viewer
from services.casefile.shown.reading import Asked, Found
from shared.kernel.codec import header
from shared.kernel.ports import Record

SEATED = (MediationOpened.type, MediationAssigned.type)


@dataclass(frozen=True, slots=True)
class Owners:
    buyer: str | None
    seller: str | None
    mediators: tuple[tuple[str, str], ...]
    """(dispute, mediator), in the order in which they were seated."""

    def may_look(self, asked: Asked) -> bool:
        """At anything of the order at all; what of it he sees, the visibility says."""
        match asked.role:
            case "buyer":
                return asked.id == self.buyer
            case "seller":
                return asked.id == self.seller
            case "mediator":
                return any(mediator == asked.id for _, mediator in self.mediators)
            case "operator":
                return True

    def person(self, role: Viewer, dispute_id: str | None = None) -> str | None:
        """Who is that in this order, and of mediators the last one, of the dispute if one is given."""
        seated = [mediator for dispute, mediator in self.mediators if dispute_id in (None, dispute)]
        return {"buyer": self.buyer, "seller": self.seller, "mediator": seated[-1] if seated else None}.get(role)


def owners(found: Found) -> Owners:
    placed = [Placed.read(record.value or b"") for record in found.records if _type(record) == Placed.type]
    buyer, seller = (placed[0].buyer.id, placed[0].seller.id) if placed else (None, None)
    return Owners(buyer, seller, tuple(_seated(found)))


def _seated(found: Found) -> Iterator[tuple[str, str]]:
    for record in found.records:
        if _type(record) in SEATED:
            model = MediationOpened if _type(record) == MediationOpened.type else MediationAssigned
            event = model.read(record.value or b"")
            if event.mediator is not None:
                yield event.dispute_id, event.mediator.id


def _type(record: Record) -> str | None:
    return header(record.headers, "ce_type")
