"""The words of the case file: nothing that happens, may be done or is refused is without them in either language."""

from typing import get_args

import pytest

from schemas.catalogue import CONTRACT
from schemas.publish import is_public
from schemas.wire import Code, Event
from services.casefile.foresight.oracle import JUDGES
from services.casefile.shown.rows import CLOCKS
from services.casefile.shown.words import LOCALES, Locale, act_name, event_line, language_of, money, vocabulary, why
from shared.kernel.decider import Refusal

EVENTS = {name.rpartition(".")[0] for name, one in CONTRACT.items() if issubclass(one, Event) and is_public(one)}
ACTS = {one.type.rpartition(".")[0] for decider in JUDGES.values() for one in decider.inbox}


@pytest.mark.parametrize("locale", LOCALES)
def test_every_event_and_every_act_has_words(locale: Locale) -> None:
    known = vocabulary(locale)
    assert {name for kind, name in known if kind == "event"} == EVENTS
    assert {name for kind, name in known if kind == "act"} == ACTS
    assert all(known["event", name] for name in EVENTS)
    assert all(known["act", name] for name in ACTS)


@pytest.mark.parametrize("locale", LOCALES)
def test_every_clock_has_words(locale: Locale) -> None:
    assert {name for kind, name in vocabulary(locale) if kind == "clock"} == {*CLOCKS.values()}


def test_every_code_is_said_in_german_and_by_the_service_in_english() -> None:
    assert {name for kind, name in vocabulary("de") if kind == "why"} == {*get_args(Code)}
    said = Refusal("too_late", "The time to do this is over.", {"lost_at": "2026-05-03T15:30:00.000Z"})
    assert why(said, "en").message == said.message
    assert why(said, "de").message == "Die Zeit dafür ist vorbei."
    assert why(said, "de").details == said.details


def test_both_languages_say_the_same_things() -> None:
    translated = {"why", "word"}
    english, german = ({key for key in vocabulary(one) if key[0] not in translated} for one in LOCALES)
    assert english == german


def test_money_is_told_by_the_currencys_own_digits() -> None:
    assert money(123456, "EUR") == "1,234.56 EUR"
    assert money(123456, "EUR", "de") == "1.234,56 EUR"
    assert money(123456, "JPY", "de") == "123.456 JPY"
    assert money(-1234, "KWD") == "-1.234 KWD"


def test_a_line_says_what_happened_over_how_much_and_who_does_not_see_it() -> None:
    closed = {"outcome": "seller_silent", "refund_minor": 1_000, "release_minor": 0}
    assert (
        event_line("dispute.closed", closed, "EUR", "de")
        == "Streit geschlossen, Erstattung 10,00 EUR, an den Verkäufer 0,00 EUR, der Verkäufer schwieg"
    )
    declined = {"by": "buyer", "visible_to": ["buyer", "mediator", "operator"]}
    assert event_line("mediation.offer_declined", declined, "EUR") == "Offer declined, buyer, unseen by the seller"
    assert act_name("dispute.cancel", "de") == "Streit zurückziehen"


@pytest.mark.parametrize(
    ("chosen", "accepted", "language"),
    [
        (None, "", "en"),
        (None, "fr, de;q=0.5", "de"),
        (None, "en;q=0.1, de-AT;q=0.9", "de"),
        (None, "de;q=0", "en"),
        (None, "de;q=much", "en"),
        ("de", "en", "de"),
        ("xx", "en", "en"),
    ],
)
def test_a_language_is_chosen(chosen: str | None, accepted: str, language: str) -> None:
    assert language_of(chosen, accepted) == language
