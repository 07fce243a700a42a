"""What the letters say, and what nobody can make them say (R49)."""

import re
import unicodedata
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import Environment, meta

from schemas.common import OrderLine
from schemas.notification.events import Queued
from schemas.order import events as order
from schemas.wire import Event
from services.notification.domain import DECIDER
from services.notification.letters import TEMPLATES, Letter, Writer, _harmless, _has_right_to_left, letter
from services.notification.subscriptions import SUBSCRIPTIONS, TOLD
from tests.domain.notification_samples import SAMPLES, of_order, offer, placed, requested
from tests.domain.table import NOON, Desk


def queued_for(event: Event, **changes: Any) -> dict[str, Queued]:
    desk = Desk(DECIDER)
    if isinstance(event, order.Placed):
        said = desk.hear(event)
    else:
        for before in (placed(**changes), requested(), SAMPLES["mediation.assigned"]):
            desk.hear(before)
        desk.wait(hours=1)
        said = desk.hear(event)
    return {one.recipient.role: one for one in said if isinstance(one, Queued)}


def letters(event: Event, locale: str | None = None, **changes: Any) -> dict[str, Letter]:
    """Role -> his letter; in this language if one is named, else in his own."""
    spoken = {} if locale is None else {"locale": locale}
    queued = queued_for(event, **changes)
    return {role: letter(one.model_copy(update=spoken)) for role, one in queued.items()}


def visible(html: str) -> str:
    """The words of an HTML letter."""
    return " ".join(re.sub(r"<[^>]*>", " ", html.partition("<body")[2].partition(">")[2]).split())


RIGHT_TO_LEFT = {"ar": ("order.placed", "order.completed", "refund.settled")}
"""Languages of which there are some letters only: all others of theirs are in English."""
LANGUAGES = {"en": "Nobody reads answers to this address.", "de": "Antworten an diese Adresse liest niemand."}
"""How a letter ends."""
FOREIGN = {
    "en": r"\b(der|die|das|und|Sie|Streitfall)\b",
    "de": r"\b(the|and|you|order|dispute|buyer|seller)\b(?!-)",
}
"""What is not to be read in a letter of the language: words of the other one."""


@pytest.mark.rule("R49")
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", [name for name, event in SAMPLES.items() if isinstance(event, SUBSCRIPTIONS)])
def test_every_letter_can_be_written_and_reads_well(name: str, language: str) -> None:
    for role, written in letters(SAMPLES[name], language).items():
        assert 10 < len(written.subject) < 100, role
        assert "order-1" in written.text
        assert written.text.rstrip().endswith(LANGUAGES[language])
        assert f'<html lang="{language}">' in written.html
        assert not re.search(r"None|True|False|[{}@_]|%|  | [.,:;]|\.\.|\n\n\n", written.text), written.text
        assert not re.search(r"minor|claim_reason|T\d\d:\d\d", written.text)
        shown = " ".join(re.sub(r"^(- |> ?)", "", line) for line in written.text.splitlines() if line != "-- ")
        assert visible(written.html).replace("&#39;", "'") == " ".join(shown.split())
        ours = re.sub(r"^> .*$", "", written.text, flags=re.MULTILINE)
        assert not re.search(FOREIGN[language], ours), ours


def test_every_template_has_its_event_and_every_event_its_template() -> None:
    assert {path.stem for path in (TEMPLATES / "en").glob("*.txt")} == {"words", "footer"} | {
        model.type.rpartition(".")[0] for model in TOLD
    }


def facts_asked_for(language: str, template: str) -> set[str]:
    """What a template wants to know, but for the words that all letters of its language know."""
    environment = Environment()
    environment.filters |= dict.fromkeys(("money", "quoted", "instant", "offset"), str)
    asked = meta.find_undeclared_variables(environment.parse((TEMPLATES / language / f"{template}.txt").read_text()))
    return asked - set(vars(environment.from_string((TEMPLATES / language / "words.txt").read_text()).module))


@pytest.mark.rule("R49")
@pytest.mark.parametrize("language", sorted(LANGUAGES.keys() - {"en"}))
@pytest.mark.parametrize("template", sorted(path.stem for path in (TEMPLATES / "en").glob("*.txt")))
def test_a_letter_uses_the_facts_of_the_english_one(template: str, language: str) -> None:
    assert facts_asked_for(language, template) == facts_asked_for("en", template)


