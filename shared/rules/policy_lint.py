"""What a policy must not say: windows that close a state at once, never end, or contradict each other (§9).

That every state has a timed way out, and that silence is always defined, is given by the keys: none of them can be left
out. What remains to be checked is that the numbers leave each of them its turn.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from schemas.policy import Duration, Policy
from shared.rules import calendar

LONGEST_DAYS = 3_650
"""A window that ends in ten years is no way out, and far longer ones no calendar can count."""

SOMETHING = {
    "day": "the `days` of a command would be nothing",
    "payment_window": "every order would be cancelled before it is paid",
    "processing": "every order would be cancelled as soon as it is placed",
    "protection": "the seller would be paid as soon as he ships",
    "protection_reminder": "nobody would be told before protection ends",
    "release_after_delivery": "the seller would be paid before the buyer can open his parcel",
    "seller_first_response": "the seller would be silent before he can answer",
    "auto_escalation": "every dispute would escalate as soon as it is open",
    "return_ship": "every return would be too late as soon as it is agreed on",
    "return_confirm": "the seller would have accepted every return unseen",
    "replacement_ship": "every replacement would be too late as soon as it is agreed on",
    "replacement_confirm": "the buyer would have accepted every replacement unseen",
    "appeal_window": "there are appeals, and no time for one",
    "answer": "every question would be unanswered as soon as it is asked",
    "mediator_due": "every mediator would be late as soon as he is assigned",
    "mediation_max": "every round would be over as soon as it begins",
    "refund_due": "every movement of money would be late, again and again at the same instant",
}
"""Window that must not be 0 -> what it would bring."""


@dataclass(frozen=True)
class Finding:
    """What is wrong with a policy, at the key to mend it at."""

    key: str
    reason: str


def lint(policy: Policy) -> list[Finding]:
    """What is wrong with it; nothing, if it can be published. Windows are compared once each makes sense."""
    return [*_unending(policy), *_empty(policy)] or list(_contradictions(policy))


def _unending(policy: Policy) -> Iterator[Finding]:
    for key in Policy.model_fields:
        value = getattr(policy, key)
        if isinstance(value, Duration) and _days(value) > LONGEST_DAYS:
            yield Finding(key, f"it is longer than {LONGEST_DAYS} days, which is no end")
    if _days(policy.day) * policy.max_protection_days > LONGEST_DAYS:
        yield Finding("max_protection_days", f"it is longer than {LONGEST_DAYS} days, which is no end")
    extensions = _days(policy.day) * policy.max_extension_days * policy.max_processing_extensions
    if extensions > LONGEST_DAYS:
        yield Finding("max_processing_extensions", f"all together are longer than {LONGEST_DAYS} days, which is no end")


def _empty(policy: Policy) -> Iterator[Finding]:
    unused = set() if policy.replacement else {"replacement_ship", "replacement_confirm"}
    unused |= set() if policy.appeals else {"appeal_window"}
    for key, consequence in SOMETHING.items():
        window: Duration | None = getattr(policy, key)
        if key not in unused and window is not None and window.n == 0:
            yield Finding(key, f"0 {window.unit}: {consequence}")


def _contradictions(policy: Policy) -> Iterator[Finding]:
    """A pair of windows in different units contradicts itself if any calendar day makes it do so."""
    rules = _Spans(policy)
    protection_max = policy.day.model_copy(update={"n": policy.day.n * policy.max_protection_days})
    if not rules.fits(policy.protection, protection_max):
        yield Finding("protection", "longer than max_protection_days, which no extension may pass")
    if not rules.before(policy.protection_reminder, policy.protection):
        yield Finding("protection_reminder", "not shorter than protection: it would be due before shipping")
    if not rules.before(policy.open_from, policy.protection, policy.post_expiry_window):
        yield Finding("open_from", "not before protection and post_expiry_window end: nothing could be disputed")
    if policy.max_extension_days > policy.max_protection_days:
        yield Finding("max_extension_days", "more than max_protection_days, which no extension may pass")
    if not rules.fits(policy.seller_first_response, policy.auto_escalation):
        yield Finding("seller_first_response", "longer than auto_escalation: seller_silence would never be judged")
    if policy.manual_escalation and not rules.fits(policy.manual_escalation, policy.auto_escalation):
        yield Finding("manual_escalation", "longer than auto_escalation: a silent seller's buyer could never escalate")
    if not rules.before(policy.answer, policy.mediation_max):
        yield Finding("answer", "not shorter than mediation_max: no question would be judged")
    if not rules.before(policy.mediator_due, policy.mediation_max):
        yield Finding("mediator_due", "not shorter than mediation_max: no mediator would ever be replaced")


@dataclass(frozen=True)
class _Spans:
    """Durations compared: of one unit by their number, of several by the longest and the shortest that the calendar
    makes of them."""

    policy: Policy

    def fits(self, one: Duration, other: Duration) -> bool:
        if one.unit == other.unit:
            return one.n <= other.n
        return self._longest(one) <= self._shortest(other)

    def before(self, one: Duration, *others: Duration) -> bool:
        """Whether it ends before the others do, one after the other."""
        if {one.unit} == {other.unit for other in others}:
            return one.n < sum(other.n for other in others)
        return self._longest(one) < sum(map(self._shortest, others), timedelta())

    def _longest(self, duration: Duration) -> timedelta:
        if duration.unit == "business_days":
            return calendar.longest(duration.n, self.policy.country)
        return timedelta(days=_days(duration))

    def _shortest(self, duration: Duration) -> timedelta:
        if duration.unit == "business_days":
            return calendar.shortest(duration.n, self.policy.country)
        return timedelta(days=_days(duration))


def _days(duration: Duration) -> float:
    """Business days as days."""
    per_day = {"seconds": 86_400, "hours": 24, "days": 1, "business_days": 1}
    return duration.n / per_day[duration.unit]
