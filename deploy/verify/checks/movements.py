"""The movements of one order's money, from the order service's word to the bank: asked for, requested, done.

Each is known by its payment key, `<settlement_id>/<leg>`. Every step must follow from the one before, over the same
amount, and once: order.events -> refund.events, and beside it payments.events (M1, M2, M4).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from deploy.verify.observation import Observation
from deploy.verify.report import Violation, money

if TYPE_CHECKING:
    from deploy.verify.checks.order_history import OrderHistory

LEGS = {
    "order.cancelled.v1": {"refund": "refund_minor"},
    "order.lines_released.v1": {"payout": "release_minor"},
    "order.settled.v1": {"refund": "refund_minor", "payout": "payout_minor", "chargeback": "chargeback_minor"},
}
"""What the order service wants moved: leg -> field of its amount."""
DONE = {
    "refund.settled.v1": "refund_minor",
    "refund.paid_out.v1": "amount_minor",
    "refund.charged_back.v1": "amount_minor",
}
REVIEW = "refund.review_needed.v1"
DIFFERS = ("mismatch", "settled_again")
"""Why a person looks who was told that the provider says something else than was believed."""


class Moving(NamedTuple):
    """A movement at one of its steps, as it was told first."""

    minor: int
    told: Observation
    again: list[tuple[int, Observation]]
    """What was told of it once more, and over how much."""


class Movements(NamedTuple):
    """By payment key, as far as each has come."""

    asked: Mapping[str, Moving]
    requested: Mapping[str, Moving]
    done: Mapping[str, Moving]

    @staticmethod
    def of(order: Sequence[Observation], refund: Sequence[Observation]) -> "Movements":
        asked = [(one, leg, field) for one in order for leg, field in LEGS.get(one.type, {}).items()]
        requested = [one for one in refund if one.type == "refund.requested.v1"]
        return Movements(
            _by_key((f"{one.data['settlement_id']}/{leg}", one, one.data[field]) for one, leg, field in asked),
            _by_key((key_of(one), one, one.data["amount_minor"]) for one in requested),
            _by_key((key_of(one), one, one.data[DONE[one.type]]) for one in refund if one.type in DONE),
        )


def _by_key(steps: Iterable[tuple[str, Observation, int]]) -> dict[str, Moving]:
    moving: dict[str, Moving] = {}
    for key, told, minor in steps:
        if key in moving:
            moving[key].again.append((minor, told))
        elif minor:
            moving[key] = Moving(minor, told, [])
    return moving


def key_of(one: Observation) -> str:
    return f"{one.data['settlement_id']}/{one.data['leg']}"


def totals_by_leg(movements: Mapping[str, Moving]) -> Counter[str]:
    totals: Counter[str] = Counter()
    for key, moving in movements.items():
        totals[key.rpartition("/")[2]] += moving.minor
    return totals


def check(history: "OrderHistory") -> Iterator[Violation]:
    for step, moved in zip(("is asked for twice", "is requested twice", "left twice"), history.movements, strict=True):
        for key, moving in moved.items():
            for minor, told in moving.again:
                yield history.violated("M2", f"{key} {step}: {history.money(minor)} again, by {told}", told)
    yield from _asked(history)
    yield from _completed(history)
    yield from _requested(history)
    yield from _done(history)
    yield from _provided(history)


def _asked(history: "OrderHistory") -> Iterator[Violation]:
    totals = totals_by_leg(history.movements.asked)
    wanted = {"refunded": totals["refund"], "released": totals["payout"] - totals["chargeback"]}
    for place, minor in wanted.items():
        if minor != getattr(history.balance, place):
            stands = history.money(getattr(history.balance, place))
            yield history.violated(
                "M1", f"{place} {stands} by its lines, but {history.money(minor)} is asked to be moved"
            )


def _completed(history: "OrderHistory") -> Iterator[Violation]:
    """By then the buyer has all that he is to have. Two logs are compared: by their clock, as far as it can be."""
    asked, _, done = history.movements
    for completed in (one for one in history.said_by("order") if one.type == "order.completed.v1"):
        for key, moving in asked.items():
            if not key.endswith("/refund") or moving.told.offset > completed.offset:
                continue
            sentence = f"completed, and {key} over {history.money(moving.minor)} was on its way"
            if key not in done:
                yield history.missing("M1", completed, sentence)
            elif done[key].told.at > completed.at + history.snapshot.grace:
                yield history.violated("M1", sentence, completed)


def _requested(history: "OrderHistory") -> Iterator[Violation]:
    asked, requested, _ = history.movements
    for key, (minor, told, _) in requested.items():
        if key not in asked:
            over = history.money(minor)
            yield history.missing("M2", told, f"{key} over {over} is requested, but the order never asked for it")
        elif minor != asked[key].minor:
            over, wanted = history.money(minor), history.money(asked[key].minor)
            yield history.violated("M1", f"{key} is requested over {over}, asked for over {wanted}", told)
    for key in asked.keys() - requested.keys():
        sentence = f"{key} over {history.money(asked[key].minor)} was never requested"
        yield history.missing("M1", asked[key].told, sentence, "refund")


def _done(history: "OrderHistory") -> Iterator[Violation]:
    _, requested, done = history.movements
    for key, (minor, told, _) in done.items():
        if key not in requested:
            yield history.missing("M2", told, f"{key}: {history.money(minor)} left unasked, by {told}")
        elif minor != requested[key].minor:
            wanted = history.money(requested[key].minor)
            yield history.violated("M2", f"{key}: {history.money(minor)} left, {wanted} was requested", told)
    totals = totals_by_leg(done)
    left = totals["refund"] + totals["payout"]
    coming = {key: one for key, one in requested.items() if key not in done}
    came = history.balance.captured + totals["chargeback"] + totals_by_leg(coming)["chargeback"]
    if left > came:
        sentence = f"{history.money(left)} left, {history.money(came)} came in or is being charged back"
        yield history.violated("M2", sentence)


def _provided(history: "OrderHistory") -> Iterator[Violation]:
    """M4, by the provider's own word; and M2 where he says that he moved something under two references. Where he says
    something else than was asked, a person must have been told."""
    currency, (_, requested, done) = history.balance.currency, history.movements
    reviews = (one for one in history.said_by("refund") if one.type == REVIEW)
    reviewed = {key_of(one) for one in reviews if one.data["reason"] in DIFFERS}

    def differs(promise: str, key: str, sentence: str, at: Observation) -> Violation:
        found = history.missing(promise, at, sentence, "refund")
        return found._replace(excuse="with an operator") if key in reviewed else found

    references: defaultdict[str, dict[str, Observation]] = defaultdict(dict)
    said: defaultdict[str, set[tuple[int, str, str]]] = defaultdict(set)
    for one in history.of("payments.events"):
        if "provider_reference" not in one.data:
            continue  # he says no, or nothing that can be read
        key, minor, reference = one.data["payment_key"], one.data["amount_minor"], one.data["provider_reference"]
        said[key].add((minor, one.data["currency"], reference))
        references[key].setdefault(reference, one)
        moved = f"the provider moved {money(minor, one.data['currency'])} for {key}"
        if key not in requested:
            yield history.missing("M4", one, f"{moved}, which nobody requested")
        elif (minor, one.data["currency"]) != (requested[key].minor, currency):
            wanted = history.money(requested[key].minor)
            yield differs("M4", key, f"{moved}, requested was {wanted}, and nobody was told", one)
        elif key not in done:
            yield differs("M4", key, f"{moved}, the books know nothing of it", one)
    for key, (minor, told, _) in done.items():
        reference, by_hand = told.data["provider_reference"], bool(told.data.get("note"))
        if not by_hand and (minor, currency, reference) not in said[key]:
            left = f"{key}: {history.money(minor)} left as {reference}"
            yield history.missing("M4", told, f"{left}, but the provider says nothing of it")
        references[key].setdefault(reference, told)
    for key, known in references.items():
        if len(known) > 1:
            newest = max(known.values(), key=lambda one: one.at)
            again = history.money(newest.data[DONE.get(newest.type, "amount_minor")])
            yield differs("M2", key, f"{key} left twice: {again} again, as {' and as '.join(known)}", newest)