def test_no_language_has_letters_that_english_lacks() -> None:
    english = {path.name for path in (TEMPLATES / "en").iterdir()}
    assert not [path for path in TEMPLATES.glob("*/*") if path.name not in english]


GERMAN = [
    ("order.placed", "buyer", "Ihre Zahlung von 20,00 EUR ist eingegangen."),
    ("order.placed", "buyer", "Der Verkäufer hat bis zum 9. März 2026, 12:00 UTC Zeit für den Versand."),
    ("order.placed", "seller", "- 1 × Blue lamp: 12,50 EUR"),
    ("dispute.opened[by_hand]", "seller", "Wenn Sie nichts tun, wird der Forderung des Käufers entsprochen."),
    ("dispute.opened[by_hand]", "seller", "Der Grund: Die Ware kam beschädigt an."),
    ("dispute.message_sent[seller]", "buyer", "eine Nachricht vom Verkäufer"),
    ("dispute.cancelled[reopenable]", "buyer", "Bis zum 1. Mai 2026, 12:00 UTC können Sie erneut einen Streitfall"),
    ("dispute.decided[appealable]", "seller", "können Sie bis zum 9. März 2026, 12:00 UTC einmal Einspruch einlegen"),
]


@pytest.mark.rule("R49")
@pytest.mark.parametrize("locale", ["de", "de-AT", "DE-ch"])
@pytest.mark.parametrize(("name", "role", "sentence"), GERMAN)
def test_a_german_letter_says_it_in_german(name: str, role: str, sentence: str, locale: str) -> None:
    written = letters(SAMPLES[name], locale)[role]
    assert sentence in f"{written.subject}\n{written.text}"


@pytest.mark.parametrize(
    ("currency", "shown"),
    [("EUR", "1.234.567,89 EUR"), ("JPY", "123.456.789 JPY"), ("KWD", "123.456,789 KWD")],
)
def test_german_money_has_german_separators(currency: str, shown: str) -> None:
    paid = placed(currency=currency, total_minor=123_456_789)
    assert shown in letters(paid, "de")["buyer"].text


def test_german_time_shows_seconds_only_where_there_are_any() -> None:
    odd = SAMPLES["order.shipped"].model_copy(update={"protection_ends_at": NOON + timedelta(seconds=5)})
    assert "bis zum 2. März 2026, 12:00:05 UTC geschützt" in letters(odd, "de")["buyer"].text


SENTENCES = [
    ("dispute.cancelled[reopenable]", "buyer", "You may dispute again until 1 May 2026, 12:00:00 UTC."),
    ("dispute.cancelled[final]", "buyer", "You cannot dispute again: that is open only to"),
    (
        "dispute.opened[by_hand]",
        "buyer",
        "You may dispute again only if you cancel by 1 May 2026, 12:00:00 UTC, before",
    ),
    ("dispute.opened[by_hand]", "buyer", "and if the rules of your order leave you another dispute."),
    ("dispute.closed[arbitration_cancelled]", "buyer", "you cannot dispute again"),
    ("dispute.offer_made[nothing]", "buyer", "the dispute ends, the seller is paid, and you cannot dispute again"),
    ("order.protection_ending[held]", "buyer", "If you do nothing, 20.00 EUR are then paid to the seller."),
    ("order.protection_ending[disputed]", "buyer", "if you cancel that dispute after 1 May 2026, 12:00:00 UTC"),
    ("dispute.opened[by_hand]", "seller", "If you do nothing, the buyer is granted what was asked for."),
    ("dispute.opened[by_hand]", "seller", "the goods came damaged"),
    ("mediation.question_asked[buyer]", "buyer", "If you do nothing, the dispute is closed and everything goes to"),
    ("mediation.question_asked[seller]", "seller", "If you do nothing, the mediator decides without your word."),
    ("dispute.decided[appealable]", "seller", "you can appeal by 9 March 2026, 12:00:00 UTC, once"),
    ("dispute.decided[final]", "seller", "No appeal is possible."),
    ("dispute.return_awaited[agreed]", "buyer", "If you do nothing, you get no refund"),
    ("mediation.decided", "buyer", "> The photo shows it."),
]


