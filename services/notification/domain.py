"""What becomes of an event that somebody should hear of: a delivery queued, sent, tried again, given up (R49).

Letters and webhooks wait for their servers in a queue of their own, off the bus; what came of an attempt returns as an
input.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from hashlib import blake2b
from typing import Any, Literal, assert_never

from schemas.common import Party
from schemas.dispute.events import MessageSent
from schemas.mediation.shapes import Mediator
from schemas.notification.commands import NotificationResend, NotificationResume
from schemas.notification.events import (
    CompletionHeard,
    Hastened,
    HeldEvent,
    Introduced,
    LookedUp,
    LookupQueued,
    NotificationFailed,
    NotificationRejected,
    NotificationRepeated,
    NotificationResent,
    NotificationResumed,
    NotificationSent,
    Postponed,
    Queued,
    Taken,
    WebhookQueued,
)
from schemas.notification.shapes import Problem, Purchase, Recipient, RecipientRole, ToldRecipient
from schemas.order.events import Placed
from schemas.people import Person
from schemas.visibility import view
from schemas.wire import Event, Message
from services.notification.policy import ATTEMPTS_MAX, BETWEEN_LETTERS_ABOUT_MESSAGES, LOOKED_UP_MAX, RETRY_AFTER
from services.notification.states import AnyQueued, Known, PendingDelivery, State, Unplaced, event_key, evolve, learnt
from services.notification.subscriptions import SUBSCRIPTIONS, recipients
from shared.kernel.decider import Decider, Output, Refusal
from shared.kernel.policies import Policies
from shared.kernel.ports import Input
from shared.rules.refusals import who_may

RULES = {"seller_silence", "buyer_silence", "mediation_seller_silence", "cancel_arbitration"}
"""What the order's policy says about silence and giving up: letters tell what happens if the reader does nothing."""
ATTEMPTED = "notification.attempted"
ADDRESSES = {"buyer", "seller", "mediator"}


@dataclass(frozen=True, slots=True)
class Channels:
    """By what people are reached, besides the topic: mail, webhooks about these roles, and webhooks of their own."""

    mail: bool
    webhooks: frozenset[RecipientRole] = frozenset()
    endpoints: Mapping[str, frozenset[RecipientRole]] = field(default_factory=dict)
    """URL -> about whom it is told."""
    own_webhooks: bool = False


@dataclass(frozen=True, slots=True)
class IdentifiedEvent:
    """An event of another service, and its `ce_id`."""

    event: Any
    id: str


def identified(found: Input) -> Any:
    return IdentifiedEvent(found.payload, found.id) if isinstance(found.payload, Event) else found.payload


@dataclass(frozen=True, slots=True)
class Attempted:
    """What came of one attempt; an own input. `final`: no other attempt can succeed."""

    delivery_id: str
    attempt: int
    problem: Problem | None = None
    """None: its server has taken it."""
    smtp_status: int | None = None
    final: bool = False
    http_status: int | None = None
    endpoint_ids: tuple[str, ...] = ()
    """Of a look-up: the recipient's own, as `people` says."""


def decide(
    state: State | None, command: NotificationResend, now: datetime, policies: Policies, *, channels: Channels
) -> Sequence[Output]:
    if refusal := who_may(command, {}):
        return [refusal]
    if not (command.endpoint is None or command.endpoint in channels.endpoints or channels.own_webhooks):
        return [Refusal("not_found", "No webhook endpoint of the settings has this URL.")]
    if not isinstance(state, Known):
        return [Refusal("not_found", "Nobody is known to be told of this order.")]
    anew = [one for one in state.given_up.values() if _asked_for(one, command, channels)]
    sooner = [one for one in state.pending.values() if one.next_attempt_at > now and _asked_for(one, command, channels)]
    if not anew and not sooner:
        return [Refusal("not_found", "Of what is asked for nothing was given up, and nothing waits for an attempt.")]
    return [
        NotificationResent(delivery_ids=tuple(one.queued.delivery_id for one in (*anew, *sooner))),
        *(one.queued.model_copy(update={"attempts": one.attempts}) for one in anew),
        *(Hastened(delivery_id=one.queued.delivery_id, next_attempt_at=now) for one in sooner),
    ]


