"""One order at the order service, brought into each of its states; shared by the order's tests."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from schemas.common import OrderLine, Party, Payment, Terms
from schemas.dispute.events import DisputeClosed, DisputeRequested
from schemas.dispute.shapes import ChosenLine, Outcome
from schemas.order import commands, events
from schemas.order.shapes import ParcelLine, RefundedLine
from schemas.refund.events import RefundCaptured, RefundSettled
from schemas.wire import Actor, Message
from services.order.domain import DECIDER
from services.order.lines import Money, money_of
from services.order.states import AwaitingPayment
from shared.kernel.policies import Policies
from tests.domain import table
from tests.domain.table import Desk, outcome

BUYER, SELLER, PLATFORM, OPERATOR = (
    Actor(role="buyer", id="bea"),
    Actor(role="seller", id="sam"),
    Actor(role="platform", id="gate"),
    Actor(role="operator", id="olga"),
)
BEA, SAM = Party(id="bea", email="bea@example.org"), Party(id="sam", email="sam@example.org", locale="zh-CN")
SHIRTS = OrderLine(line_id="shirts", title="Three shirts", quantity=3, amount_minor=1_000)
HAT = OrderLine(line_id="hat", title="A hat", quantity=1, amount_minor=500)


class OrderDesk(Desk):
    """Speaks as the right person unless told otherwise."""

    def __init__(self, order_id: str = "order-1") -> None:
        super().__init__(DECIDER, order_id)

    @property
    def money(self) -> Money:
        return money_of(self.state.lines)

    def say(self, command: type[commands.OrderCommand], actor: Actor | None = None, **data: Any) -> list[Message]:
        default = {"buyer": BUYER, "seller": SELLER, "platform": PLATFORM}
        role = next(role for role in default if role in command.by)
        return self.send(command(order_id=self.stream.id, actor=actor or default[role], **data))

    def place(self, *lines: OrderLine, paid: bool = True, **changes: Any) -> list[Message]:
        """Where the policy waits for the capture, that follows at once if it is `paid`; what is returned is the answer."""
        lines = lines or (SHIRTS, HAT)
        total = sum(line.amount_minor for line in lines)
        data: dict[str, Any] = {
            "buyer": BEA,
            "seller": SAM,
            "currency": "EUR",
            "lines": lines,
            "payment": Payment(payment_id="pay-1", amount_minor=total),
        }
        said = self.say(commands.Place, **(data | changes))
        if paid and isinstance(self.state, AwaitingPayment):
            self.captured(total_minor=total)
        return said

    def ship(self, actor: Actor | None = None) -> list[Message]:
        return self.parcel(actor=actor)

    def parcel(
        self, *lines: str | tuple[str, int], parcel_id: str | None = None, actor: Actor | None = None
    ) -> list[Message]:
        """A parcel of these lines, or of all that is not shipped yet."""
        named = tuple(
            ParcelLine(line_id=line) if isinstance(line, str) else ParcelLine(line_id=line[0], quantity=line[1])
            for line in lines
        )
        data = {"lines": named or None, "parcel_id": parcel_id}
        return self.say(commands.Ship, actor, carrier="Post", tracking_number="RR1", **data)

    def give_back(self, by: Actor | None = None, **minor: int) -> list[Message]:
        lines = tuple(RefundedLine(line_id=line, refund_minor=amount) for line, amount in minor.items())
        return self.say(commands.RefundLines, by, lines=lines, reason="Sorry")

    def extend(self, days: int) -> list[Message]:
        return self.say(commands.ExtendProtection, days=days)

    def confirm(self) -> list[Message]:
        return self.say(commands.ConfirmReceipt)

    def claim(
        self,
        *lines: str | tuple[str, int],
        refund_minor: int = 100,
        dispute_id: str = "d1",
        received_at: datetime | None = None,
        actor: Actor = BUYER,
        kind: Any = "refund",
    ) -> list[Message]:
        """`dispute.requested` over these lines, or all that may be disputed."""
        chosen = [ChosenLine(line_id=line) if isinstance(line, str) else
                  ChosenLine(line_id=line[0], quantity=line[1]) for line in lines]  # fmt: skip
        return self.hear(
            DisputeRequested(
                order_id=self.stream.id,
                actor=actor,
                dispute_id=dispute_id,
                lines=tuple(chosen) or None,
                received=True,
                reason="damaged",
                description="Torn",
                terms=Terms(kind=kind, refund_minor=refund_minor),
                received_at=received_at or self.now,
            )
        )

    def close(
        self, outcome: Outcome, refund_minor: int = 0, dispute_id: str = "d1", final: bool = True
    ) -> list[Message]:
        """`dispute.closed`; what it says of the release is not asked, so it is left at 0."""
        return self.hear(
            DisputeClosed(
                order_id=self.stream.id,
                dispute_id=dispute_id,
                outcome=outcome,
                refund_minor=refund_minor,
                release_minor=0,
                final=final,
            )
        )

    def captured(self, captured_at: datetime | None = None, total_minor: int = 1_500) -> list[Message]:
        """By the refund service's word."""
        return self.hear(
            RefundCaptured(
                order_id=self.stream.id,
                payment_id="pay-1",
                amount_minor=total_minor,
                currency="EUR",
                buyer_id="bea",
                seller_id="sam",
                policy=table.newest()[0],
                captured_at=captured_at or self.now,
            )
        )

    def refunded(self, settlement_id: str = "order-1:1", refund_minor: int = 100) -> list[Message]:
        return self.hear(
            RefundSettled(
                order_id=self.stream.id,
                settlement_id=settlement_id,
                refund_minor=refund_minor,
                provider_reference="bank-1",
                buyer_id="bea",
            )
        )


