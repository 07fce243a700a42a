"""The movements of one order's money, from the order service's word to the bank: asked for, requested, done.

Each is known by its payment key, `<settlement_id>/<leg>`. Every step must follow from the one before, over the same
amount, and once: order.events -> refund.events, and beside it payments.events (M1, M2, M4).
"""

from collections import Counter, defaultdict
from typing import NamedTuple

from deploy.verify.case import Case
from deploy.verify.facts import Fact
from deploy.verify.report import money

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
CALLS = ("payment.refund.v1", "payment.payout.v1", "payment.charge.v1")


class Step(NamedTuple):
    """A movement at one of its steps."""

    minor: int
    fact: Fact


class Movements(NamedTuple):
    """By payment key, as far as each has come."""

    asked: dict[str, Step]
    requested: dict[str, Step]
    done: dict[str, Step]


def judge(case: Case) -> Movements:
    asked = _asked(case)
    requested = _requested(case, asked)
    done = _done(case, requested)
    _provided(case, requested, done)
    case.report.counts["movements"] += len(done)
    for promise in ("M2", "M4"):
        case.report.checked[promise] += len(done)
    return Movements(asked, requested, done)


def _asked(case: Case) -> dict[str, Step]:
    asked: dict[str, Step] = {}
    for fact in case.said_by("order"):
        for leg, field in LEGS.get(fact.type, {}).items():
            if minor := fact.data.get(field, 0):
                key = f"{fact.data['settlement_id']}/{leg}"
                if key in asked:
                    case.violated("M2", f"{key} is asked for twice, over {case.money(minor)}", fact)
                asked[key] = Step(minor, fact)
    totals = totals_by_leg(asked)
    wanted = {"refunded": totals["refund"], "released": totals["payout"] - totals["chargeback"]}
    for place, minor in wanted.items():
        if minor != getattr(case.purse, place):
            stands = case.money(getattr(case.purse, place))
            case.violated("M1", f"{place} {stands} by its lines, but {case.money(minor)} is asked to be moved")
    return asked


def totals_by_leg(steps: dict[str, Step]) -> Counter[str]:
    totals: Counter[str] = Counter()
    for key, step in steps.items():
        totals[key.rpartition("/")[2]] += step.minor
    return totals


def _requested(case: Case, asked: dict[str, Step]) -> dict[str, Step]:
    requested: dict[str, Step] = {}
    for fact in case.said_by("refund"):
        if fact.type != "refund.requested.v1":
            continue
        key, minor = _key(fact), fact.data["amount_minor"]
        if key in requested:
            case.violated("M2", f"{key} is requested twice, over {case.money(minor)}", fact)
        elif key not in asked:
            case.missing("M2", fact, f"{key} over {case.money(minor)} is requested, but the order never asked for it")
        elif minor != asked[key].minor:
            wanted = case.money(asked[key].minor)
            case.violated("M1", f"{key} is requested over {case.money(minor)}, asked for over {wanted}", fact)
        requested[key] = Step(minor, fact)
    for key in asked.keys() - requested.keys():
        if case.is_parked("refund"):
            case.report.parked["M1"] += 1
        else:
            case.missing("M1", asked[key].fact, f"{key} over {case.money(asked[key].minor)} was never requested")
    return requested


def _done(case: Case, requested: dict[str, Step]) -> dict[str, Step]:
    done: dict[str, Step] = {}
    for fact in case.said_by("refund"):
        if fact.type not in DONE:
            continue
        key, minor = _key(fact), fact.data[DONE[fact.type]]
        if key in done:
            case.violated("M2", f"{key} left twice: {case.money(minor)} again, by {fact}", fact)
            continue
        if key not in requested:
            case.missing("M2", fact, f"{key}: {case.money(minor)} left unasked, by {fact}")
        elif minor != requested[key].minor:
            wanted = case.money(requested[key].minor)
            case.violated("M2", f"{key}: {case.money(minor)} left, {wanted} was requested", fact)
        done[key] = Step(minor, fact)
    totals = totals_by_leg(done)
    left = totals["refund"] + totals["payout"]
    came = (
        case.purse.captured
        + totals["chargeback"]
        + sum(step.minor for key, step in requested.items() if key.endswith("/chargeback") and key not in done)
    )
    if left > came:
        case.violated("M2", f"{case.money(left)} left, {case.money(came)} came in or is being charged back")
    return done


def _key(fact: Fact) -> str:
    return f"{fact.data['settlement_id']}/{fact.data['leg']}"


def _provided(case: Case, requested: dict[str, Step], done: dict[str, Step]) -> None:
    """M4, by the provider's own word; and M2 where he says that he moved something under two references."""
    references: defaultdict[str, dict[str, Fact]] = defaultdict(dict)
    said: defaultdict[str, set[tuple[int, str, str]]] = defaultdict(set)
    for fact in case.of("payments.events"):
        if "provider_reference" not in fact.data:
            continue  # he says no, or nothing that can be read
        key, minor, currency = fact.data["payment_key"], fact.data["amount_minor"], fact.data["currency"]
        said[key].add((minor, currency, fact.data["provider_reference"]))
        references[key].setdefault(fact.data["provider_reference"], fact)
        moved = f"the provider moved {money(minor, currency)} for {key}"
        if key not in requested:
            case.missing("M4", fact, f"{moved}, which nobody requested")
        elif (minor, currency) != (requested[key].minor, case.purse.currency):
            case.violated("M4", f"{moved}, requested was {case.money(requested[key].minor)}", fact)
        elif key not in done:
            case.missing("M4", fact, f"{moved}, the books know nothing of it")
    for fact in case.of("payments.commands"):
        wanted = requested.get(fact.data.get("payment_key", ""))
        if fact.type in CALLS and wanted is not None and fact.data["amount_minor"] != wanted.minor:
            told = f"{fact} tells the provider to move {case.money(fact.data['amount_minor'])}"
            case.violated("M4", f"{told}, requested was {case.money(wanted.minor)}", fact)
    for key, step in done.items():
        reference, by_hand = step.fact.data["provider_reference"], bool(step.fact.data.get("note"))
        if not by_hand and (step.minor, case.purse.currency, reference) not in said[key]:
            left = f"{key}: {case.money(step.minor)} left as {reference}"
            case.missing("M4", step.fact, f"{left}, but the provider says nothing of it")
        references[key].setdefault(reference, step.fact)
    for key, known in references.items():
        if len(known) > 1:
            newest = max(known.values(), key=lambda fact: fact.at)
            moved = case.money(newest.data[DONE.get(newest.type, "amount_minor")])
            case.violated("M2", f"{key} left twice: {moved} again, as {' and as '.join(known)}", newest)