def _asked_for(one: PendingDelivery, command: NotificationResend, channels: Channels) -> bool:
    queued = one.queued
    if command.delivery_id not in (None, queued.delivery_id) or (command.since and queued.event_at < command.since):
        return False
    if command.endpoint is None:
        return True
    if not isinstance(queued, WebhookQueued):
        return False
    if queued.endpoint_id is not None:
        return queued.endpoint_id == command.endpoint
    return queued.recipient.role in channels.endpoints.get(command.endpoint, ())


def react(
    state: State | None, payload: IdentifiedEvent | Attempted, now: datetime, policies: Policies, *, channels: Channels
) -> Sequence[Output]:
    match payload:
        case Attempted():
            return _attempted(state, payload, now) if isinstance(state, Known) else []
        case IdentifiedEvent(event=event):
            if isinstance(state, Known):
                # an order is placed once
                return [] if isinstance(event, Placed) else list(_tell(state, payload, now, policies, channels))
            if isinstance(event, Placed):
                return list(_introduce(state, payload, now, policies, channels))
            if recipients(event) or learnt(event):
                return [
                    HeldEvent(event_id=payload.id, event_type=event.type, event_at=now, data=event.model_dump_json())
                ]
            return []
        case _:
            assert_never(payload)


def _introduce(
    state: Unplaced | None, payload: IdentifiedEvent, time: datetime, policies: Policies, channels: Channels
) -> Iterator[Output]:
    """Now there is somebody to write to: about the order itself first, then about what came before it, in order."""
    placed: Placed = payload.event
    first = placed.lines[0]
    purchase = Purchase(currency=placed.currency, title=first.title, lines=len(placed.lines))
    introduced = Introduced(buyer=placed.buyer, seller=placed.seller, purchase=purchase, policy=placed.policy)
    yield introduced
    known: State | None = evolve(state, introduced)
    waiting = [(_reread(held), held.event_at) for held in state.held] if state else []
    for one, at in [(payload, time), *waiting]:
        assert isinstance(known, Known)
        for said in _tell(known, one, at, policies, channels):
            yield said
            known = evolve(known, said)


def _reread(held: HeldEvent) -> IdentifiedEvent:
    known = held.event_id or blake2b(held.data.encode(), digest_size=16).hexdigest()
    return IdentifiedEvent(Message.MODELS[held.event_type].read(held.data), known)


def _tell(
    state: Known, payload: IdentifiedEvent, at: datetime, policies: Policies, channels: Channels
) -> Iterator[Event]:
    """What the event teaches us, then who is told by this very record, then each delivery by another channel."""
    event = payload.event
    lesson = learnt(event)
    if isinstance(lesson, CompletionHeard) and _told_before(lesson, state.completed):
        return
    if lesson is not None:
        yield lesson
        known = evolve(state, lesson)
        assert isinstance(known, Known)
        state = known
    people = {role: person for role in recipients(event) if (person := _person(state, role, event)) is not None}
    if people and not channels.mail:
        yield _sent(event.type, at, [_by_topic(payload, role, person) for role, person in people.items()])
    is_written = channels.mail or not channels.webhooks.isdisjoint(people)
    facts = _facts(state, event, policies) if is_written else {}
    for role, person in people.items():
        yield from _deliveries(state, payload, at, role, person, facts, channels)


def _by_topic(payload: IdentifiedEvent, role: RecipientRole, person: Party | Mediator) -> ToldRecipient:
    delivery_id = _delivery_id(payload, role, "topic")
    return ToldRecipient(role=role, id=person.id, delivery_id=delivery_id, channel="topic", attempts=1)


def _sent(event_type: str, at: datetime, told: Sequence[ToldRecipient]) -> NotificationSent:
    roles = dict.fromkeys(one.role for one in told)
    return NotificationSent(
        event_type=event_type,
        event_at=at,
        template=_template(event_type),
        recipients=tuple(told),
        visible_to=(*roles, "operator"),
    )


def _template(event_type: str) -> str:
    return event_type.rpartition(".")[0]


