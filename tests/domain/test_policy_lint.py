"""What a policy must not say (§9): one row per finding, and next to the edge what is still good."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.policy import Duration, Policy
from shared.rules import calendar, policies
from shared.rules.policies import PUBLISHED, BrokenPolicy
from shared.rules.policy_lint import lint

FILE = "aliexpress.1.yaml"
CONTENT = (PUBLISHED / FILE).read_text()
KNOWN = policies.load()
STARTS = [datetime(2016, 1, 1, 12, tzinfo=UTC) + timedelta(days=10 * n) for n in range(250)]


def changed(**changes: Any) -> Policy:
    _, policy = policies.read(FILE, CONTENT.encode())
    return Policy.model_validate(policy.model_dump() | changes)


def days(n: int) -> dict[str, object]:
    return {"n": n, "unit": "days"}


def hours(n: int) -> dict[str, object]:
    return {"n": n, "unit": "hours"}


def working(n: int) -> dict[str, object]:
    return {"n": n, "unit": "business_days"}


@pytest.mark.parametrize("policy", KNOWN.by_ref.values(), ids=lambda policy: policy.name)
def test_every_published_policy_is_good(policy: Policy) -> None:
    assert lint(policy) == []


BAD: list[tuple[dict[str, Any], str, str]] = [
    # closed at once
    ({"day": days(0)}, "day", "the `days` of a command would be nothing"),
    ({"processing": days(0)}, "processing", "cancelled as soon as it is placed"),
    ({"protection": days(0)}, "protection", "the seller would be paid as soon as he ships"),
    ({"protection_reminder": hours(0)}, "protection_reminder", "nobody would be told before"),
    ({"seller_first_response": days(0)}, "seller_first_response", "silent before he can answer"),
    ({"auto_escalation": days(0)}, "auto_escalation", "escalate as soon as it is open"),
    ({"return_ship": days(0)}, "return_ship", "too late as soon as it is agreed on"),
    ({"return_confirm": days(0)}, "return_confirm", "accepted every return unseen"),
    ({"replacement": True, "replacement_ship": days(0)}, "replacement_ship", "too late as soon as it is agreed on"),
    ({"replacement": True, "replacement_confirm": days(0)}, "replacement_confirm", "accepted every replacement unseen"),
    ({"appeal_window": days(0)}, "appeal_window", "there are appeals, and no time for one"),
    ({"answer": working(0)}, "answer", "unanswered as soon as it is asked"),
    ({"mediator_due": working(0)}, "mediator_due", "late as soon as he is assigned"),
    ({"mediation_max": working(0)}, "mediation_max", "over as soon as it begins"),
    ({"refund_due": working(0)}, "refund_due", "late, again and again"),
    # no end
    ({"processing": days(3_651)}, "processing", "longer than 3650 days"),
    ({"protection": hours(100_000_000)}, "protection", "longer than 3650 days"),
    ({"mediation_max": working(100_000_000)}, "mediation_max", "longer than 3650 days"),
    ({"max_protection_days": 3_651}, "max_protection_days", "longer than 3650 days"),
    ({"max_processing_extensions": 122}, "max_processing_extensions", "longer than 3650 days"),
    # contradictions
    ({"protection": days(121)}, "protection", "longer than max_protection_days"),
    ({"day": hours(23), "protection": days(116)}, "protection", "longer than max_protection_days"),
    ({"protection_reminder": days(60)}, "protection_reminder", "not shorter than protection"),
    ({"open_from": days(60)}, "open_from", "nothing could be disputed"),
    ({"open_from": days(65), "post_expiry_window": days(5)}, "open_from", "nothing could be disputed"),
    ({"max_extension_days": 121}, "max_extension_days", "more than max_protection_days"),
    ({"seller_first_response": days(16)}, "seller_first_response", "seller_silence would never be judged"),
    ({"manual_escalation": days(16)}, "manual_escalation", "could never escalate"),
    ({"answer": working(60)}, "answer", "no question would be judged"),
    ({"mediator_due": working(60)}, "mediator_due", "no mediator would ever be replaced"),
    # of several units: as long and as short as the calendar makes them
    ({"seller_first_response": working(6)}, "seller_first_response", "never be judged"),  # spring festival
    ({"auto_escalation": working(12)}, "seller_first_response", "never be judged"),  # a Saturday that was worked
    ({"answer": days(81)}, "answer", "no question would be judged"),
]


@pytest.mark.parametrize(("changes", "key", "reason"), BAD)
def test_a_policy_that_means_nothing_is_found_out(changes: dict[str, Any], key: str, reason: str) -> None:
    findings = {finding.key: finding.reason for finding in lint(changed(**changes))}

    assert reason in findings[key]


@pytest.mark.parametrize(
    "changes",
    [
        {"protection": days(120)},
        {"day": hours(12), "protection": days(60)},
        {"protection_reminder": days(59)},
        {"open_from": days(59)},
        {"open_from": days(60), "post_expiry_window": days(1)},
        {"max_extension_days": 120},
        {"max_processing_extensions": 0},
        {"max_reopens": 0},
        {"seller_first_response": hours(360)},
        {"seller_first_response": working(5)},
        {"manual_escalation": None},
        {"manual_escalation": days(0)},
        {"appeals": 0, "appeal_window": days(0)},
        {"replacement_ship": days(0), "replacement_confirm": days(0)},
        {"auto_escalation": working(13)},
        {"answer": days(80)},
        {"mediation_max": working(11)},
        {"day": {"n": 86_400, "unit": "seconds"}, "max_protection_days": 3_650},
    ],
)
def test_what_is_only_unusual_is_good(changes: dict[str, Any]) -> None:
    assert lint(changed(**changes)) == []


def test_a_file_is_refused_with_the_line_of_each_finding() -> None:
    content = CONTENT
    for key in ("manual_escalation", "seller_first_response"):
        content = re.sub(rf"^{key}: .*$", f"{key}: {{n: 16, unit: days}}", content, flags=re.MULTILINE)
        assert content != CONTENT

    with pytest.raises(BrokenPolicy) as refusal:
        policies.read(FILE, content.encode())

    assert str(refusal.value) == (
        "aliexpress.1.yaml, line 19: seller_first_response: longer than auto_escalation: seller_silence would never be"
        " judged; aliexpress.1.yaml, line 20: manual_escalation: longer than auto_escalation: a silent seller's buyer"
        " could never escalate"
    )


@pytest.mark.rule("R0")
@pytest.mark.parametrize("country", ["CN", "DE", "IL"])
@pytest.mark.parametrize("n", [0, 1, 5, 60, 260, 300])
def test_no_working_days_are_shorter_or_longer_than_the_calendar_makes_them(n: int, country: str) -> None:
    policy = changed(country=country, time_zone="UTC")
    window = Duration(n=n, unit="business_days")

    spans = [calendar.after(start, window, policy) - start for start in STARTS]

    assert calendar.shortest(n, country) <= min(spans)
    assert max(spans) <= calendar.longest(n, country)
