"""One order at the refund service, with one movement (a refund of 10.00) brought to wherever it can stand."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from schemas.common import OrderLine, Party, Payment
from schemas.order import events as order
from schemas.payments.events import PaymentCaptured, PaymentFailed, PaymentReversed, PaymentSettled
from schemas.refund.commands import AcknowledgeReview, HoldMoney, RefundCommand, ResolveRefund, RetryRefund, UnholdMoney
from schemas.wire import Actor, Message
from services.refund.domain import DECIDER
from services.refund.policy import ATTEMPTS_MAX, BACK_OFF_MAX
from shared.kernel.decider import call_id
from tests.domain.table import NOON, Desk, newest

OPERATOR, SELLER = Actor(role="operator", id="olga"), Actor(role="seller", id="sam")
BEA, SAM = Party(id="bea", email="bea@example.org"), Party(id="sam", email="sam@example.org")
SILENCE = BACK_OFF_MAX + timedelta(milliseconds=1)
"""Longer than any answer window or back-off, and much shorter than `refund_due`."""


class RefundDesk(Desk):
    def __init__(self) -> None:
        super().__init__(DECIDER)

    def place(self, policy: str = "aliexpress", payment_by: datetime | None = None) -> list[Message]:
        return self.hear(
            order.Placed(
                order_id=self.stream.id,
                buyer=BEA,
                seller=SAM,
                currency="EUR",
                total_minor=5_000,
                lines=(OrderLine(line_id="1", title="A lamp", quantity=1, amount_minor=5_000),),
                payment=Payment(payment_id="pay-1", amount_minor=5_000),
                policy=newest(policy)[0],
                processing_ends_at=NOON + timedelta(days=7),
                payment_by=payment_by,
            )
        )

    def captured(self, amount_minor: int = 5_000, currency: str = "EUR", payment_id: str = "pay-1") -> list[Message]:
        return self.hear(
            PaymentCaptured(
                order_id=self.stream.id, payment_id=payment_id, currency=currency, amount_minor=amount_minor
            )
        )

    def not_paid(self) -> list[Message]:
        return self.hear(order.Cancelled(order_id=self.stream.id, settlement_id="s1", refund_minor=0, cause="not_paid"))

    def cancel(self, refund_minor: int = 1_000, settlement_id: str = "s1") -> list[Message]:
        return self.hear(
            order.Cancelled(
                order_id=self.stream.id, settlement_id=settlement_id, refund_minor=refund_minor, cause="buyer"
            )
        )

    def release(self, release_minor: int, settlement_id: str = "s1") -> list[Message]:
        return self.hear(
            order.LinesReleased(
                order_id=self.stream.id,
                settlement_id=settlement_id,
                lines=(),
                release_minor=release_minor,
                final=False,
                cause="receipt_confirmed",
            )
        )

    def settle(
        self, refund_minor: int, payout_minor: int, chargeback_minor: int, settlement_id: str = "s1"
    ) -> list[Message]:
        return self.hear(
            order.Settled(
                order_id=self.stream.id,
                settlement_id=settlement_id,
                dispute_id="d1",
                refund_minor=refund_minor,
                release_minor=payout_minor + 50,  # of lines released before: nothing is paid out for them again
                lines=(),
                payout_minor=payout_minor,
                chargeback_minor=chargeback_minor,
            )
        )

    def paid(
        self, amount_minor: int = 1_000, currency: str = "EUR", key: str = "s1/refund", reference: str = "bank-1"
    ) -> list[Message]:
        return self.hear(
            PaymentSettled(
                order_id=self.stream.id,
                payment_key=key,
                currency=currency,
                amount_minor=amount_minor,
                provider_reference=reference,
            )
        )

    def failed(
        self, code: str = "bank_down", retryable: bool = True, key: str = "s1/refund", call: str | None = None
    ) -> list[Message]:
        """An answer to the newest call under this key, or to the one that is named."""
        failed = PaymentFailed(order_id=self.stream.id, payment_key=key, code=code, retryable=retryable)
        return self.provider_says(failed, self.call(key) if call is None else call)

    def provider_says(self, event: PaymentSettled | PaymentCaptured | PaymentFailed, call: str) -> list[Message]:
        """The provider, and which call he names."""
        return self._take(event, event.type, own=False, causation_id=call)

    def call(self, key: str = "s1/refund", attempt: int | None = None) -> str:
        """The `ce_id` of a call, the newest if no other is meant."""
        leg = self.state.legs.get(key.partition("~")[0]) if self.state is not None else None
        return call_id("refund", self.stream.id, f"{key}/{attempt or getattr(leg, 'attempt', 1)}")

    def reversed(
        self,
        amount_minor: int = 1_000,
        currency: str = "EUR",
        key: str | None = "s1/refund",
        reference: str = "back-1",
        **more: Any,
    ) -> list[Message]:
        return self.hear(
            PaymentReversed(
                order_id=self.stream.id,
                payment_key=key,
                currency=currency,
                amount_minor=amount_minor,
                provider_reference=reference,
                **({"cause": "refund_returned"} | more),
            )
        )

    def silence(self) -> list[Message]:
        """Nobody says anything until the answer window, or the back-off, is over."""
        self.now += SILENCE
        return self.ring()

    def retry(self, actor: Actor = OPERATOR, **names: Any) -> list[Message]:
        return self._operate(RetryRefund, actor, **names)

    def resolve(self, actor: Actor = OPERATOR, reference: str = "by-hand-1", **names: Any) -> list[Message]:
        note = {"outcome": "settled", "provider_reference": reference, "note": "By bank transfer"}
        return self._operate(ResolveRefund, actor, **note, **names)

    def acknowledge(self, actor: Actor = OPERATOR, **names: Any) -> list[Message]:
        return self._operate(AcknowledgeReview, actor, note="Looked into it", **names)

    def hold(self, actor: Actor = OPERATOR) -> list[Message]:
        return self.send(HoldMoney(order_id=self.stream.id, actor=actor, reason="Looked into"))

    def unhold(self, actor: Actor = OPERATOR) -> list[Message]:
        return self.send(UnholdMoney(order_id=self.stream.id, actor=actor, reason="All is well"))

    def _operate(self, command: type[RefundCommand], actor: Actor, **data: Any) -> list[Message]:
        names = {"order_id": self.stream.id, "settlement_id": "s1", "leg": "refund"}
        return self.send(command(actor=actor, **(names | data)))


def nothing(desk: RefundDesk) -> None:
    pass


def noted(desk: RefundDesk) -> None:
    desk.cancel()


def placed(desk: RefundDesk) -> None:
    desk.place()


def submitted(desk: RefundDesk) -> None:
    desk.place()
    desk.cancel()


def asking(desk: RefundDesk) -> None:
    submitted(desk)
    desk.silence()


def backing_off(desk: RefundDesk) -> None:
    submitted(desk)
    desk.failed()


def retrying(desk: RefundDesk) -> None:
    backing_off(desk)
    desk.silence()


def last_attempt(desk: RefundDesk) -> None:
    submitted(desk)
    for _ in range(ATTEMPTS_MAX - 1):
        desk.failed()
        desk.silence()


def last_question(desk: RefundDesk) -> None:
    submitted(desk)
    for _ in range(ATTEMPTS_MAX - 1):
        desk.silence()


def final_failure(desk: RefundDesk) -> None:
    submitted(desk)
    desk.failed("account_closed", retryable=False)


def used_up(desk: RefundDesk) -> None:
    last_attempt(desk)
    desk.failed()


def no_answer(desk: RefundDesk) -> None:
    last_question(desk)
    desk.silence()


def mismatch(desk: RefundDesk) -> None:
    submitted(desk)
    desk.paid(amount_minor=999)


def paid_more(desk: RefundDesk) -> None:
    submitted(desk)
    desk.paid(amount_minor=1_001)


def in_part(desk: RefundDesk) -> None:
    """0.01 of it is on its way again."""
    mismatch(desk)
    desk.resolve(reference="bank-1", amount_minor=999)


def in_part_on_hold(desk: RefundDesk) -> None:
    mismatch(desk)
    desk.hold()
    desk.resolve(reference="bank-1", amount_minor=999)


def too_much(desk: RefundDesk) -> None:
    paid_more(desk)
    desk.resolve(reference="bank-1", amount_minor=1_001)


def settled(desk: RefundDesk) -> None:
    submitted(desk)
    desk.paid()


def by_hand(desk: RefundDesk) -> None:
    used_up(desk)
    desk.resolve()


def settled_again(desk: RefundDesk) -> None:
    settled(desk)
    desk.paid(reference="bank-2")


def came_back(desk: RefundDesk) -> None:
    settled(desk)
    desk.reversed()


def paid_anew(desk: RefundDesk) -> None:
    came_back(desk)
    desk.retry()


def came_back_unpaid(desk: RefundDesk) -> None:
    """Its settlement was never heard."""
    submitted(desk)
    desk.reversed()


def failed_after_all(desk: RefundDesk) -> None:
    settled(desk)
    desk.failed("account_closed", retryable=False)


def unasked(desk: RefundDesk) -> None:
    desk.place()
    desk.paid()


def on_hold(desk: RefundDesk) -> None:
    desk.place()
    desk.hold()
    desk.cancel()


def failed_on_hold(desk: RefundDesk) -> None:
    backing_off(desk)
    desk.hold()


def asking_on_hold(desk: RefundDesk) -> None:
    asking(desk)
    desk.hold()


def awaiting_capture(desk: RefundDesk) -> None:
    desk.place(payment_by=NOON + timedelta(days=1))


def lapsed(desk: RefundDesk) -> None:
    awaiting_capture(desk)
    desk.not_paid()


STATES: dict[str, Callable[[RefundDesk], None]] = {
    state.__name__: state
    for state in (
        nothing,
        noted,
        placed,
        submitted,
        asking,
        backing_off,
        retrying,
        last_attempt,
        last_question,
        final_failure,
        used_up,
        no_answer,
        mismatch,
        paid_more,
        in_part,
        in_part_on_hold,
        too_much,
        settled,
        by_hand,
        settled_again,
        came_back,
        paid_anew,
        came_back_unpaid,
        failed_after_all,
        unasked,
        on_hold,
        failed_on_hold,
        asking_on_hold,
        awaiting_capture,
        lapsed,
    )
}


def in_state(name: str) -> RefundDesk:
    desk = RefundDesk()
    STATES[name](desk)
    return desk