def _told_before(completion: CompletionHeard, last: CompletionHeard | None) -> bool:
    """It is told with the totals that it has, once."""
    totals = completion.refund_minor, completion.release_minor
    return last is not None and totals == (last.refund_minor, last.release_minor)


def _deliveries(
    state: Known,
    payload: IdentifiedEvent,
    at: datetime,
    role: RecipientRole,
    person: Party | Mediator,
    facts: dict[str, Any],
    channels: Channels,
) -> Iterator[AnyQueued]:
    about: dict[str, Any] = {
        "event_id": payload.id,
        "event_type": payload.event.type,
        "event_at": at,
        "recipient": Recipient(role=role, id=person.id),
        "template": _template(payload.event.type),
    }
    if channels.mail:
        letter = Queued(
            delivery_id=_delivery_id(payload, role, "email"),
            email=person.email,
            locale=person.locale,
            time_zone=person.time_zone if isinstance(person, Party) else None,
            purchase=state.purchase,
            facts=facts,
            **about,
        )
        if isinstance(payload.event, MessageSent):
            yield from _about_messages(state, payload.event, letter)
        else:
            yield letter
    if role in channels.webhooks:
        yield WebhookQueued(delivery_id=_delivery_id(payload, role, "webhook"), facts=facts, **about)
    if channels.own_webhooks:
        yield LookupQueued(delivery_id=_delivery_id(payload, role, "own"), facts=_seen(payload.event, role), **about)


def _about_messages(state: Known, message: MessageSent, letter: Queued) -> Iterator[Queued]:
    """One at once; while the next may not go out yet, one for then, which says of all that come meanwhile that they are
    there."""
    newest = state.message_letters.get((message.dispute_id, letter.recipient.role))
    if newest is None or letter.event_at >= newest + BETWEEN_LETTERS_ABOUT_MESSAGES:
        yield letter
    elif letter.event_at >= newest:
        facts = {name: fact for name, fact in letter.facts.items() if name != "text"}
        yield letter.model_copy(
            update={"facts": facts | {"more": True}, "not_before": newest + BETWEEN_LETTERS_ABOUT_MESSAGES}
        )


def _person(state: Known, role: RecipientRole, event: Any) -> Party | Mediator | None:
    if role == "mediator":
        return state.mediators.get(event.dispute_id)
    return state.buyer if role == "buyer" else state.seller


def _delivery_id(
    payload: IdentifiedEvent, role: RecipientRole, channel: Literal["email", "topic", "webhook", "own"]
) -> str:
    """One delivery per (event, recipient, channel), the same however late it is sent: a mail that goes out again after
    a crash carries the same Message-ID, a webhook the same webhook-id."""
    return blake2b(f"{payload.id}|{role}|{channel}".encode(), digest_size=16).hexdigest()


def own_delivery_id(lookup_id: str, endpoint_id: str) -> str:
    """One delivery per (event, recipient, endpoint of his own): whichever others he has by then, and in which order."""
    return blake2b(f"{lookup_id}|{endpoint_id}".encode(), digest_size=16).hexdigest()


def _facts(state: Known, event: Event, policies: Policies) -> dict[str, Any]:
    facts = event.model_dump(mode="json", exclude=ADDRESSES)
    rules = policies.of(state.policy).model_dump(mode="json", include=RULES)
    return rules | {"claim_reason": state.reasons.get(facts.get("dispute_id", ""))} | facts


def _seen(event: Event, role: RecipientRole) -> dict[str, Any]:
    """What he may see of it. Of whom it names only the ids are kept, of himself too: no address waits anywhere."""
    seen = view(event, role).data
    return seen | {who: {"id": seen[who]["id"]} for who in ADDRESSES if isinstance(seen.get(who), dict)}


