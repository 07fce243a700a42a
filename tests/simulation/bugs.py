"""Bugs planted on purpose, to see that the simulation can fail. Each is what somebody might really write."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from schemas.dispute import DisputeClosed
from schemas.mediation import DeclineSolution, MediationOfferDeclined
from schemas.payments import PaymentCommand
from services.mediation import domain as mediation
from services.mediation import settling
from services.order import disputing
from services.order.states import Order
from services.refund import calling
from shared import decider
from shared.batch import Batch
from shared.codec import Decoded, Decoder
from shared.decider import Bell, Output
from shared.memory import MemoryPublisher, MemoryStore
from shared.ports import Row
from shared.shard_loop import ShardLoop

Patch = tuple[Any, str, Any]
"""Where, what, by what."""
Bug = Callable[[], Patch]


def no_epoch_check() -> Patch:
    return MemoryStore, "_ours", lambda store, claim: True


def published_before_it_is_committed() -> Patch:
    async def settle(loop: Any, batch: Batch) -> None:
        await loop._load(batch)
        for work in batch.work:
            await loop._handle(work, batch)
        if batch.claims:
            public = [row for row in batch.rows if row.topic is not None]
            await loop.publisher.send(public)
            await loop.store.commit(batch.commit())
            loop._adopt(batch)

    return ShardLoop, "_settle", settle


def a_release_forgotten() -> Patch:
    closed = disputing.closed

    def forgetful(order: Order | None, end: DisputeClosed) -> list[Any]:
        return [] if end.outcome in ("cancelled", "decided") and end.final else closed(order, end)

    return disputing, "closed", forgetful


def an_event_swallowed() -> Patch:
    send = MemoryPublisher.send

    async def lossy(publisher: MemoryPublisher, rows: Sequence[Row]) -> None:
        await send(publisher, [row for row in rows if row.type != "dispute.offer_accepted.v1"])

    return MemoryPublisher, "send", lossy


def repeats_heard_twice() -> Patch:
    decode = Decoder._decoded

    def forgetful(*arguments: Any, **more: Any) -> Decoded:
        return Decoded(decode(*arguments, **more).input)

    return Decoder, "_decoded", staticmethod(forgetful)


def a_payment_tried_again_under_a_new_key() -> Patch:
    call = calling._call

    def careless(*arguments: Any) -> list[Output]:
        submitted, asked = call(*arguments)
        attempt = arguments[2]
        if attempt == 1 or not isinstance(asked, PaymentCommand):
            return [submitted, asked]
        return [submitted, asked.model_copy(update={"payment_key": f"{attempt}-{asked.payment_key}"})]

    return calling, "_call", careless


def only_a_bell_brings_a_deadline_about() -> Patch:
    passes = decider._Turn.pass_deadlines

    def lazy(turn: Any) -> None:
        if isinstance(turn.record.heard, Bell):
            passes(turn)

    return decider._Turn, "pass_deadlines", lazy


def the_alarm_is_set_once() -> Patch:
    next_alarm = decider._Turn.next_alarm

    def lazy(turn: Any, alarm: datetime | None) -> datetime | None:
        return next_alarm(turn, alarm) if alarm is None else alarm

    return decider._Turn, "next_alarm", lazy


def no_thanks_is_told_to_the_seller() -> Patch:
    def talkative(*arguments: Any) -> list[Output]:
        return [
            said.model_copy(update={"visible_to": ("buyer", "seller", "mediator", "operator")})
            if isinstance(said, MediationOfferDeclined)
            else said
            for said in settling.decline(*arguments)
        ]

    return mediation, "OBEY", mediation.OBEY | {DeclineSolution: talkative}
