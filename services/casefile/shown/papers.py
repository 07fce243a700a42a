"""What was said and shown in an order, as a viewer sees it: its events, offers, files and letters."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from schemas.common import Offer
from schemas.mediation.events import MediationEvent
from schemas.notification.events import NotificationEvent, NotificationFailed, NotificationSent
from schemas.visibility import PARTIES, Viewer, may_see, told_to, view
from services.casefile.shown.looking import Look
from services.casefile.shown.shapes import EventShown, EvidenceShown, LetterShown, OfferShown
from services.casefile.shown.told import ToldEvent
from services.casefile.shown.words import event_line

SETTLES = frozenset(
    {
        "dispute.offer_accepted.v1",
        "mediation.offer_accepted.v1",
        "mediation.decided.v1",
        "mediation.defaulted.v1",
        "dispute.decided.v1",
        "dispute.cancelled.v1",
        "dispute.closed.v1",
    }
)
"""After them no offer is open, until another round says which are."""


def timeline(look: Look, dispute_id: str | None = None) -> list[EventShown]:
    """All that he sees, in order; of one dispute: but for what is of others. Letters stand apart."""
    return [
        shown(look, one)
        for one in look.seen
        if not isinstance(one.event, NotificationEvent) and dispute_id in (None, one.dispute_id or dispute_id)
    ]


def shown(look: Look, one: ToldEvent) -> EventShown:
    seen = view(one.event, look.asked.role)
    type_ = seen.type.rpartition(".")[0]
    return EventShown(
        at=one.at,
        id=one.id,
        type=type_,
        who=one.who,
        actor=one.event.actor and one.event.actor.id,
        text=event_line(type_, seen.data, look.currency, look.locale),
        dispute_id=one.dispute_id,
        unseen_by=[side for side in PARTIES if not may_see(one.event, side)],
        data=seen.data,
    )


def offers(seen: Iterable[ToldEvent], dispute_id: str) -> list[OfferShown]:
    """By their numbers (R82), open or not as far as the viewer can know."""
    known: dict[int, tuple[Offer, datetime]] = {}
    is_open: set[int] = set()
    for one in seen:
        if one.dispute_id != dispute_id:
            continue
        for offer in _offered(one.event):
            known[offer.offer_id] = (offer, known[offer.offer_id][1] if offer.offer_id in known else one.at)
            is_open = {number for number in is_open if known[number][0].by != offer.by} | {offer.offer_id}
        if one.event.type in SETTLES:
            is_open = set()
        elif one.event.type == "mediation.offer_declined.v1":
            is_open -= {one.event.offer_id}
    return [OfferShown(offer=offer, at=at, is_open=number in is_open) for number, (offer, at) in sorted(known.items())]


def _offered(event: Any) -> Iterator[Offer]:
    match event.type:
        case "dispute.opened.v1":
            yield Offer(offer_id=event.offer_id, by="buyer", terms=event.terms)
        case "dispute.offer_made.v1" | "mediation.offer_made.v1":
            yield Offer(offer_id=event.offer_id, by=event.by, terms=event.terms)
        case "dispute.escalated.v1" | "mediation.opened.v1":
            yield from event.offers


def evidence(seen: Sequence[ToldEvent], dispute_id: str) -> list[EvidenceShown]:
    """Every file of the dispute, oldest first; what its owner has put another one for stays."""
    files = [(one, file) for one in seen if one.dispute_id == dispute_id for file in getattr(one.event, "evidence", ())]
    gone = {file.supersedes for _, file in files}
    return [
        EvidenceShown(
            evidence_id=file.evidence_id,
            by=getattr(one.event, "by", None) or one.event.actor.role,
            at=one.at,
            stage=_stage(one.event),
            kind=file.kind,
            uri=file.uri,
            note=file.note,
            superseded=file.evidence_id in gone,
        )
        for one, file in files
    ]


def _stage(event: Any) -> str:
    is_judged = isinstance(event, MediationEvent) or event.status == "in_mediation"
    return "mediation" if is_judged else "dispute"


def letters(look: Look) -> list[LetterShown]:
    return [letter for one in look.seen for letter in _letters(one, look.asked.role)]


def _letters(one: ToldEvent, viewer: Viewer) -> Iterator[LetterShown]:
    match one.event:
        case NotificationSent(template=template) as sent:
            for told in told_to(sent, viewer):
                yield LetterShown(
                    at=one.at,
                    to=told.role,
                    template=template,
                    channel=told.channel,
                    status="sent",
                    delivery_id=told.delivery_id,
                )
        case NotificationFailed(recipient=recipient, template=template) as failed:
            yield LetterShown(
                at=one.at,
                to=recipient.role,
                template=template,
                channel=failed.channel,
                status="failed",
                delivery_id=failed.delivery_id,
            )
