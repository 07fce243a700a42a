"""A delivery is made once in effect (E1): it ends once, or once more after an operator had it begun anew, by the
notification service's word; and where somebody holds what came, it may have come again, but as the very same, and what
is said to be sent is what came."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from deploy.verify.checks.order_history import OrderHistory
from deploy.verify.observation import Observation
from deploy.verify.report import Violation

SENT, FAILED = "notification.sent.v1", "notification.failed.v1"
BEGUN_ANEW = "notification.resent.v1"


def check(history: OrderHistory) -> Iterator[Violation]:
    ended: dict[str, Observation] = {}
    for one in history.said_by("notification"):
        if one.type == BEGUN_ANEW:
            for delivery_id in one.data["delivery_ids"]:
                ended.pop(delivery_id, None)
        for delivery_id in ended_by(one):
            first = ended.setdefault(delivery_id, one)
            if first is not one:
                sentence = f"delivery {delivery_id} ends twice: with {first} and with {one}"
                yield history.violated("E1", sentence, one)


def told_by(one: Observation) -> Sequence[Mapping[str, Any]]:
    """The deliveries that it says were taken. Each had a record of its own once."""
    return one.data.get("recipients", [one.data]) if one.type == SENT else []


def ended_by(one: Observation) -> list[str]:
    return [told["delivery_id"] for told in ([one.data] if one.type == FAILED else told_by(one))]


def given_up(history: OrderHistory) -> list[str]:
    """What each delivery that was never made failed of: no promise is broken, and somebody has not been told."""
    last = {delivery_id: one for one in history.said_by("notification") for delivery_id in ended_by(one)}
    return [one.data["problem"] for one in last.values() if one.type == FAILED]


def check_received(
    channel: str, said: Iterable[Observation], received: Iterable[tuple[str, Hashable]]
) -> Iterator[Violation]:
    """`received`: (delivery, what it says) as often as it came."""
    known: dict[str, Hashable] = {}
    for id_, words in received:
        if known.setdefault(id_, words) != words:
            yield Violation("E1", f"{channel} {id_} says two things")
    sent = {told["delivery_id"] for one in said for told in told_by(one) if told["channel"] == channel}
    yield from (Violation("E1", f"{channel} {id_} is said to be sent and was not") for id_ in sent - known.keys())
    yield from (Violation("E1", f"{channel} {id_} came and nothing says so") for id_ in known.keys() - sent)
