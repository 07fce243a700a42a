"""No penny is lost or doubled, from the order service's word to the bank (M1, M2, M4).

An order's events add up at each of them; and every step of a movement follows from the one before, over the same
amount, and once: order.events -> refund.events, and beside it payments.events.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from deploy.verify.checks.movements import CAPTURED, DONE, EXCESS_BACK, REVERSED, REVIEW, key_of, totals_by_leg
from deploy.verify.checks.order_balance import OrderBalance
from deploy.verify.checks.order_history import OrderHistory
from deploy.verify.observation import Observation
from deploy.verify.report import Violation, money

DIFFERS = ("mismatch", "settled_again")
"""Why a person looks who was told that the provider says something else than was believed."""


def check(history: OrderHistory) -> Iterator[Violation]:
    yield from _adds_up(history)
    for step, moved in zip(
        ("is asked for twice", "is requested twice", "left twice", "left in part twice", "left too much twice"),
        history.movements[:5],
        strict=True,
    ):
        for key, moving in moved.items():
            for minor, told in moving.again:
                yield history.violated("M2", f"{key} {step}: {history.money(minor)} again, by {told}", told)
    yield from _asked(history)
    yield from _completed(history)
    yield from _requested(history)
    yield from _done(history)
    yield from _provided(history)
    yield from _confirmed(history)


def _adds_up(history: OrderHistory) -> Iterator[Violation]:
    balance = OrderBalance()
    completed = False
    for one in history.said_by("order"):
        for wrong in balance.follow(one.type, one.data, history.money):
            yield history.violated("M1", wrong, one)
        if one.type == "order.completed.v1":
            if completed:
                yield history.violated("M1", "completed again, and nothing came between", one)
            completed = True
        elif one.data.get("status", "completed") != "completed":
            completed = False


def _asked(history: OrderHistory) -> Iterator[Violation]:
    totals = totals_by_leg(history.movements.asked)
    paid_out = totals["payout"] - totals["chargeback"]
    wanted = {"refunded": totals["refund"], "released": paid_out + history.balance.commission}
    for place, minor in wanted.items():
        if minor != getattr(history.balance, place):
            stands = history.money(getattr(history.balance, place))
            yield history.violated(
                "M1", f"{place} {stands} by its lines, but {history.money(minor)} is asked to be moved"
            )


def _completed(history: OrderHistory) -> Iterator[Violation]:
    """By then the buyer has all that he is to have. Two logs are compared: by their clock, as far as it can be."""
    movements = history.movements
    for completed in (one for one in history.said_by("order") if one.type == "order.completed.v1"):
        for key, moving in movements.asked.items():
            if not key.endswith("/refund") or moving.told.offset > completed.offset:
                continue
            sentence = f"completed, and {key} over {history.money(moving.minor)} was on its way"
            if (end := movements.end_of(key)) is None:
                yield history.missing("M1", completed, sentence)
            elif end.told.at > completed.at + history.snapshot.grace:
                yield history.violated("M1", sentence, completed)


def _requested(history: OrderHistory) -> Iterator[Violation]:
    asked, requested = history.movements.asked, history.movements.requested
    for key, (minor, told, _) in requested.items():
        if "~" in key:
            continue  # of what had come back: the order service has nothing to say
        if key not in asked:
            over = history.money(minor)
            yield history.missing("M2", told, f"{key} over {over} is requested, but the order never asked for it")
        elif minor != asked[key].minor:
            over, wanted = history.money(minor), history.money(asked[key].minor)
            yield history.violated("M1", f"{key} is requested over {over}, asked for over {wanted}", told)
    for key in asked.keys() - requested.keys():
        sentence = f"{key} over {history.money(asked[key].minor)} was never requested"
        yield history.missing("M1", asked[key].told, sentence, "refund")


def _done(history: OrderHistory) -> Iterator[Violation]:
    movements = history.movements
    requested, done = movements.requested, movements.done
    for key, (minor, told, _) in done.items():
        if key not in requested:
            yield history.missing("M2", told, f"{key}: {history.money(minor)} left unasked, by {told}")
        elif minor != requested[key].minor:
            wanted = history.money(requested[key].minor)
            yield history.violated("M2", f"{key}: {history.money(minor)} left, {wanted} was requested", told)
    yield from _done_otherwise(history)
    totals = movements.left
    totals.subtract(movements.returned)
    left = totals["refund"] + totals["payout"]
    coming = totals_by_leg(movements.under_way)["chargeback"] + movements.owed["chargeback"]
    came = history.balance.captured - history.balance.commission + totals["chargeback"] + coming
    if left > came:
        sentence = (
            f"{history.money(left)} left, {history.money(came)} came in, less commission, or is being charged back"
        )
        yield history.violated("M2", sentence)


def _done_otherwise(history: OrderHistory) -> Iterator[Violation]:
    """With less the rest is still to be moved; with more, that much more is said so, and no more of it comes back."""
    movements = history.movements
    for key, (minor, told, _) in movements.in_part.items():
        wanted, rest = movements.requested.get(key), told.data["rest_minor"]
        if wanted is None or minor + rest != wanted.minor:
            requested = history.money(wanted.minor if wanted else 0)
            sentence = f"{key}: {history.money(minor)} left and {history.money(rest)} is to follow"
            yield history.violated("M2", f"{sentence}, {requested} was requested", told)
    for key, (minor, told, _) in movements.excess.items():
        if key not in movements.done:
            sentence = f"{key}: {history.money(minor)} too much left of what never left"
            yield history.violated("M2", f"{sentence}, by {told}", told)
    for key, minor in movements.excess_returned.items():
        most = movements.excess[key].minor if key in movements.excess else 0
        if minor > most:
            sentence = f"{key}: {history.money(minor)} came back of {history.money(most)} too much"
            yield history.violated("M2", sentence)


def _provided(history: OrderHistory) -> Iterator[Violation]:
    """M4, by the provider's own word; and M2 where he says that he moved something under two references. Where he says
    something else than was asked, a person must have been told."""
    currency, requested, done = history.balance.currency, history.movements.requested, history.movements.done
    reviews = [one for one in history.said_by("refund") if one.type == REVIEW]
    reviewed = {key_of(one) for one in reviews if one.data["reason"] in DIFFERS}
    reviewed |= {one.data["payment_key"] for one in reviews if one.data.get("payment_key")}
    in_part, excess = history.movements.in_part, history.movements.excess
    back = (REVIEW, REVERSED, EXCESS_BACK)
    kept = {one.data.get("provider_reference") for one in history.said_by("refund") if one.type in back}

    def differs(promise: str, key: str, sentence: str, at: Observation) -> Violation:
        found = history.missing(promise, at, sentence, "refund")
        return found._replace(excuse="with an operator") if key in reviewed else found

    references: defaultdict[str, dict[str, Observation]] = defaultdict(dict)
    said: defaultdict[str, set[tuple[int, str, str]]] = defaultdict(set)
    for one in history.of("payments.events"):
        if one.type == "payment.captured.v1" or (one.data.get("payment_key") or "") == f"{history.order_id}/capture":
            continue  # what came in: the ledger is held against it by what was placed
        if "provider_reference" not in one.data:
            if (key := one.data.get("payment_key")) and key not in requested:
                yield _unasked(history, one, f"the provider says no to {key}, which nobody requested")
            continue
        key, minor, reference = one.data["payment_key"], one.data["amount_minor"], one.data["provider_reference"]
        if one.type == "payment.reversed.v1":
            if reference not in kept:
                came = f"the provider says that {money(minor, one.data['currency'])} of {key} came back as {reference}"
                yield history.missing("M4", one, f"{came}, and nobody was told", "refund")
            continue
        said[key].add((minor, one.data["currency"], reference))
        references[key].setdefault(reference, one)
        moved = f"the provider moved {money(minor, one.data['currency'])} for {key}"
        if key not in requested:
            yield _unasked(history, one, f"{moved}, which nobody requested")
        elif one.data["currency"] == currency and minor == _booked(history, key):
            pass
        elif (minor, one.data["currency"]) != (requested[key].minor, currency):
            wanted = history.money(requested[key].minor)
            yield differs("M4", key, f"{moved}, requested was {wanted}, and nobody was told", one)
        elif key not in done:
            yield differs("M4", key, f"{moved}, the books know nothing of it", one)
    for key, (minor, told, _) in done.items():
        reference, by_hand = told.data["provider_reference"], bool(told.data.get("note"))
        moved_minor = minor + (excess[key].minor if key in excess else 0)
        if not by_hand and (moved_minor, currency, reference) not in said[key]:
            left = f"{key}: {history.money(minor)} left as {reference}"
            yield history.missing("M4", told, f"{left}, but the provider says nothing of it")
        references[key].setdefault(reference, told)
    for key, (_, told, _) in in_part.items():
        references[key].setdefault(told.data["provider_reference"], told)
    for key, (minor, told, _) in excess.items():
        amounts = {amount for amount, of, _ in said[key] if of == currency}
        if key in requested and requested[key].minor + minor not in amounts:
            sentence = f"{key}: {history.money(minor)} too much left, but the provider says nothing of it"
            yield history.missing("M4", told, sentence)
    for key, known in references.items():
        if len(known) > 1:
            newest = max(known.values(), key=lambda one: one.at)
            again = history.money(newest.data[DONE.get(newest.type, "amount_minor")])
            yield differs("M2", key, f"{key} left twice: {again} again, as {' and as '.join(known)}", newest)


def _booked(history: OrderHistory, key: str) -> int | None:
    """What the books say that left under it, with what was too much; None: nothing."""
    movements = history.movements
    moved = movements.in_part.get(key) or movements.done.get(key)
    if moved is None:
        return None
    return moved.minor + (movements.excess[key].minor if key in movements.excess else 0)


def _unasked(history: OrderHistory, answer: Observation, sentence: str) -> Violation:
    """An answer to what was never asked. Where it was laid aside, somebody was told."""
    found = history.missing("M4", answer, sentence)
    key = answer.data["payment_key"]
    told = any(letter.id == answer.place for letter in history.of("refund.dead-letters"))
    told |= any(one.type == REVIEW and one.data.get("payment_key") == key for one in history.said_by("refund"))
    return found._replace(excuse="with an operator") if told else found


def _confirmed(history: OrderHistory) -> Iterator[Violation]:
    """What must be confirmed is booked because the payment service said so: of this payment, over this amount (R61)."""
    placed = next((one for one in history.said_by("order") if one.type == "order.placed.v1"), None)
    if placed is None or placed.data.get("status") != "awaiting_payment":
        return
    payment = placed.data["payment"]
    wanted = payment["payment_id"], payment["amount_minor"], placed.data["currency"]
    told = [
        (one.data["payment_id"], one.data["amount_minor"], one.data["currency"])
        for one in history.of("payments.events")
        if one.type == "payment.captured.v1"
    ]
    for one in history.said_by("refund"):
        if one.type == CAPTURED and wanted not in told:
            sentence = f"{history.money(wanted[1])} captured as {wanted[0]}, but the provider says nothing of it"
            yield history.missing("M4", one, sentence)


def check_payment(payment_id: str, placed: Iterable[Observation]) -> Iterator[Violation]:
    """A payment is behind one order, or its money leaves for each of them. `placed`: those that name it."""
    orders = {one.order_id: one for one in placed}
    for other in list(orders.values())[1:]:
        sentence = f"the payment {payment_id} is behind this order and behind {next(iter(orders))}"
        yield Violation("M2", sentence, other.order_id, other.place)
