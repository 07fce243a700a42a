"""Nobody says something new without asking who may see it and who is told of it."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import get_args

import pytest
from jinja2 import Environment, StrictUndefined, UndefinedError

from deploy.publish import models
from schemas.common import Reason
from schemas.dispute.shapes import ContestReason
from schemas.publish import is_public
from schemas.wire import AnyMessage, Event, Reply
from services.notification.letters import TEMPLATES
from services.notification.subscriptions import TOLD
from tests.domain.every_event import SEEN, WHO_HEARS_WHAT
from tests.domain.table import cells
from tests.domain.test_notification_letters import FOREIGN, RIGHT_TO_LEFT
from tests.domain.test_notification_letters import LANGUAGES as ENDS_WITH

EVENTS = [model for model in models() if issubclass(model, Event) and is_public(model)]
FAMILIES = {"order.events", "dispute.events", "mediation.events", "refund.events"}
"""Of what happens to orders; that somebody was told or woken is nobody's news."""
LANGUAGES = sorted({path.name for path in TEMPLATES.iterdir() if path.is_dir()} - RIGHT_TO_LEFT.keys())


def unseen(events: Sequence[AnyMessage], seen: str, told: str) -> Iterator[str]:
    """Events that a table does not speak of, a sentence each."""
    rows = {type_ for type_, _, _ in cells(seen)}
    kinds = {re.sub(r"\[.*", "", name) for name, _, _ in cells(told)}
    for event in events:
        if event.type not in rows:
            yield f"{event.type} has no row in SEEN of tests/domain/every_event.py: who may see it?"
        news = event.topic in FAMILIES and not issubclass(event, Reply)
        if news and event.type.rpartition(".")[0] not in kinds:
            yield (
                f"{event.type} has no row in WHO_HEARS_WHAT of tests/domain/every_event.py: who is told of it? "
                "services/notification/subscriptions.py tells him"
            )
    for type_ in sorted(rows - {event.type for event in events}):
        yield f"{type_} is in SEEN of tests/domain/every_event.py, and nobody says it"
    for kind in sorted(kinds - {event.type.rpartition(".")[0] for event in events}):
        yield f"{kind} is in WHO_HEARS_WHAT of tests/domain/every_event.py, and nobody says it"


def unwritten(told: Sequence[AnyMessage], templates: Path) -> Iterator[str]:
    """Letters that are missing, a sentence each."""
    for model in told:
        for language in LANGUAGES:
            letter = templates / language / f"{model.type.rpartition('.')[0]}.txt"
            if not letter.exists():
                yield f"somebody is told of {model.type} and {language}/{letter.name} is missing in {templates.name}/"


def test_every_event_says_who_may_see_it_and_who_is_told() -> None:
    assert not [*unseen(EVENTS, SEEN, WHO_HEARS_WHAT)]


def test_whoever_is_told_gets_a_letter_in_every_language() -> None:
    assert not [*unwritten(list(TOLD), TEMPLATES)]


def test_an_event_without_a_row_is_found() -> None:
    seen = re.sub(r"\norder\.shipped\.v1 .*", "", SEEN)
    told = re.sub(r"\norder\.shipped[ [].*", "", WHO_HEARS_WHAT)
    sentences = [*unseen(EVENTS, seen, told)]
    assert [sentence.split(":")[0] for sentence in sentences] == [
        "order.shipped.v1 has no row in SEEN of tests/domain/every_event.py",
        "order.shipped.v1 has no row in WHO_HEARS_WHAT of tests/domain/every_event.py",
    ]


def test_a_letter_that_nobody_has_written_is_found(tmp_path: Path) -> None:
    (first,) = list(TOLD)[:1]
    assert len([*unwritten([first], tmp_path)]) == len(LANGUAGES)


def wordless(reasons: Iterable[str], words: str) -> Iterator[str]:
    """Reasons that a letter cannot tell."""
    environment = Environment(undefined=StrictUndefined)
    environment.filters |= dict.fromkeys(("money", "quoted", "instant", "offset"), str)
    why = vars(environment.from_string(words).module)["why"]
    for reason in reasons:
        try:
            why(reason)
        except UndefinedError:
            yield reason


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_has_words_in_every_language(language: str) -> None:
    words = (TEMPLATES / language / "words.txt").read_text()
    lacking = [*wordless([*get_args(Reason), *get_args(ContestReason)], words)]
    assert not lacking, f"{lacking}: add words to `why` in services/notification/templates/{language}/words.txt"
    assert [*wordless(["recalled"], words)] == ["recalled"]


def test_the_letters_of_every_language_are_read_by_a_test() -> None:
    assert sorted(ENDS_WITH) == sorted(FOREIGN) == LANGUAGES, (
        "LANGUAGES and FOREIGN of tests/domain/test_notification_letters.py: how does a letter end, and which words "
        "are not to be in it?"
    )