@pytest.mark.rule("R49")
@pytest.mark.parametrize(("name", "role", "sentence"), SENTENCES)
def test_a_letter_says_what_it_means_and_what_happens_if_nothing_is_done(name: str, role: str, sentence: str) -> None:
    assert sentence in letters(SAMPLES[name])[role].text


@pytest.mark.rule("R42")
def test_the_question_is_shown_only_to_whom_it_is_put() -> None:
    written = letters(SAMPLES["mediation.question_asked[buyer]"])
    assert "When?" in written["buyer"].text
    assert "When?" not in written["seller"].text


def test_what_people_typed_is_escaped_in_html_and_quoted_in_both() -> None:
    text = "<script>x</script>\n\nRecourse: pay here\r\n- now\u2028> later\u202egnp"
    [written] = letters(of_dispute_message(text)).values()
    assert "<script>" not in written.html
    assert "&lt;script&gt;" in written.html
    body = written.text.partition("You can answer in the dispute.")[0]
    assert "> Recourse: pay here\n> - now\n> > later" in body
    assert "\u202e" not in written.text + written.html
    assert "<p>Recourse" not in written.html


def of_dispute_message(text: str) -> Event:
    said = SAMPLES["dispute.message_sent[seller]"]
    return said.model_copy(update={"text": text})


def test_a_name_with_line_breaks_stays_on_its_line() -> None:
    title = "Lamp\r\nBcc: all\n\n- Pay here\x07"
    lines = (OrderLine(line_id="lamp", title=title, quantity=1, amount_minor=2_000),)
    written = letters(placed(lines=lines))["buyer"]
    assert "- 1 × Lamp Bcc: all - Pay here: 20.00 EUR\n" in written.text
    shipped = SAMPLES["order.shipped"].model_copy(update={"carrier": "Post\n\nHello"})
    assert "with Post Hello, tracking number RR1." in letters(shipped)["buyer"].text


@pytest.mark.parametrize(("currency", "shown"), [("EUR", "12.50 EUR"), ("JPY", "1250 JPY"), ("KWD", "1.250 KWD")])
def test_money_has_the_digits_of_its_currency(currency: str, shown: str) -> None:
    assert shown in letters(offer("buyer"), currency=currency)["seller"].text


def test_a_locale_falls_back_letter_by_letter(tmp_path: Path) -> None:
    for language, word in {"en": "Hello", "pt": "Olá", "pt-BR": "Oi"}.items():
        folder = tmp_path / language
        folder.mkdir()
        for name in ("words", "footer"):
            (folder / f"{name}.txt").write_text("")
        (folder / "order.completed.txt").write_text(f"{word}\n\n{word}")
    (tmp_path / "pt-BR" / "order.completed.txt").unlink()
    (tmp_path / "pt-BR" / "order.shipped.txt").write_text("Oi\n\nOi")
    (tmp_path / "en" / "order.shipped.txt").write_text("Hello\n\nHello")
    (tmp_path / "letter.html").write_text("{{ language }}")
    writer = Writer(tmp_path)
    completed = queued_for(of_order(order.Completed, refund_minor=0, release_minor=1))["buyer"]
    shipped = queued_for(SAMPLES["order.shipped"])["buyer"]

    def subject(queued: Queued, locale: str | None) -> str:
        return writer.letter(queued.model_copy(update={"locale": locale})).subject

    strange = ("pt_BR", "pt-BR-u-co-phonebk", "pt_BR.UTF-8", "pt-x-twain", "x", "", "-", "english", "'; --", "pt" * 100)
    told = ["Oi", "Oi", "Oi", "Hello", *["Hello"] * 6]
    assert [subject(shipped, locale) for locale in strange] == told
    assert [subject(shipped, locale) for locale in ("pt-BR", "PT-br", "pt", "en-GB", None)] == [
        "Oi",
        "Oi",
        "Hello",
        "Hello",
        "Hello",
    ]
    assert [subject(completed, locale) for locale in ("pt-BR", "pt", "zh-CN")] == ["Olá", "Olá", "Hello"]


# -- what is looked at quickly -----------------------------------------------------------------------------------------

ODD = [
    "",
    "Lamp",
    "Lamp\r\nBcc: all\x07",
    "\t\n\x0b\x1f \x7f\x80\x9f\xa0",
    "Überzug ½ €",
    "\u058f\u0590\u0591",
    "שולחן 5",
]


