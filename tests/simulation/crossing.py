"""Where acts cross: where it mattered how long something took, so that either outcome is right (docs/RULES.md R0).

An act is a command, or a deadline that passed. An effect is what a service said, on its way from the time of the act
that it goes back to until the broker had it. An order's acts cross where

* a service was acted on while something that others listen to was on its way;
* a service was acted on, or heard of something, while something else it had heard was not handled yet; or it heard of
  something while an act, or a bell, was on its way or not handled yet;
* another service was acted on while a bell was late;
* a command came, or another instant is, as near to an instant as that itself was late, being opened by something
  that was;
* something was on its way at midnight in Shanghai: a business day more or less;
* two orders were in mediation: they share the mediators, and who is free depends on who comes first;
* the order was not paid yet, for the payment service took its time, or never said a word (R61); or its time to ship,
  which counts from that word, would be over without that;
* the broker's clock went back: append times are no order then.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from schemas.wire import MEDIATORS_KEY, Service
from services.composition import DECIDERS
from shared.kernel.codec import header
from shared.kernel.ports import Record
from shared.runtime.partitions import partition_of
from tests.simulation.known import at, instants_of
from tests.simulation.play import PEOPLE, Played

COMPARED: tuple[Service, ...] = ("order", "dispute", "mediation")
SUBSCRIPTIONS = {service: {model.type for model in DECIDERS[service].subscriptions} for service in COMPARED}
SHANGHAI = timedelta(hours=8)
NOW = timedelta(0)


@dataclass(frozen=True, slots=True)
class Act:
    id: str
    service: str
    at: datetime
    heard: bool = False
    """Not a person's and not a deadline's: the effect of one arrives."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a service said, or a bell, on its way."""

    id: str
    root: str
    """The act it goes back to."""
    by: str
    since: datetime
    """The time of the act at its root: where nothing takes time it would have been there then."""
    began: datetime
    ended: datetime
    late: timedelta
    """By how much its cause was late already, at most."""
    heard_by: tuple[Service, ...]
    """Which of these services listen to it."""
    is_bell: bool
    instants: frozenset[datetime]

    def disturbs(self, act: Act) -> bool:
        if act.id == self.root or not self.since <= act.at <= self.ended:
            return False
        if act.service == self.by:
            return self.is_bell and act.heard
        return bool(self.heard_by) or (self.is_bell and act.at < self.ended)


@dataclass(frozen=True, slots=True)
class Handling:
    """An input that lies there and is not handled yet."""

    root: str
    service: str
    came: datetime
    handled: datetime
    own: bool
    """In the service's own inbox: other commands keep their place behind it."""

    def disturbs(self, act: Act) -> bool:
        here = act.service == self.service and act.id != self.root and (act.heard or not self.own)
        return here and self.came <= act.at <= self.handled


def crossed(played: Played, order_id: str) -> bool:
    mediated = [order for order in played.orders.values() if any(one.round for one in order.disputes.values())]
    if len(mediated) > 1 or played.world.clock_went_back:
        return True
    acts = list(_acts(played, order_id))
    if _unpaid_for_a_while(played, order_id, acts):
        return True
    effects = [_rung_again(effect, acts) for effect in _effects(played, order_id)]
    acts += [Act(effect.root, service, effect.ended, heard=True) for effect in effects for service in effect.heard_by]
    handlings = _handlings(played, order_id, {effect.id: effect.root for effect in effects})
    delays: list[Effect | Handling] = [*effects, *handlings]
    if any(one.disturbs(act) for one in delays for act in acts):
        return True
    if any((effect.began + SHANGHAI).date() != (effect.ended + SHANGHAI).date() for effect in effects):
        return True
    late: dict[datetime, timedelta] = {}
    for effect in effects:
        for instant in effect.instants:
            late.setdefault(instant, effect.late)
    if any(second - first <= max(late[first], late[second]) for first, second in pairwise(sorted(late))):
        return True
    commands = [act for act in acts if "/" not in act.id and not act.heard]
    return any(abs(act.at - instant) <= by for act in commands for instant, by in late.items() if by)


