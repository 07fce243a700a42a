"""How the refund service deals with the payment provider (N7), by what both of them said: who does not know asks (M2),
and never under another key or for something else (M4)."""

from collections.abc import Iterator

from deploy.verify.checks.movements import DONE, IN_PART, REVERSED, REVIEW, key_of
from deploy.verify.checks.order_history import OrderHistory
from deploy.verify.observation import Observation
from deploy.verify.report import Violation

REQUESTED, CALL, FAILED = "refund.requested.v1", "refund.submitted.v1", "refund.failed.v1"
TOLD = (*DONE, IN_PART, REQUESTED, CALL, FAILED, REVIEW, REVERSED)
PAYMENTS = ("payment.refund.v1", "payment.payout.v1", "payment.charge.v1")
NOBODY_KNOWS = ("no_answer", "mismatch")
"""Whether the money moved: why the operator was called."""


def check(history: OrderHistory) -> Iterator[Violation]:
    yield from _one_key_is_one_movement(history)
    yield from _who_does_not_know_asks(history)


def _one_key_is_one_movement(history: OrderHistory) -> Iterator[Violation]:
    firsts: dict[str, Observation] = {}
    for one in history.of("payments.commands"):
        if one.type not in PAYMENTS:
            continue
        key, minor = one.data["payment_key"], one.data["amount_minor"]
        requested, first = history.movements.requested.get(key), firsts.setdefault(key, one)
        if requested is not None and minor != requested.minor:
            told = f"{one} tells the provider to move {history.money(minor)}"
            yield history.violated("M4", f"{told}, requested was {history.money(requested.minor)}", one)
        elif (one.type, one.data) != (first.type, first.data):
            yield history.violated("M4", f"{key} asks for two things: {one} and {first}", one)


def _who_does_not_know_asks(history: OrderHistory) -> Iterator[Violation]:
    """What may have moved is asked about before it is sent again, a no that is final is believed, and nobody pays
    beside a provider who may still answer."""
    answers = {one.id: one for one in history.of("payments.events")}
    before: dict[str, Observation] = {}
    calls: dict[str, Observation] = {}
    for one in history.said_by("refund"):
        if one.type not in TOLD or one.data["leg"] == "capture":
            continue  # to ask whether money came in moves none
        key, by_hand = key_of(one), one.data.get("actor") is not None
        last = before.get(key)
        before[key] = one
        if _is_call(one):
            newest, attempt = calls.get(key), _attempt(one)
            calls[key] = one
            if not by_hand and newest is not None and one.data["attempts_max"] != newest.data["attempts_max"]:
                yield history.violated("M2", f"{key} is given more calls by nobody, at {one}", one)
            if not (_attempt(newest) if newest else 0) < attempt <= one.data["attempts_max"]:
                yield history.violated(
                    "M2", f"{key}: call {attempt} of at most {one.data['attempts_max']}, by {one}", one
                )
            if last is not None and not _asks(one) and _may_have_moved(last, answers.get(one.cause)):
                sentence = f"{key} is sent again by {one}, and it may have moved: the last of it was {last}"
                yield history.missing("M2", one, sentence)
            if last is not None and last.type == FAILED and not last.data["retryable"]:
                yield history.violated("M2", f"{key} is sent again by {one}, after a no that was final", one)
        elif (
            one.type in (*DONE, IN_PART)
            and by_hand
            and last is not None
            and _is_call(last)
            and not one.data["although_unknown"]
        ):
            sentence = f"{key} is paid by hand, by {one}, while the provider may still answer {last}"
            yield history.violated("M2", sentence, one)


def _is_call(one: Observation) -> bool:
    """The first one goes out with the request, but for what was on hold, and what an earlier version said."""
    return one.type == CALL or (one.type == REQUESTED and one.data.get("attempts_max") is not None)


def _attempt(call: Observation) -> int:
    return int(call.data.get("attempt", 1))


def _asks(call: Observation) -> bool:
    return bool(call.data.get("asking"))


def _may_have_moved(last: Observation, answer: Observation | None) -> bool:
    if _is_call(last):
        return not (_asks(last) and answer is not None and answer.data.get("code") == "unknown_key")
    return last.type in DONE or (last.type == REVIEW and last.data["reason"] in NOBODY_KNOWS)