def without_controls(text: str) -> str:
    return "".join(one for one in text if unicodedata.category(one) != "Cc" or one in "\n\t")


def is_read_from_the_right(text: str) -> bool:
    return any(unicodedata.bidirectional(one) in {"R", "AL", "AN"} for one in text)


@pytest.mark.parametrize("plane", range(17))
def test_every_character_is_judged_as_unicode_has_it(plane: int) -> None:
    characters = [chr(0x1_0000 * plane + low) for low in range(0x1_0000)]
    assert _harmless("".join(characters)) == without_controls("".join(characters))
    assert [one for one in characters if _has_right_to_left(one) != is_read_from_the_right(one)] == []


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.sampled_from(ODD), st.text(), st.lists(st.sampled_from(ODD)).map("".join)))
def test_a_line_is_judged_as_all_its_characters_are(line: str) -> None:
    assert _harmless(line) == without_controls(line)
    assert _has_right_to_left(line) == is_read_from_the_right(line)


# -- from right to left, and in his own time ---------------------------------------------------------------------------


def ordered(title: str, locale: str, **changes: Any) -> Letter:
    lines = (OrderLine(line_id="l", title=title, quantity=3, amount_minor=4_900),)
    return letters(placed(lines=lines, total_minor=4_900, **changes), locale)["buyer"]


def shown(line: str, base: str) -> list[str]:
    """The parts of a line as the eye meets them, from the side of its language: an isolate is one part, wherever its own
    words begin (UAX 9). What stands outside of isolates is of the language's own side or of none."""
    outside = re.sub("\u2068[^\u2068\u2069]*\u2069", "", line)
    other = {"ltr": {"R", "AL", "AN"}, "rtl": {"L"}}[base]
    assert not [one for one in outside if unicodedata.bidirectional(one) in other], line
    return re.findall("(?<=\u2068)[^\u2069]*(?=\u2069)|[^\u2068\u2069]+", line)


