"""How a page says things to one reader: words in his language, money by the currency's digits, instants in his zone.

Every text that somebody wrote is isolated, so that its direction and its control characters stay with it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import yaml
from markupsafe import Markup, escape

from schemas.instants import rfc3339
from services.casefile.shown.words import Locale, money, vocabulary, word
from shared.rules.money import DIGITS

LANGUAGES: Mapping[Locale, str] = {"en": "English", "de": "Deutsch"}
WORDS = Path(__file__).with_name("words.yaml")
MONTHS = {
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    "de": ("Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sep.", "Okt.", "Nov.", "Dez."),
}
SPANS = (("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1))
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters other than tabulator and line feed: shown as what they are, a sign that nothing can be read."""


@cache
def words() -> Mapping[str, tuple[str, str]]:
    """Key -> (English, German)."""
    return {key: (english, german) for key, (english, german) in yaml.safe_load(WORDS.read_text("utf-8")).items()}


@dataclass(frozen=True, slots=True)
class Phrasing:
    """One reader's way of being told things."""

    language: Locale
    zone: ZoneInfo

    def word(self, key: str, **values: object) -> str:
        """Raises KeyError for what has no words. Without values it comes with its places still open."""
        text = words()[key][self.language == "de"]
        return text.format(**values) if values else text

    def value(self, said: object) -> str:
        """A word of the contract; one that has no words here, of a newer version, is said as it is written."""
        both = words().get(f"value.{said}")
        return word(str(said), self.language) if both is None else both[self.language == "de"]

    def clock(self, name: str) -> str:
        """What happens when it runs out."""
        return vocabulary(self.language).get(("clock", name)) or self.value(name)

    def label(self, field: str) -> str:
        """Of a command's field."""
        both = words().get(f"field.{field}")
        return field.replace("_", " ") if both is None else both[self.language == "de"]

    def money(self, minor: int, currency: str) -> str:
        """`123456` EUR is `1,234.56 EUR`, and `1.234,56 EUR` in German."""
        return money(minor, currency, self.language)

    def typed(self, minor: int, currency: str) -> str:
        """The same as it is typed into a form: without groups and currency."""
        groups = "." if self.language == "de" else ","
        return money(minor, currency, self.language).partition(" ")[0].replace(groups, "")

    def minor(self, typed: str, currency: str) -> int:
        """What was typed. Raises ValueError: no amount, or more digits than the currency has."""
        mark = "," if self.language == "de" else "."
        if not re.fullmatch(rf"\d{{1,15}}({re.escape(mark)}\d{{1,4}})?", typed.strip(), re.ASCII):
            raise ValueError("no amount")
        try:
            minor = Decimal(typed.strip().replace(mark, ".")).scaleb(DIGITS.get(currency, 2))
        except InvalidOperation:
            raise ValueError("no amount") from None
        if minor != int(minor):
            raise ValueError("more digits than the currency has")
        return int(minor)

    def time(self, at: datetime) -> Markup:
        """An instant, with its zone, for people and for machines."""
        there = at.astimezone(self.zone)
        day, month = there.day, MONTHS[self.language][there.month - 1]
        said = f"{day}. {month} {there.year}" if self.language == "de" else f"{day} {month} {there.year}"
        seconds = f":{there:%S}" if there.second else ""
        return Markup('<time datetime="{}">{}, {:%H:%M}{} {}</time>').format(
            rfc3339(at), said, there, seconds, there.tzname()
        )

    def field_time(self, at: datetime) -> str:
        """As a date and time field of a form holds it."""
        return f"{at.astimezone(self.zone):%Y-%m-%dT%H:%M:%S}"

    def instant(self, typed: str) -> datetime:
        """Of a field, in the reader's zone, or RFC 3339 as links have it. Raises ValueError."""
        said = datetime.fromisoformat(typed.strip())
        try:
            return (said if said.tzinfo else said.replace(tzinfo=self.zone)).astimezone(UTC)
        except OverflowError:
            raise ValueError("an instant outside of time") from None

    def span(self, length: timedelta) -> str:
        """In its two largest units."""
        seconds = int(abs(length.total_seconds()))
        parts: list[str] = []
        for name, size in SPANS:
            if (count := seconds // size) and len(parts) < 2:
                parts.append(self.word(f"span_{name}", n=count))
            seconds %= size
        return " ".join(parts) or self.word("span_seconds", n=0)

    def due(self, at: datetime, now: datetime) -> str:
        """How long until then; behind it, since when."""
        span = self.span(at - now)
        return span if at >= now else self.word("overdue_by", span=span)


def is_word(text: str) -> bool:
    """Of the contract, such as a reason to dispute, and nothing that somebody wrote."""
    return f"value.{text}" in words()


def said(text: object) -> Markup:
    """What somebody wrote, isolated from what stands around it."""
    return Markup('<bdi dir="auto">{}</bdi>').format(escape(UNSEEN.sub("�", str(text))))


def zone_of(chosen: str | None) -> ZoneInfo:
    """As he chose; UTC where he did not, or where nobody knows such a zone."""
    return ZoneInfo(chosen) if chosen in zones() else ZoneInfo("UTC")


@cache
def zones() -> frozenset[str]:
    return frozenset(name for name in available_timezones() if "/" in name or name == "UTC")