def nothing(desk: OrderDesk) -> None:
    pass


def unpaid(desk: OrderDesk) -> None:
    """Under a policy that wants the capture confirmed."""
    reference, policy = table.newest()
    confirmed_first = Policies({reference: policy.model_copy(update={"capture": "confirmed"})})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(table, "POLICIES", confirmed_first)
        desk.place(paid=False)


def not_paid(desk: OrderDesk) -> None:
    unpaid(desk)
    desk.wait(days=1, milliseconds=1)
    desk.ring()


def awaiting(desk: OrderDesk) -> None:
    desk.place()


def cancelled(desk: OrderDesk) -> None:
    desk.place()
    desk.say(commands.Cancel)


def shipped(desk: OrderDesk) -> None:
    desk.place()
    desk.ship()


def all_disputed(desk: OrderDesk) -> None:
    shipped(desk)
    desk.claim()


def one_disputed(desk: OrderDesk) -> None:
    shipped(desk)
    desk.claim("shirts")


def one_refunding(desk: OrderDesk) -> None:
    one_disputed(desk)
    desk.close("decided", 100)


def all_refunding(desk: OrderDesk) -> None:
    all_disputed(desk)
    desk.close("decided", 100)


def all_settled(desk: OrderDesk) -> None:
    all_refunding(desk)
    desk.refunded()


def confirmed(desk: OrderDesk) -> None:
    shipped(desk)
    desk.wait(days=1)
    desk.confirm()


def reclaimed(desk: OrderDesk) -> None:
    confirmed(desk)
    desk.claim("shirts")


def expired(desk: OrderDesk) -> None:
    shipped(desk)
    desk.wait(days=61)
    desk.ring()


def part_shipped(desk: OrderDesk) -> None:
    """Two of three shirts are; the third, and the hat, may follow for a week."""
    desk.place()
    desk.parcel(("shirts", 2))


def part_disputed(desk: OrderDesk) -> None:
    part_shipped(desk)
    desk.claim()


def part_confirmed(desk: OrderDesk) -> None:
    part_shipped(desk)
    desk.confirm()


def part_cancelled(desk: OrderDesk) -> None:
    """What did not follow in time goes back, and has not arrived yet."""
    part_shipped(desk)
    desk.wait(days=8)
    desk.ring()


STATES: dict[str, Callable[[OrderDesk], None]] = {
    state.__name__: state
    for state in (
        nothing,
        unpaid,
        not_paid,
        awaiting,
        cancelled,
        shipped,
        all_disputed,
        one_disputed,
        one_refunding,
        all_refunding,
        all_settled,
        confirmed,
        reclaimed,
        expired,
        part_shipped,
        part_disputed,
        part_confirmed,
        part_cancelled,
    )
}


def in_state(name: str) -> OrderDesk:
    desk = OrderDesk()
    STATES[name](desk)
    desk.wait(hours=1)
    return desk


def answer(said: list[Message]) -> str:
    """A cell of the tables: a refused freeze shows its code, as a refused command does."""
    refused = [message.code for message in said if isinstance(message, events.FreezeRefused)]
    return refused[0] if refused else outcome(said)


def only(said: list[Message], type_: type[Any]) -> Any:
    """The one message of this type among what was said."""
    (found,) = (message for message in said if isinstance(message, type_))
    return found


def columns(*tables: str) -> list[tuple[str, str, str]]:
    """All cells of tables that must not leave out a state."""
    for text in tables:
        assert [row.split()[0] for row in text.strip().splitlines()[1:]] == list(STATES)
    return [cell for text in tables for cell in table.cells(text)]


def under(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Orders placed from here on live under changed rules."""
    reference, policy = table.newest()
    changed = {**table.POLICIES.by_ref, reference: policy.model_copy(update=changes)}
    monkeypatch.setattr(table, "POLICIES", Policies(changed))
