"""Whatever is said, in whatever order: money moves once, the books balance, and nothing is forgotten (R22, N7)."""

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.payments.commands import ChargeBack, PayBack, PayOut, QueryPayment
from schemas.payments.events import PaymentSettled
from schemas.refund.events import (
    ChargedBack,
    DoneEvent,
    PaidOut,
    PendingEvent,
    RefundCaptured,
    RefundRequested,
    RefundReversed,
    RefundSettled,
)
from schemas.wire import Message
from services.refund.gateway import Paid, PaymentCommand, PaymentReply, answer
from services.refund.ledger import Entry, entry
from services.refund.states import Done, InReview, Order, Pending, deadlines
from tests.domain.refund_desk import SILENCE, RefundDesk
from tests.domain.table import cells, outcome

SETTLEMENTS = st.sampled_from(["s1", "s2"])
LEGS = st.sampled_from(["refund", "payout", "chargeback"])
AMOUNTS = st.sampled_from([0, 1, 300, 700])


class Chance:
    """Does to a desk whatever Hypothesis draws."""

    def __init__(self, data: st.DataObject) -> None:
        self.draw = data.draw
        self.desk = RefundDesk()
        self.acts = st.sampled_from(
            [self.place, self.settle, self.release, self.paid, self.failed, self.reversed, self.wait, self.ring]
            + [self.operate] * 2
        )

    def act(self) -> list[Message]:
        said: list[Message] = self.draw(self.acts)()
        return said

    def key(self) -> str:
        generation = self.draw(st.sampled_from(["", "", "~2", "~3"]))
        return f"{self.draw(SETTLEMENTS)}/{self.draw(LEGS)}{generation}"

    def place(self) -> list[Message]:
        return self.desk.place()

    def settle(self) -> list[Message]:
        return self.desk.settle(*self.draw(st.tuples(AMOUNTS, AMOUNTS, AMOUNTS)), self.draw(SETTLEMENTS))

    def release(self) -> list[Message]:
        return self.desk.release(self.draw(AMOUNTS), self.draw(SETTLEMENTS))

    def paid(self) -> list[Message]:
        amount_minor = self.draw(AMOUNTS.filter(bool))
        return self.desk.paid(amount_minor, key=self.key(), reference=self.draw(st.sampled_from(["a", "b"])))

    def failed(self) -> list[Message]:
        code, key = self.draw(st.sampled_from(["bank_down", "unknown_key"])), self.key()
        call = self.desk.call(key, self.draw(st.sampled_from([1, 2]))) if self.draw(st.booleans()) else None
        return self.desk.failed(code, retryable=self.draw(st.booleans()), key=key, call=call)

    def reversed(self) -> list[Message]:
        amount_minor = self.draw(AMOUNTS.filter(bool))
        return self.desk.reversed(amount_minor, key=self.key(), reference=self.draw(st.sampled_from(["c", "d"])))

    def wait(self) -> list[Message]:
        self.desk.wait(seconds=self.draw(st.sampled_from([0, 1, 11, 3_600, 30 * 24 * 3_600])))
        return []

    def ring(self) -> list[Message]:
        return self.desk.ring()

    def operate(self) -> list[Message]:
        names: dict[str, Any] = {"settlement_id": self.draw(SETTLEMENTS), "leg": self.draw(LEGS)}
        match self.draw(st.sampled_from(["retry", "resolve", "acknowledge"])):
            case "retry":
                return self.desk.retry(**names)
            case "resolve":
                return self.desk.resolve(**names, although_unknown=self.draw(st.booleans()))
            case _:
                return self.desk.acknowledge(**names)


@given(st.data())
@pytest.mark.rule("R22")
@pytest.mark.rule("N7")
@pytest.mark.rule("R62")
def test_whatever_is_said_in_whatever_order(data: st.DataObject) -> None:
    chance = Chance(data)
    desk, done = chance.desk, set[str]()
    for _ in range(data.draw(st.integers(1, 40))):
        said = chance.act()

        assert desk.refolded() == desk.state
        # Under a key that had its money moved nothing is ever sent again; what came back has a key of its own.
        assert not done & {message.payment_key for message in said if isinstance(message, PaymentCommand)}
        done |= {leg.movement.payment_key for leg in legs(desk).values() if isinstance(leg, Done)}
        assert_moved_as_it_stands(desk)
        assert_held(desk)
        assert_balanced(desk.history)


@given(st.data())
@pytest.mark.rule("N7")
def test_an_honest_provider_behind_a_bad_line_moves_every_leg_exactly_once(data: st.DataObject) -> None:
    """Commands and answers get lost, doubled and delayed; what the provider does it does once per key."""
    desk, ledger = RefundDesk(), dict[str, Paid]()
    lost = st.sampled_from([False, False, False, True])
    desk.place()
    on_the_way = payment_commands(desk.settle(700, 300, 200))
    late: list[tuple[PaymentReply, str]] = []
    while pending(desk):
        for command in on_the_way:
            if data.draw(lost):
                continue
            answered = answer(ledger.get(command.payment_key), command)
            if isinstance(answered, PaymentSettled):
                ledger[command.payment_key] = Paid(
                    answered.currency, answered.amount_minor, answered.provider_reference
                )
            late += [(answered, desk.call(command.payment_key))] * data.draw(st.sampled_from([1, 1, 2, 0]))
        late = data.draw(st.permutations(late))
        arrived, late = late[:2], late[2:]
        on_the_way = payment_commands(
            message for answered, call in arrived for message in desk.provider_says(answered, call)
        )
        desk.now += SILENCE
        on_the_way += payment_commands(desk.ring())
        for key, leg in legs(desk).items():
            if isinstance(leg, Pending) and isinstance(leg.at, InReview):
                assert leg.at.reason in ("no_answer", "attempts_used_up")
                settlement_id, name = key.split("/")
                on_the_way += payment_commands(desk.retry(settlement_id=settlement_id, leg=name))
    for straggler, call in late:
        assert desk.provider_says(straggler, call) == []

    assert {key: paid.amount_minor for key, paid in ledger.items()} == {
        "s1/refund": 700,
        "s1/payout": 300,
        "s1/chargeback": 200,
    }
    assert where_the_money_is(desk.history) == {"captured": 5_000, "escrow": 4_200, "refunded": 700, "paid_out": 100}


