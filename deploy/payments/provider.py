"""What the stand-in answers, and what it really pays: one payment per key, whatever it says of it (N7).

Pure: the same calls in the same order get the same answers. So its journal is `payments.commands`, and it needs no
database: a process that starts reads the calls again, and knows what is paid, what is said and what is still to say.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

from deploy.payments.script import PLAIN, Script, Step, script
from schemas.payments.commands import ConfirmPayment, QueryPayment
from schemas.payments.events import PaymentFailed, PaymentReversed, PaymentSettled
from services.refund.gateway import Paid, PaymentCommand, PaymentReply, answer, paid_by

SLOW = timedelta(seconds=3)
"""Shorter than the asker's shortest patience."""
LATE = timedelta(seconds=1)
"""So long after the next call comes the answer to a call that was answered late."""

PaymentWord = PaymentReply | PaymentReversed


class Answer(NamedTuple):
    """What is said to a call, so long after the newest one was heard. A call may have several answers."""

    said: PaymentWord
    call_id: str
    after: timedelta = timedelta()


class Provider:
    """Its book. Whoever holds one feeds it every call, in the order of its partition, from the first."""

    def __init__(self) -> None:
        self.moved: list[PaymentSettled] = []
        """Every movement of money that took place, as it took place."""
        self._paid: dict[str, Paid] = {}
        self.returned: list[PaymentReversed | PaymentFailed] = []
        """What came back of it, as it is said: all of the movement."""
        self._scripts: dict[str, Script] = {}
        self._calls: dict[str, int] = defaultdict(int)
        self._held: dict[str, list[Answer]] = defaultdict(list)
        self._heard: set[str] = set()

    def hear(self, call_id: str, command: PaymentCommand) -> list[Answer]:
        """A call that comes again under its id is the same call: it has been answered."""
        if call_id in self._heard:
            return []
        self._heard.add(call_id)
        key = command.payment_key.partition("~")[0]
        if not isinstance(command, QueryPayment):
            self._scripts.setdefault(key, script(command))
        step = self._scripts.get(key, PLAIN).step(self._calls[key])
        self._calls[key] += 1
        held = [late._replace(after=LATE) for late in self._held.pop(key, ())]
        return self._answers(step, call_id, command) + held

    def _answers(self, step: Step, call_id: str, command: PaymentCommand) -> list[Answer]:
        match step:
            case "lost":
                return []
            case "fail":
                return [Answer(_failed(command, "bank_down", retryable=True), call_id)]
            case "refuse":
                return [Answer(_failed(command, "account_closed", retryable=False), call_id)]
            case "unknown":
                return [Answer(_failed(command, "unknown_key", retryable=True), call_id)]
        said = self._obey(_another_amount(step, command))
        match step:
            case "answer" | "short" | "over":
                return [Answer(said, call_id)]
            case "slow":
                return [Answer(said, call_id, SLOW)]
            case "twice":
                return [Answer(said, call_id)] * 2
            case "late":
                self._held[command.payment_key.partition("~")[0]].append(Answer(said, call_id))
                return []
            case "silent":
                return []
            case "misquote":
                return [Answer(_misquoted(said), call_id)]
            case "returned" | "recanted":
                return [Answer(said, call_id), *self._return(step, call_id, said)]

    def _obey(self, command: PaymentCommand) -> PaymentReply:
        """The sandbox's own rule; here it is seen whether money moved."""
        key = command.payment_key
        said = answer(self._paid.get(key), command)
        if not isinstance(said, PaymentFailed) and key not in self._paid:
            self._paid[key] = paid_by(said)
            if isinstance(said, PaymentSettled):
                self.moved.append(said)
        return said

    def _return(self, step: Step, call_id: str, said: PaymentReply) -> Iterator[Answer]:
        """Of what was just moved, or was before; once."""
        if not isinstance(said, PaymentSettled):
            return
        key = said.payment_key
        if any(one.payment_key == key for one in self.returned):
            return
        about: dict[str, Any] = {"order_id": said.order_id, "payment_key": key}
        gone: PaymentReversed | PaymentFailed = PaymentFailed(**about, code="account_closed", retryable=False)
        if step == "returned":
            cause = "payout_returned" if key.partition("~")[0].endswith("/payout") else "refund_returned"
            about |= {"currency": said.currency, "amount_minor": said.amount_minor, "cause": cause}
            gone = PaymentReversed(**about, provider_reference=f"back-{said.provider_reference}")
        self.returned.append(gone)
        yield Answer(gone, call_id, SLOW)


def _another_amount(step: Step, command: PaymentCommand) -> PaymentCommand:
    """What the bank makes of it. What the buyer paid is what it is."""
    if step not in ("short", "over") or isinstance(command, QueryPayment | ConfirmPayment):
        return command
    third = command.amount_minor // 3
    return command.model_copy(update={"amount_minor": command.amount_minor + (third if step == "over" else -third)})


def _failed(command: PaymentCommand, code: str, retryable: bool) -> PaymentFailed:
    return PaymentFailed(order_id=command.order_id, payment_key=command.payment_key, code=code, retryable=retryable)


def _misquoted(said: PaymentReply) -> PaymentReply:
    return (
        said.model_copy(update={"amount_minor": said.amount_minor + 1}) if not isinstance(said, PaymentFailed) else said
    )