def _unpaid_for_a_while(played: Played, order_id: str, acts: Iterable[Act]) -> bool:
    """Where nothing goes wrong the word comes at once, and the time to ship is over so much earlier."""
    said = [one for one in played.world.bus.heard if one.topic == "order.events" and _belongs(one, order_id)]
    types = {header(one.headers, "ce_type"): one for one in reversed(said)}
    placed, paid = types.get("order.placed.v1"), types.get("order.paid.v1")
    if placed is None or json.loads(placed.value or b"{}").get("payment_by") is None:
        return False
    since = datetime.fromisoformat(header(placed.headers, "ce_time") or "")  # of the command: then the word would come
    if paid is None or (since + SHANGHAI).date() != (at(paid.timestamp) + SHANGHAI).date():
        return True
    opened = ("order.paid.v1", "order.processing_extended.v1")
    contents = [json.loads(one.value or b"{}") for one in said if header(one.headers, "ce_type") in opened]
    ends = [datetime.fromisoformat(one["processing_ends_at"]) for one in contents]
    delay = at(paid.timestamp) - since
    spans = [(since, since + delay), *((end - delay, end) for end in ends)]
    return any(begin <= act.at <= end for begin, end in spans for act in acts if "/" not in act.id)


def _handlings(played: Played, order_id: str, roots: Mapping[str, str]) -> Iterator[Handling]:
    shard = partition_of(order_id.encode(), played.plan.partitions)
    for service in COMPARED:
        for found, handled in played.world.groups[service].handled[shard, order_id]:
            yield Handling(roots.get(found.id, found.id), service, found.time, handled, found.own)


def _rung_again(bell: Effect, acts: Iterable[Act]) -> Effect:
    """A bell that came early does nothing: it is on its way until the deadline has passed after all."""
    if not bell.is_bell or bell.ended > bell.began:
        return bell
    passed = [act.at for act in acts if act.service == bell.by and "/" in act.id and act.at >= bell.began]
    return replace(bell, ended=min(passed, default=bell.began))


def _acts(played: Played, order_id: str) -> Iterator[Act]:
    key = order_id.encode()
    for command in played.commands:
        if command.key == key:
            yield Act(header(command.headers, "ce_id") or "", _service(command), at(command.timestamp))
    shard = partition_of(key, played.plan.partitions)
    for service in COMPARED:
        for row in played.world.groups[service].rows(shard):
            cause = row.causation_id or ""
            if row.stream_id == order_id and "/" in cause:
                yield Act(cause, service, at(row.time))


def _effects(played: Played, order_id: str) -> Iterator[Effect]:
    known: dict[str, Effect] = {}
    total = NOW
    for record in played.world.bus.heard:
        if _service(record) not in COMPARED or not _belongs(record, order_id):
            continue
        headers = dict(record.headers)
        if headers["ce_source"] == PEOPLE:
            continue
        id_, cause = (headers["ce_id"] or b"").decode(), (headers["ce_causationid"] or b"").decode()
        if id_ in known:
            continue  # published again
        data, is_bell = json.loads(record.value or b"{}"), headers["ce_type"] == b"timer.elapsed.v1"
        before = known.get(cause)
        began = datetime.fromisoformat(data["due_at"] if is_bell else (headers["ce_time"] or b"").decode())
        late = total if "/" in cause else before.late + before.ended - before.began if before else NOW
        effect = known[id_] = Effect(
            id=id_,
            root=before.root if before else cause,
            by=_service(record),
            since=before.since if before else began,
            began=began,
            ended=at(record.timestamp),
            late=late,
            heard_by=_heard_by(record, (headers["ce_type"] or b"").decode(), is_bell),
            is_bell=is_bell,
            instants=frozenset(instants_of(data)),
        )
        total += max(effect.ended - effect.began, NOW)
        yield effect


def _heard_by(record: Record, type_: str, is_bell: bool) -> tuple[Service, ...]:
    """What mediation says to itself, by way of the roster, it hears."""
    if record.topic.endswith((".commands", ".roster")):
        return () if is_bell else ("mediation",)
    return tuple(service for service in COMPARED if type_ in SUBSCRIPTIONS[service])


def _belongs(record: Record, order_id: str) -> bool:
    if record.key == MEDIATORS_KEY.encode():
        return f'"order_id":"{order_id}"'.encode() in (record.value or b"")
    return record.key == order_id.encode()


def _service(record: Record) -> str:
    return record.topic.partition(".")[0]
