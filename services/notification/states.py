"""What it knows of an order (R49).

`Unplaced`: the order's events overtook its `order.placed` and wait. `Known`: there is somebody to write to.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from schemas.common import Party, PolicyRef, Reason
from schemas.dispute.events import DisputeModified, DisputeRequested, MessageSent
from schemas.mediation.events import MediationAssigned
from schemas.mediation.shapes import Mediator
from schemas.notification.events import (
    ClaimHeard,
    CompletionHeard,
    Hastened,
    HeldEvent,
    Introduced,
    LookedUp,
    LookupQueued,
    MediatorIntroduced,
    NotificationFailed,
    NotificationSent,
    Postponed,
    Queued,
    Taken,
    WebhookQueued,
)
from schemas.notification.shapes import Purchase, ToldRecipient
from schemas.order.events import Completed
from schemas.wire import Event

AnyQueued = Queued | WebhookQueued | LookupQueued
EventKey = tuple[str, str, datetime]
"""Its id, type and instant: what was queued before it had the id is known by the others."""
D = TypeVar("D")


def event_key(queued: AnyQueued) -> EventKey:
    """What all deliveries of one event have in common."""
    return queued.event_id, queued.event_type, queued.event_at


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """A delivery in the queue."""

    queued: AnyQueued
    attempts: int
    next_attempt_at: datetime

    @property
    def is_awaited(self) -> bool:
        """Whether what is told of its event waits for it: what its first attempt comes to is not known, and nothing
        holds that back."""
        is_held_back = isinstance(self.queued, Queued) and self.queued.not_before is not None
        return self.attempts == self.queued.attempts and not is_held_back


@dataclass(frozen=True, slots=True)
class TakenDelivery:
    """A delivery that its server has, while no record says so."""

    event: EventKey
    told: ToldRecipient


@dataclass(frozen=True, slots=True)
class Unplaced:
    held: tuple[HeldEvent, ...]


@dataclass(frozen=True, slots=True)
class Known:
    buyer: Party
    seller: Party
    purchase: Purchase
    policy: PolicyRef
    mediators: Mapping[str, Mediator] = field(default_factory=dict)
    """Dispute -> who sits in its newest round."""
    reasons: Mapping[str, Reason] = field(default_factory=dict)
    """Dispute -> why the buyer disputes."""
    pending: Mapping[str, PendingDelivery] = field(default_factory=dict)
    taken: Mapping[str, TakenDelivery] = field(default_factory=dict)
    """What is told as soon as nothing more is awaited of its event."""
    completed: CompletionHeard | None = None
    """What was told of it last."""
    message_letters: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    """Dispute and role -> when his newest letter about messages goes out, or went."""
    given_up: Mapping[str, PendingDelivery] = field(default_factory=dict)
    """What nobody has been told: an operator can have it sent again (R80)."""
    ended_before: frozenset[str] = frozenset()
    """Deliveries to endpoints of people's own of whose end it heard before it knew of them, since its database was put
    back: whoever is looked up anew is not told again."""

    def to_be_told(self) -> Mapping[EventKey, Sequence[ToldRecipient]]:
        """By event: whose deliveries were taken, where nothing more of the event is awaited."""
        awaited = {event_key(one.queued) for one in self.pending.values() if one.is_awaited}
        told: dict[EventKey, list[ToldRecipient]] = {}
        for one in self.taken.values():
            if one.event not in awaited:
                told.setdefault(one.event, []).append(one.told)
        return told


State = Unplaced | Known


def learnt(event: Any) -> MediatorIntroduced | ClaimHeard | CompletionHeard | None:
    match event:
        case Completed(refund_minor=refund_minor, release_minor=release_minor):
            return CompletionHeard(refund_minor=refund_minor, release_minor=release_minor)
        case MediationAssigned():
            return MediatorIntroduced(dispute_id=event.dispute_id, mediator=event.mediator)
        case DisputeRequested() | DisputeModified() if event.reason is not None:
            return ClaimHeard(dispute_id=event.dispute_id, reason=event.reason)
    return None


def evolve(state: State | None, event: Event) -> State | None:
    match state, event:
        case None, HeldEvent():
            return Unplaced((event,))
        case Unplaced(held), HeldEvent():
            return Unplaced((*held, event))
        case None | Unplaced(), Introduced():
            return Known(event.buyer, event.seller, event.purchase, event.policy)
        case Known(mediators=mediators), MediatorIntroduced():
            return replace(state, mediators={**mediators, event.dispute_id: event.mediator})
        case Known(), CompletionHeard():
            return replace(state, completed=event)
        case Known(reasons=reasons), ClaimHeard():
            return replace(state, reasons={**reasons, event.dispute_id: event.reason})
        case Known(pending=pending), Queued() | WebhookQueued() | LookupQueued():
            not_before = event.not_before if isinstance(event, Queued) else None
            begun = PendingDelivery(event, event.attempts, not_before or event.event_at)
            return replace(
                state,
                pending={**pending, event.delivery_id: begun},
                given_up=_without(state.given_up, event.delivery_id),
                message_letters=_letters_about_messages(state.message_letters, event),
            )
        case Known(pending=pending), Postponed(attempts=attempts, next_attempt_at=at) if event.delivery_id in pending:
            postponed = replace(pending[event.delivery_id], attempts=attempts, next_attempt_at=at)
            return replace(state, pending={**pending, event.delivery_id: postponed})
        case Known(pending=pending), Hastened(next_attempt_at=at) if event.delivery_id in pending:
            hastened = replace(pending[event.delivery_id], next_attempt_at=at)
            return replace(state, pending={**pending, event.delivery_id: hastened})
        case Known(pending=pending, given_up=given_up), NotificationFailed() if event.delivery_id in pending:
            ended = replace(pending[event.delivery_id], attempts=event.attempts)
            return replace(
                state,
                pending=_without(pending, event.delivery_id),
                given_up={**given_up, event.delivery_id: ended},
            )
        case Known(pending=pending, taken=taken), Taken(told=told) if told.delivery_id in pending:
            done = TakenDelivery(event_key(pending[told.delivery_id].queued), told)
            return replace(state, pending=_without(pending, told.delivery_id), taken={**taken, told.delivery_id: done})
        case Known(), NotificationFailed(endpoint_id=str()):
            return replace(state, ended_before=state.ended_before | {event.delivery_id})
        case Known(pending=pending), LookedUp():
            return replace(state, pending=_without(pending, event.delivery_id))
        case Known(), NotificationSent():
            return _told(state, event.recipients)
    return state


def _told(state: Known, recipients: Collection[ToldRecipient]) -> Known:
    ids = [one.delivery_id for one in recipients]
    begun = state.pending.keys() | state.taken.keys()
    unknown = {one.delivery_id for one in recipients if one.endpoint_id is not None} - begun
    return replace(
        state,
        pending=_without(state.pending, *ids),
        taken=_without(state.taken, *ids),
        ended_before=state.ended_before | unknown,
    )


def _letters_about_messages(
    known: Mapping[tuple[str, str], datetime], queued: AnyQueued
) -> Mapping[tuple[str, str], datetime]:
    if not isinstance(queued, Queued) or queued.event_type != MessageSent.type or queued.attempts:
        return known
    return {**known, (queued.facts["dispute_id"], queued.recipient.role): queued.not_before or queued.event_at}


def _without(deliveries: Mapping[str, D], *delivery_ids: str) -> Mapping[str, D]:
    return {key: one for key, one in deliveries.items() if key not in delivery_ids}
