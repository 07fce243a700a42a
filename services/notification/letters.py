"""From a queued letter to its words: one template per event and language, text and HTML from the same source.

A template is a plain text: its first line is the subject, then paragraphs, parted by blank lines; lines that begin with
`- ` are a list, lines that begin with `> ` somebody's own words. A folder per locale; what a folder lacks is told in
English. How a language writes dates and amounts, and from which side it is read, is said in its `words.txt`. Names,
titles and messages that people typed can neither break a line nor pose as the platform's words.

What is read from right to left moves the numbers beside it (R79): a value that is, in a letter that is not, or the
other way round, is shown within isolates, so that quantity, title and amount stay where the template has them.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import groupby
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from schemas.instants import rfc3339
from schemas.notification.events import Queued
from shared.rules.money import in_major_units

TEMPLATES = Path(__file__).parent / "templates"
FALLBACK = "en"
_REORDERING = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Characters that show text in another order than it is written: nobody but us puts them into a letter."""
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Unicode's class Cc, but for line feed and tab."""
_ISOLATE, _END = "\u2068", "\u2069"
_RIGHT_TO_LEFT = {"R", "AL", "AN"}
_LEFT_TO_RIGHT = {"L", "EN"}
"""Unicode's classes of letters and digits, by the side from which they are read."""
_FIRST_RIGHT_TO_LEFT = "\u0590"
"""No character before the Hebrew block is read from the right; nearly every line has none after it."""


@dataclass(frozen=True, slots=True)
class Letter:
    subject: str
    text: str
    html: str


class _Quoted(str):
    """Somebody's own words, in lines that say so."""

    __slots__ = ()


class Writer:
    """Writes with the templates of one folder."""

    def __init__(self, folder: Path) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(folder),
            autoescape=lambda name: name is not None and name.endswith(".html"),
            undefined=StrictUndefined,
            finalize=_shown,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters |= {"money": _money, "quoted": _quoted, "instant": _instant, "offset": _offset}
        self._written = {f"{path.parent.name.lower()}/{path.stem}": path.parent.name for path in folder.glob("*/*.txt")}

    def letter(self, queued: Queued) -> Letter:
        """Raises for a template that asks for what the event does not say: a bug."""
        language = self._language(queued.locale, queued.template)
        zone = _zone(queued.time_zone)
        variables = {
            **_in_written_order(queued.facts),
            "order_id": queued.order_id,
            "event_at": rfc3339(queued.event_at),
            "zone": zone,
            "zone_name": zone.key.replace("_", " ") if isinstance(zone, ZoneInfo) else None,
            "currency": queued.purchase.currency,
            "purchase": _in_written_order(queued.purchase.model_dump()),
            "role": queued.recipient.role,
            "to_buyer": queued.recipient.role == "buyer",
            "to_seller": queued.recipient.role == "seller",
            "to_mediator": queued.recipient.role == "mediator",
        }
        words = vars(self._environment.get_template(f"{language}/words.txt").make_module(variables))
        variables |= {name: word for name, word in words.items() if not name.startswith("_")}
        body = self._environment.get_template(f"{language}/{queued.template}.txt").render(variables)
        end = self._environment.get_template(f"{language}/footer.txt").render(variables)
        subject, _, body = body.strip().partition("\n")
        blocks, footer = list(_blocks(body)), list(_blocks(end))
        text = "\n\n".join("\n".join(lines) for _, lines in [*blocks, ("paragraph", ["-- "]), *footer])
        html = self._environment.get_template("letter.html").render(
            subject=subject,
            blocks=_bare(blocks),
            footer=_bare(footer),
            language=language,
            direction=variables.get("direction", "ltr"),
        )
        return Letter(subject, text + "\n", html)

    def _language(self, locale: str | None, template: str) -> str:
        """`pt-BR`, then `pt`, then English: the first that has this letter. `pt_BR.UTF-8` and what follows in a locale
        after language and country change nothing (R75)."""
        locale = re.split("[.@]", locale or FALLBACK)[0].lower().replace("_", "-")
        wanted = (locale, "-".join(locale.split("-")[:2]), locale.partition("-")[0])
        return next((found for name in wanted if (found := self._written.get(f"{name}/{template}"))), FALLBACK)


def _blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """(kind, lines): a paragraph is one line however its template was wrapped."""
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        for kind, lines in groupby(paragraph.splitlines(), _kind):
            if kind == "paragraph":
                yield kind, [" ".join(line.strip() for line in lines)]
            else:
                yield kind, list(lines)


def _kind(line: str) -> str:
    return {"- ": "list", "> ": "quote"}.get(line[:2], "paragraph")


def _bare(blocks: list[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    return [(kind, lines if kind == "paragraph" else [line[2:] for line in lines]) for kind, lines in blocks]


def _in_written_order(facts: Any) -> Any:
    match facts:
        case str():
            return _REORDERING.sub("", facts)
        case dict():
            return {name: _in_written_order(value) for name, value in facts.items()}
        case list():
            return [_in_written_order(value) for value in facts]
    return facts


def _harmless(text: str) -> str:
    return _CONTROL.sub("", text)


@pass_context
def _shown(context: Context, value: Any) -> Any:
    """Every value that a template shows: on one line, unless it is quoted, and read from its own side."""
    if isinstance(value, str) and not isinstance(value, _Quoted):
        line = " ".join(_harmless(value).split())
        return type(value)(f"{_ISOLATE}{line}{_END}" if _goes_the_other_way(context, line) else line)
    return value


def _goes_the_other_way(context: Context, line: str) -> bool:
    """HTML is made of what was written already."""
    if _ISOLATE in line or (context.name or "").endswith(".html"):
        return False
    return _has_left_to_right(line) if context.get("direction") == "rtl" else _has_right_to_left(line)


def _has_left_to_right(line: str) -> bool:
    return any(unicodedata.bidirectional(one) in _LEFT_TO_RIGHT for one in line)


def _has_right_to_left(line: str) -> bool:
    if max(line, default="") < _FIRST_RIGHT_TO_LEFT:
        return False
    return any(unicodedata.bidirectional(one) in _RIGHT_TO_LEFT for one in line)


def _zone(name: str | None) -> tzinfo:
    """UTC, if nobody knows such a zone."""
    try:
        return ZoneInfo(name) if name else UTC
    except (KeyError, ValueError, OSError):  # what it raises depends on what lies in the folder of zones
        return UTC


@pass_context
def _instant(context: Context, text: str) -> datetime:
    """By the recipient's clock."""
    return datetime.fromisoformat(text).astimezone(context["zone"])


def _offset(at: datetime) -> str:
    """Abbreviations such as CST mean three different times."""
    minutes = round((at.utcoffset() or timedelta()).total_seconds() / 60)
    if not minutes:
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours}" + (f":{rest:02}" if rest else "")


def _quoted(text: str) -> _Quoted:
    return _Quoted("\n".join(f"> {_harmless(line).strip()}" for line in text.splitlines()))


@pass_context
def _money(context: Context, minor: int) -> str:
    currency = context["currency"]
    separators = str.maketrans({",": context.get("thousands", ""), ".": context.get("decimal_point", ".")})
    return f"{in_major_units(minor, currency).translate(separators)} {currency}"


letter = Writer(TEMPLATES).letter
