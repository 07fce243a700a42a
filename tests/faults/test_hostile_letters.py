"""What people type cannot speak for the platform: not in a subject, a header, the text or the HTML of any letter."""

import re
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.headerregistry import Address
from typing import Any

import pytest

from schemas.notification.events import Queued
from services.notification.letters import Letter, letter
from services.notification.smtp import mail
from services.notification.subscriptions import SUBSCRIPTIONS
from tests.domain.notification_samples import SAMPLES
from tests.domain.test_notification_letters import queued_for

TYPED = {
    *(
        "carrier",
        "description",
        "explanation",
        "message",
        "note",
        "question",
        "rationale",
        "statement",
        "text",
        "title",
    ),
    "tracking_number",
}
"""The fields of an event that hold somebody's own words."""
HOSTILE = (
    "Post\r\nBcc: all@example.com\r\n\r\n-- \n- Pay here\n> so\u2028<script>alert(1)</script><img src=x onerror=y>"
    "&lt;b&gt;\u202egnp\u202c\u2066\u2069\u200b\ufeff\u05d0\x07\x1b[31m\u0085{{ 7 * 7 }}{% raw %}%s"
)
ISOLATED = re.compile("\u2068[^\u2066-\u2069\n]*\u2069")
"""What is read from the other side, shut in by us: opened and closed within one line, with none of its own within."""
OUT_OF_ORDER = re.compile("[\u202a-\u202e\u2066-\u2069\x00-\x09\x0b-\x1f\x7f-\x9f]")
QUOTED_LINE = re.compile('<span dir="auto">[^<]*</span><br>')
TAG = re.compile(r"<(/?[a-z]+)")
OURS = Address("Recourse", "no-reply", "recourse.test")
EVENTS = [name for name, event in SAMPLES.items() if isinstance(event, SUBSCRIPTIONS)]


def typed(facts: Any, words: str) -> Any:
    """The same facts, with other words wherever somebody typed them."""
    if isinstance(facts, dict):
        return {
            name: words if name in TYPED and isinstance(fact, str) else typed(fact, words)
            for name, fact in facts.items()
        }
    return [typed(fact, words) for fact in facts] if isinstance(facts, list | tuple) else facts


def with_words(queued: Queued, words: str) -> Queued:
    purchase = queued.purchase.model_copy(update={"title": words})
    return queued.model_copy(update={"facts": typed(dict(queued.facts), words), "purchase": purchase})


@pytest.mark.parametrize("locale", ["en", "de", "../../en", "en\r\nBcc"])
@pytest.mark.parametrize("name", EVENTS)
def test_whatever_is_typed_the_letter_is_ours(name: str, locale: str) -> None:
    for queued in queued_for(SAMPLES[name]).values():
        spoken = queued.model_copy(update={"locale": locale})
        usual, hostile = (letter(with_words(spoken, words)) for words in ("harmless", HOSTILE))
        assert hostile.subject == usual.subject
        assert spoken_by_us(hostile) == spoken_by_us(usual)
        assert tags_of_ours(hostile) == tags_of_ours(usual)
        assert not OUT_OF_ORDER.search(ISOLATED.sub("", hostile.text + hostile.html))
        sent = mail("d1", OURS, "bea@example.com", hostile, datetime(2026, 3, 2, tzinfo=UTC)).as_bytes(
            policy=policy.SMTP
        )
        headers = message_from_bytes(sent, policy=policy.default)
        assert "Bcc" not in headers
        assert headers["From"] == str(OURS)


def spoken_by_us(written: Letter) -> int:
    """How many lines of the text pose as the platform's."""
    return sum(not line.startswith("> ") for line in written.text.splitlines())


def tags_of_ours(written: Letter) -> list[str]:
    """Somebody's own lines are as many as he wrote."""
    return TAG.findall(QUOTED_LINE.sub("", written.html))
