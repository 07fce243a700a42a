"""What is wrong is said once."""

import logging

import pytest

from shared.runtime.problems import Problems


def test_a_problem_is_logged_when_it_begins_and_when_it_has_ended(caplog: pytest.LogCaptureFixture) -> None:
    problems = Problems()
    with caplog.at_level(logging.WARNING):
        for behind in range(3):
            problems.begin("order.events/4", f"The log ends {behind} before the cursor.", "a-log-lost-its-tail")
        assert problems.told() == [
            {
                "place": "order.events/4",
                "problem": "The log ends 2 before the cursor.",
                "recipe": "docs/OPERATIONS.md#a-log-lost-its-tail",
            }
        ]
        problems.end("order.events/4")
        problems.end("order.events/4")
    assert [record.levelname for record in caplog.records] == ["CRITICAL", "WARNING"]
    assert problems.told() == []


def test_another_problem_of_the_same_place_is_logged_too(caplog: pytest.LogCaptureFixture) -> None:
    problems = Problems()
    problems.begin("order.events/4", "The log ends before the cursor.", "a-log-lost-its-tail")
    problems.begin("order.events/4", "The topic was made anew.", "a-topic-was-made-anew")
    assert len(caplog.records) == 2
    assert [told["problem"] for told in problems.told()] == ["The topic was made anew."]


def test_whoever_looks_at_all_places_of_a_kind_keeps_what_is_still_wrong() -> None:
    problems = Problems()
    for place in ("log order.events/1", "log order.events/2", "clock broker"):
        problems.begin(place, "Wrong.", "recipe")
    problems.keep("log ", ["log order.events/2"])
    assert [told["place"] for told in problems.told()] == ["clock broker", "log order.events/2"]
