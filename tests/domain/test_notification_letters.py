"""What the letters say, and what nobody can make them say (R49)."""

import re
from pathlib import Path
from typing import Any

import pytest

from schemas import order
from schemas.common import OrderLine
from schemas.notification import Queued
from schemas.wire import Event
from services.notification.domain import DECIDER
from services.notification.handlers import HEARS, TOLD
from services.notification.letters import TEMPLATES, Letter, Writer, letter
from tests.domain.notification_samples import SAMPLES, of_order, offer, placed, requested
from tests.domain.table import Desk


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


def letters(event: Event, **changes: Any) -> dict[str, Letter]:
    return {role: letter(queued) for role, queued in queued_for(event, **changes).items()}


def visible(html: str) -> str:
    """The words of an HTML letter."""
    return " ".join(re.sub(r"<[^>]*>", " ", html.partition("<body")[2].partition(">")[2]).split())


@pytest.mark.rule("R49")
@pytest.mark.parametrize("name", [name for name, event in SAMPLES.items() if isinstance(event, HEARS)])
def test_every_letter_can_be_written_and_reads_well(name: str) -> None:
    for role, written in letters(SAMPLES[name]).items():
        assert 10 < len(written.subject) < 100, role
        assert "order-1" in written.text
        assert written.text.rstrip().endswith("Nobody reads answers to this address.")
        assert not re.search(r"None|True|False|[{}@_]|%|  | [.,:;]|\.\.|\n\n\n", written.text), written.text
        assert not re.search(r"minor|claim_reason|T\d\d:\d\d", written.text)
        shown = " ".join(re.sub(r"^(- |> ?)", "", line) for line in written.text.splitlines() if line != "-- ")
        assert visible(written.html).replace("&#39;", "'") == " ".join(shown.split())


def test_every_template_has_its_event_and_every_event_its_template() -> None:
    assert {path.stem for path in (TEMPLATES / "en").glob("*.txt")} == {"words", "footer"} | {
        model.type.rpartition(".")[0] for model in TOLD
    }


SENTENCES = [
    ("dispute.cancelled[reopenable]", "buyer", "You may dispute again until 1 May 2026, 12:00:00 UTC."),
    ("dispute.cancelled[final]", "buyer", "You cannot dispute again: the time for it is over."),
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

    assert [subject(shipped, locale) for locale in ("pt-BR", "PT-br", "pt", "en-GB", None)] == [
        "Oi",
        "Oi",
        "Hello",
        "Hello",
        "Hello",
    ]
    assert [subject(completed, locale) for locale in ("pt-BR", "pt", "zh-CN")] == ["Olá", "Olá", "Hello"]