@pytest.mark.rule("R79")
@pytest.mark.parametrize("title", ["שולחן", "منضدة 5", "Table שולחן 5", "٥ كراسي"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_title_from_right_to_left_moves_no_amount(title: str, language: str) -> None:
    written = ordered(title, language)
    amount = "49,00 EUR" if language == "de" else "49.00 EUR"
    [line] = [one for one in written.text.splitlines() if one.startswith("- ")]
    assert shown(line, "ltr") == ["- 3 × ", title, f": {amount}"]
    assert f"<li>3 × \u2068{title}\u2069: {amount}</li>" in written.html


@pytest.mark.rule("R79")
def test_nobody_but_us_isolates_anything() -> None:
    written = ordered("שולחן\u2069 4.00 EUR\u2067", "en")
    [line] = [one for one in written.text.splitlines() if one.startswith("- ")]
    assert shown(line, "ltr") == ["- 3 × ", "שולחן 4.00 EUR", ": 49.00 EUR"]


@pytest.mark.rule("R79")
def test_a_letter_that_is_read_from_left_to_right_has_no_marks_where_nothing_goes_the_other_way() -> None:
    for language in LANGUAGES:
        assert not re.search("[\u200e\u200f\u202a-\u202e\u2066-\u2069]", ordered("Lamp", language).text)


@pytest.mark.rule("R79")
@pytest.mark.parametrize("title", ["Desk lamp 5", "منضدة"])
def test_a_letter_from_right_to_left_isolates_amounts_titles_and_instants(title: str) -> None:
    written = ordered(title, "ar-EG")
    assert '<html lang="ar" dir="rtl">' in written.html
    assert shown(written.subject, "rtl") == ["الطلب ", "order-1", ": دُفع ", "49.00 EUR"]
    [line] = [one for one in written.text.splitlines() if one.startswith("- ")]
    assert "".join(shown(line, "rtl")) == f"- \u200f3 × {title}: 49.00 EUR"
    assert ("\u2068" + title in line) == (title == "Desk lamp 5")
    assert line.endswith("\u206849.00 EUR\u2069")
    assert "حتى 9 مارس 2026، \u206812:00:00\u2069 \u2068UTC\u2069 لشحن" in written.text
    for paragraph in written.text.splitlines():
        shown(paragraph, "rtl")


@pytest.mark.rule("R79")
@pytest.mark.parametrize("language", RIGHT_TO_LEFT)
@pytest.mark.parametrize(
    "name", [name for name in SAMPLES if name.partition("[")[0] in {*RIGHT_TO_LEFT["ar"]} and name != "order.placed"]
)
def test_the_letters_of_a_language_from_right_to_left_read_from_there(language: str, name: str) -> None:
    for written in letters(SAMPLES[name], language).values():
        words = " ".join(re.sub(r"^(- |> ?)", "", line) for line in written.text.splitlines() if line != "-- ")
        assert visible(written.html) == " ".join(words.split())
        assert not re.search(r"None|True|False|[{}@_]|%|\n\n\n", written.text), written.text
        for line in [written.subject, *written.text.splitlines()]:
            if not line.startswith("> "):
                shown(line, "rtl")


@pytest.mark.rule("R79")
def test_what_a_language_lacks_is_told_in_english() -> None:
    assert letters(SAMPLES["order.shipped"], "ar")["buyer"] == letters(SAMPLES["order.shipped"], "en")["buyer"]
    for language, written in RIGHT_TO_LEFT.items():
        assert {path.stem for path in (TEMPLATES / language).glob("*.txt")} == {*written, "words", "footer"}
        for template in (*written, "footer"):
            assert facts_asked_for(language, template) == facts_asked_for("en", template)


ZONES = [
    (None, "9 March 2026, 12:00:00 UTC", "Times are in UTC."),
    ("Mars/Olympus", "9 March 2026, 12:00:00 UTC", "Times are in UTC."),
    ("../../etc/passwd", "9 March 2026, 12:00:00 UTC", "Times are in UTC."),
    ("Europe", "9 March 2026, 12:00:00 UTC", "Times are in UTC."),
    ("", "9 March 2026, 12:00:00 UTC", "Times are in UTC."),
    ("Europe/Berlin", "9 March 2026, 13:00:00 UTC+1", "Times are those of Europe/Berlin."),
    ("America/New_York", "9 March 2026, 08:00:00 UTC-4", "Times are those of America/New York."),
    ("Asia/Kolkata", "9 March 2026, 17:30:00 UTC+5:30", "Times are those of Asia/Kolkata."),
    ("Pacific/Kiritimati", "10 March 2026, 02:00:00 UTC+14", "Times are those of Pacific/Kiritimati."),
]


@pytest.mark.rule("R79")
@pytest.mark.parametrize(("time_zone", "instant", "named"), ZONES)
def test_times_are_the_recipients_own_where_his_zone_is_known(time_zone: str | None, instant: str, named: str) -> None:
    paid = placed()
    paid = paid.model_copy(update={"buyer": paid.buyer.model_copy(update={"time_zone": time_zone})})
    written = letters(paid)
    assert f"The seller has until {instant} to ship." in written["buyer"].text
    assert named in written["buyer"].text
    assert "by 9 March 2026, 12:00:00 UTC." in written["seller"].text


BY_HAND = [
    ("refund.settled", "buyer", "It goes the way you paid", "by other means than you paid"),
    ("refund.paid_out", "seller", "We have paid", "by other means than usual"),
    ("refund.charged_back", "seller", "were taken from your balance", "by other means than from your balance"),
]


@pytest.mark.rule("R79")
@pytest.mark.parametrize(("name", "role", "by_itself", "by_hand"), BY_HAND)
def test_what_an_operator_paid_by_other_means_is_not_said_to_have_come_the_usual_way(
    name: str, role: str, by_itself: str, by_hand: str
) -> None:
    usual, other = (letters(SAMPLES[one])[role].text for one in (name, f"{name}[by_hand]"))
    assert by_itself in usual
    assert by_hand not in usual
    assert by_itself not in other
    assert by_hand in other
    assert "\n> Paid " in other


@pytest.mark.rule("R79")
def test_a_completed_order_names_the_days_that_are_left_for_a_dispute() -> None:
    for name, left in (("disputable", True), ("paid", False)):
        for role, written in letters(SAMPLES[f"order.completed[{name}]"]).items():
            assert ("17 March 2026, 12:00:00 UTC" in written.text) == left, role
            assert ("There is nothing left to do." in written.text) == (not left)
    over = SAMPLES["order.completed[disputable]"].model_copy(update={"disputable_until": NOON})
    assert "There is nothing left to do." in letters(over)["buyer"].text
