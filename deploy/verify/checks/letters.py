"""A delivery is made once in effect (E1): it ends once, or once more after an operator had it begun anew, by the
notification service's word; and where somebody holds what came, it may have come again, but as the very same, and what
is said to be sent is what came."""

from collections.abc import Hashable, Iterable, Iterator

from deploy.verify.checks.order_history import OrderHistory
from deploy.verify.observation import Observation
from deploy.verify.report import Violation

SENT, FAILED = "notification.sent.v1", "notification.failed.v1"
ENDED = (SENT, FAILED)
BEGUN_ANEW = "notification.resent.v1"


def check(history: OrderHistory) -> Iterator[Violation]:
    ended: dict[str, Observation] = {}
    for one in history.said_by("notification"):
        if one.type == BEGUN_ANEW:
            for delivery_id in one.data["delivery_ids"]:
                ended.pop(delivery_id, None)
        if one.type in ENDED:
            first = ended.setdefault(one.data["delivery_id"], one)
            if first is not one:
                sentence = f"delivery {one.data['delivery_id']} ends twice: with {first} and with {one}"
                yield history.violated("E1", sentence, one)


def given_up(history: OrderHistory) -> list[str]:
    """What each delivery that was never made failed of: no promise is broken, and somebody has not been told."""
    last = {one.data["delivery_id"]: one for one in history.said_by("notification") if one.type in ENDED}
    return [one.data["problem"] for one in last.values() if one.type == FAILED]


def check_received(
    channel: str, said: Iterable[Observation], received: Iterable[tuple[str, Hashable]]
) -> Iterator[Violation]:
    """`received`: (delivery, what it says) as often as it came."""
    known: dict[str, Hashable] = {}
    for id_, words in received:
        if known.setdefault(id_, words) != words:
            yield Violation("E1", f"{channel} {id_} says two things")
    sent = {one.data["delivery_id"] for one in said if one.type == SENT and one.data["channel"] == channel}
    yield from (Violation("E1", f"{channel} {id_} is said to be sent and was not") for id_ in sent - known.keys())
    yield from (Violation("E1", f"{channel} {id_} came and nothing says so") for id_ in known.keys() - sent)
