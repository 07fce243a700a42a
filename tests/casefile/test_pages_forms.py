"""A command as a form, of whatever model: what is typed is what it says, and nothing that is typed breaks it."""

import json
from decimal import Decimal
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.example import example
from schemas.visibility import Viewer
from schemas.wire import Actor, Command
from services.casefile.front.uttering import COMMANDS
from services.casefile.pages.forms import Form, expectations, filled, fixed_of, place_of, rows_typed, typed_of
from services.casefile.pages.phrasing import Phrasing, is_word, said, words, zone_of
from services.casefile.shown.words import Locale
from shared.rules.money import DIGITS

MODELS = [model for _, model in sorted(COMMANDS.items())]
ENGLISH, GERMAN = (Phrasing(language, ZoneInfo("UTC")) for language in get_args(Locale))
UNSAID = ("order_id", "actor", "expect")
ACTOR = Actor(role="operator", id="olga")


def _example(model: type[Command]) -> dict[str, Any]:
    return {name: value for name, value in example(model).items() if name not in UNSAID}


@pytest.mark.parametrize("phrasing", [ENGLISH, GERMAN], ids=["en", "de"])
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.type)
def test_whatever_a_command_says_can_be_typed(model: type[Command], phrasing: Phrasing) -> None:
    data, order_id = _example(model), example(model)["order_id"]
    typed = typed_of(data, "EUR", phrasing)
    read = filled(Form(model, {}, "EUR", rows=rows_typed(typed)), typed, order_id, ACTOR, phrasing)

    assert not read.wrong
    spoken = {name: value for name, value in data.items() if value not in (None, [], False)}
    told = {name: value for name, value in read.data.items() if value not in (None, [], False)}
    assert json.loads(json.dumps(told)) == _without_nothing(spoken)


def _without_nothing(value: Any) -> Any:
    match value:
        case dict():
            return {name: _without_nothing(part) for name, part in value.items() if part is not None}
        case list() | tuple():
            return [_without_nothing(part) for part in value]
    return value


@given(st.sampled_from(MODELS), st.data())
def test_nothing_that_is_typed_breaks_a_form(model: type[Command], data: st.DataObject) -> None:
    text = st.text(max_size=40) | st.sampled_from(["", "yes", "1", "12.50", "-1", "9" * 30, "\x00", "٣", "1e9", "NaN"])
    names = [
        leaf.name for one in Form(model, {}, "EUR", rows={"evidence": 2, "lines": 2}).fields for leaf in one.leaves()
    ]
    typed = data.draw(st.dictionaries(st.sampled_from(names or ["x"]) | st.text(max_size=20), text, max_size=12))
    form = Form(model, {}, data.draw(st.sampled_from(["EUR", "JPY", "KWD", ""])), rows=rows_typed(typed))

    read = filled(form, typed, "A-1", ACTOR, data.draw(st.sampled_from([ENGLISH, GERMAN])))

    known = {leaf.name for one in form.fields for leaf in one.leaves()} | {""}
    assert set(read.wrong) <= known
    assert all(read.wrong.values())


@given(st.integers(0, 10**12), st.sampled_from(["EUR", *DIGITS]), st.sampled_from([ENGLISH, GERMAN]))
def test_money_is_read_as_it_is_told(minor: int, currency: str, phrasing: Phrasing) -> None:
    assert phrasing.minor(phrasing.typed(minor, currency), currency) == minor


@pytest.mark.parametrize(
    "typed", ["", "1,000.00", "1 000", "1.", ".5", "-1", "+1", "1e3", "٣", "0x10", "1.005", "9" * 16]
)
def test_what_is_no_amount_is_none(typed: str) -> None:
    with pytest.raises(ValueError):
        ENGLISH.minor(typed, "EUR")


def test_the_decimal_mark_is_the_languages_own() -> None:
    assert (ENGLISH.minor("12.5", "EUR"), GERMAN.minor("12,5", "EUR")) == (1_250, 1_250)
    for phrasing, typed in ((ENGLISH, "1,234"), (GERMAN, "1.234")):
        with pytest.raises(ValueError):
            phrasing.minor(typed, "KWD")
    assert GERMAN.money(123_456, "EUR") == "1.234,56 EUR"
    assert Decimal(ENGLISH.typed(123_456, "JPY")) == 123_456


def test_what_is_fixed_is_read_by_its_type() -> None:
    model = COMMANDS["dispute.accept_offer.v1"]
    assert fixed_of(model, {"dispute_id": "d1", "offer_id": "2"}, "EUR", ENGLISH) == {"dispute_id": "d1", "offer_id": 2}
    with pytest.raises(ValueError):
        fixed_of(model, {"offer_id": "two"}, "EUR", ENGLISH)


def test_what_is_fixed_is_not_asked_for() -> None:
    form = Form(COMMANDS["dispute.accept_offer.v1"], {"dispute_id": "d1", "offer_id": 2}, "EUR")
    assert form.fields == ()
    assert expectations(form.model) == ("reopenable", "released_to_seller", "settled_on_offer")


@pytest.mark.parametrize(
    ("type_", "code", "details", "place"),
    [
        ("mediation.decide.v1", "amount_exceeds", {"max_minor": 1}, "refund_minor"),
        ("dispute.offer.v1", "amount_exceeds", {"max_minor": 1}, "terms.refund_minor"),
        ("order.extend_protection.v1", "limit_exceeded", {"max_days": 1}, "days"),
        ("order.extend_protection.v1", "too_late", {"lost_at": "2026-05-03T15:30:00.000Z"}, ""),
        ("mediation.decide.v1", "wrong_state", None, ""),
    ],
)
def test_a_refusal_has_a_place(type_: str, code: str, details: dict[str, Any] | None, place: str) -> None:
    assert place_of(code, details, Form(COMMANDS[type_], {}, "EUR")) == place


def test_rows_are_bounded() -> None:
    form = Form(COMMANDS["dispute.add_evidence.v1"], {}, "EUR", rows=rows_typed({"evidence.999.uri": "x"}))
    (evidence,) = (one for one in form.fields if one.key == "evidence")
    assert len(evidence.parts) == 20


@pytest.mark.parametrize("zone", [None, "", "Mars/Olympus", "../../etc/passwd", "Europe"])
def test_a_zone_that_nobody_knows_is_utc(zone: str | None) -> None:
    assert zone_of(zone).key == "UTC"


def test_what_nobody_can_read_is_shown_as_that() -> None:
    assert said("a\x00b\x1b[31m\u009b<") == '<bdi dir="auto">a�b�[31m�&lt;</bdi>'


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.type)
def test_every_field_has_a_label_and_every_choice_a_word(model: type[Command]) -> None:
    fields = [leaf for one in Form(model, {}, "EUR", rows={"evidence": 1, "lines": 1}).fields for leaf in one.leaves()]
    assert not {leaf.key for leaf in fields if not leaf.key.isdigit() and f"field.{leaf.key}" not in words()}
    told = {choice for leaf in fields for choice, _ in leaf.choices} | set(expectations(model))
    assert not {choice for choice in told if not is_word(choice) and choice not in (*get_args(Viewer), "both")}