BOOKS = """
               from              to
captured       buyer:bea         escrow:order-1
refund         escrow:order-1    buyer:bea
payout         escrow:order-1    seller:sam
chargeback     seller:sam        escrow:order-1
"""


@pytest.mark.rule("R22")
def test_which_account_pays_which() -> None:
    desk = RefundDesk()
    desk.place()
    desk.settle(700, 300, 200)
    for leg, amount_minor in {"refund": 700, "payout": 300, "chargeback": 200}.items():
        desk.paid(amount_minor, key=f"s1/{leg}")

    entries = dict(zip(["captured", "refund", "payout", "chargeback"], booked(desk.history), strict=True))
    for name, side, account in cells(BOOKS):
        assert (entries[name].from_account if side == "from" else entries[name].to_account) == account
    assert [(entry.currency, entry.amount_minor) for entry in entries.values()] == [
        ("EUR", 5_000),
        ("EUR", 700),
        ("EUR", 300),
        ("EUR", 200),
    ]


@pytest.mark.rule("R22")
def test_only_money_that_moved_is_booked() -> None:
    desk = RefundDesk()
    desk.place()
    desk.cancel()
    desk.failed("account_closed", retryable=False)
    desk.now += timedelta(days=30)
    assert outcome(desk.ring()) == "overdue"

    assert len(booked(desk.history)) == 1  # the capture
    assert all(entry(message) is None for message in desk.history if isinstance(message, PendingEvent))


# -- what is looked at ------------------------------------------------------------------------------------------------


def assert_held(desk: RefundDesk) -> None:
    """A movement that is not done has a deadline. An order not heard to be placed waits for the order service."""
    held = {deadline.subject for deadline in deadlines(desk.state) if deadline.name == "refund_due"}
    assert held == {key for key, leg in legs(desk).items() if isinstance(leg, Pending)}


def assert_moved_as_it_stands(desk: RefundDesk) -> None:
    """By the books a leg that is done has moved in full, and one that is not what did not come back of it."""
    moved, asked = Counter[str](), dict[str, int]()
    for message in desk.history:
        if isinstance(message, RefundRequested):
            asked[f"{message.settlement_id}/{message.leg}"] = message.amount_minor
        if isinstance(message, DoneEvent | RefundReversed):
            minor = int(getattr(message, "refund_minor", 0) or getattr(message, "amount_minor", 0))
            moved[f"{message.settlement_id}/{message.leg}"] += -minor if isinstance(message, RefundReversed) else minor
    for key, leg in legs(desk).items():
        if isinstance(leg, Done):
            assert moved[key] == asked[key]
        elif isinstance(leg, Pending):
            assert moved[key] == asked[key] - leg.owed.amount_minor


def assert_balanced(history: list[Message]) -> None:
    where = where_the_money_is(history)
    done = [message for message in history if isinstance(message, DoneEvent)]
    assert where["captured"] == where["escrow"] + where["refunded"] + where["paid_out"]
    assert where["captured"] == sum(message.amount_minor for message in history if isinstance(message, RefundCaptured))
    back = Counter[str]()
    for message in history:
        if isinstance(message, RefundReversed):
            back[message.leg] += message.amount_minor
    refunded = sum(message.refund_minor for message in done if isinstance(message, RefundSettled)) - back["refund"]
    paid_out = sum(message.amount_minor for message in done if isinstance(message, PaidOut)) - back["payout"]
    charged_back = (
        sum(message.amount_minor for message in done if isinstance(message, ChargedBack)) - back["chargeback"]
    )
    assert (where["refunded"], where["paid_out"]) == (refunded, paid_out - charged_back)


def where_the_money_is(history: list[Message]) -> dict[str, int]:
    balance: Counter[str] = Counter()
    captured = sum(message.amount_minor for message in history if isinstance(message, RefundCaptured))
    for made in booked(history):
        balance[made.from_account.split(":")[0]] -= made.amount_minor
        balance[made.to_account.split(":")[0]] += made.amount_minor
    return {
        "captured": captured,
        "escrow": balance["escrow"],
        "refunded": captured + balance["buyer"],
        "paid_out": balance["seller"],
    }


def booked(history: Iterable[Message]) -> list[Entry]:
    return [made for message in history if (made := entry(message))]


def legs(desk: RefundDesk) -> dict[str, Any]:
    return dict(desk.state.legs) if isinstance(desk.state, Order) else {}


def pending(desk: RefundDesk) -> bool:
    return any(isinstance(leg, Pending) for leg in legs(desk).values())


def payment_commands(said: Iterable[Message]) -> list[Any]:
    return [message for message in said if isinstance(message, PayBack | PayOut | ChargeBack | QueryPayment)]
