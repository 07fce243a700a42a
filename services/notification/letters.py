"""From a queued letter to its words: one template per event and language, text and HTML from the same source.

A template is a plain text: its first line is the subject, then paragraphs, parted by blank lines; lines that begin with
`- ` are a list, lines that begin with `> ` somebody's own words. A folder per locale; what a folder lacks is told in
English. How a language writes dates and amounts is said in its `words.txt`. Names, titles and messages that people
typed can neither break a line nor pose as the platform's words.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from schemas.notification.events import Queued
from shared.rules.money import in_major_units

TEMPLATES = Path(__file__).parent / "templates"
FALLBACK = "en"
_REORDERING = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Characters that show text in another order than it is written."""


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
        self._environment.filters |= {"money": _money, "quoted": _quoted, "instant": datetime.fromisoformat}
        self._written = {f"{path.parent.name.lower()}/{path.stem}": path.parent.name for path in folder.glob("*/*.txt")}

    def letter(self, queued: Queued) -> Letter:
        """Raises for a template that asks for what the event does not say: a bug."""
        language = self._language(queued.locale, queued.template)
        variables = {
            **queued.facts,
            "order_id": queued.order_id,
            "currency": queued.purchase.currency,
            "purchase": queued.purchase,
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
            subject=subject, blocks=_bare(blocks), footer=_bare(footer), language=language
        )
        return Letter(subject, text + "\n", html)

    def _language(self, locale: str | None, template: str) -> str:
        """`pt-BR`, then `pt`, then English: the first that has this letter."""
        locale = (locale or FALLBACK).lower()
        wanted = (locale, locale.partition("-")[0])
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


def _harmless(text: str) -> str:
    visible = (character for character in text if unicodedata.category(character) != "Cc" or character in "\n\t")
    return _REORDERING.sub("", "".join(visible))


def _shown(value: Any) -> Any:
    """Every value that a template shows: on one line, unless it is quoted."""
    if isinstance(value, str) and not isinstance(value, _Quoted):
        return type(value)(" ".join(_harmless(value).split()))
    return value


def _quoted(text: str) -> _Quoted:
    return _Quoted("\n".join(f"> {_harmless(line).strip()}" for line in text.splitlines()))


@pass_context
def _money(context: Context, minor: int) -> str:
    currency = context["currency"]
    separators = str.maketrans({",": context.get("thousands", ""), ".": context.get("decimal_point", ".")})
    return f"{in_major_units(minor, currency).translate(separators)} {currency}"


letter = Writer(TEMPLATES).letter