def _attempted(state: Known, attempt: Attempted, time: datetime) -> Sequence[Event]:
    """What came of it. All that was taken is told as soon as nothing more is awaited of its event; of the others, too,
    for a database that was put back may not know what was said of them."""
    pending = state.pending.get(attempt.delivery_id)
    if pending is None or attempt.attempt != pending.attempts + 1:
        return []  # an attempt of a process that had lost the order by then
    said = _outcome(state, pending.queued, attempt, time)
    after: State | None = state
    for one in said:
        after = evolve(after, one)
    assert isinstance(after, Known)
    told = after.to_be_told()
    if event_key(pending.queued) in told:
        said = [one for one in said if not isinstance(one, Taken)]
    return [*said, *(_sent(type_, at, recipients) for (_, type_, at), recipients in told.items())]


def _outcome(state: Known, queued: AnyQueued, attempt: Attempted, time: datetime) -> Sequence[Event]:
    if isinstance(queued, LookupQueued) and attempt.problem is None:
        begun = [_to_own(queued, endpoint_id) for endpoint_id in attempt.endpoint_ids]
        return [
            LookedUp(delivery_id=queued.delivery_id, endpoint_ids=attempt.endpoint_ids),
            *(one for one in begun if one.delivery_id not in state.ended_before),
        ]
    about: dict[str, Any] = {
        "delivery_id": queued.delivery_id,
        "channel": "email" if isinstance(queued, Queued) else "webhook",
        "attempts": attempt.attempt,
        "endpoint_id": queued.endpoint_id if isinstance(queued, WebhookQueued) else None,
    }
    whom = queued.recipient
    if attempt.problem is None:
        return [Taken(told=ToldRecipient(role=whom.role, id=whom.id, **about))]
    tried = attempt.attempt - queued.attempts
    if attempt.problem == "no_address" and whom.role == "mediator" and not attempt.final:
        # as ever: he reads it there
        return [Taken(told=ToldRecipient(role=whom.role, id=whom.id, **about | {"channel": "topic"}))]
    if attempt.final or tried >= (LOOKED_UP_MAX if attempt.problem == "no_address" else ATTEMPTS_MAX):
        if attempt.problem == "no_address" and not isinstance(queued, Queued):
            return [LookedUp(delivery_id=queued.delivery_id, endpoint_ids=())]  # he wants no webhooks: none is owed
        status: dict[str, Any] = {"smtp_status": attempt.smtp_status, "http_status": attempt.http_status}
        return [
            NotificationFailed(
                event_type=queued.event_type,
                event_at=queued.event_at,
                template=queued.template,
                recipient=whom,
                visible_to=(whom.role, "operator"),
                problem=attempt.problem,
                **about,
                **status,
            )
        ]
    return [
        Postponed(
            delivery_id=queued.delivery_id,
            attempts=attempt.attempt,
            next_attempt_at=time + RETRY_AFTER[tried - 1],
            problem=attempt.problem,
            smtp_status=attempt.smtp_status,
            http_status=attempt.http_status,
        )
    ]


def _to_own(lookup: LookupQueued, endpoint_id: str) -> WebhookQueued:
    same = lookup.model_dump(include={"event_id", "event_type", "event_at", "recipient", "template", "facts"})
    delivery_id = own_delivery_id(lookup.delivery_id, endpoint_id)
    return WebhookQueued(delivery_id=delivery_id, endpoint_id=endpoint_id, **same)


def decider(
    *,
    mail: bool,
    webhooks: Collection[RecipientRole] = (),
    endpoints: Mapping[str, frozenset[RecipientRole]] | None = None,
    own_webhooks: bool = False,
) -> Decider[State, NotificationResend, IdentifiedEvent | Attempted]:
    channels = Channels(mail, frozenset(webhooks), endpoints or {}, own_webhooks)
    return Decider(
        service="notification",
        commands=(NotificationResend,),
        decide=partial(decide, channels=channels),
        subscriptions=SUBSCRIPTIONS,
        entries=(Person,),
        react=partial(react, channels=channels),
        own_inputs={ATTEMPTED: Attempted},
        identify=identified,
        evolve=evolve,
        rejected=NotificationRejected,
        repeated=NotificationRepeated,
        resume=NotificationResume,
        resumed=NotificationResumed,
    )


DECIDER = decider(mail=True)
TOPIC_ONLY = decider(mail=False)
"""Where no mail server is configured: whoever reads `notification.events` tells people."""
