"""What happened, what may be done and why not, in the words of people: in their language, money by the currency's own
digits. The words themselves are in vocabulary/."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from services.casefile.shown.shapes import Why
from shared.kernel.decider import Refusal
from shared.rules.money import in_major_units

Locale = Literal["en", "de"]
LOCALES: tuple[Locale, ...] = get_args(Locale)

AMOUNTS = ("refund_minor", "release_minor", "amount_minor", "rest_minor", "held_minor", "total_minor", "claimed_minor")
PLAIN = ("cause", "outcome", "reason", "leg", "by", "to", "against", "tracking_status", "otherwise")
"""Fields of an event whose values are words of ours."""
NAMES = ("mediator_id", "carrier", "tracking_number", "question_id")
"""And those whose values are told as they are."""
AS_PEOPLE_SAY_IT = ("order.refunded", "order.cancelled", "order.lines_cancelled", "refund.held", "refund.unheld")
"""Their `reason` is in somebody's own words: it is told beside the line, as texts are."""


@cache
def vocabulary(locale: Locale) -> Mapping[tuple[str, str], str]:
    """(kind, name) -> text."""
    lines = Path(__file__).with_name("vocabulary").joinpath(f"{locale}.txt").read_text("utf-8").splitlines()
    told = (line.partition("=") for line in lines if line and not line.startswith("#"))
    entries = (((*left.split(),), right.strip()) for left, _, right in told)
    return {(kind, name): text for (kind, name), text in entries}


def word(name: str, locale: Locale = "en", kind: str = "word") -> str:
    """What nobody has put into words yet is told as it is called."""
    return vocabulary(locale).get((kind, name), name.replace("_", " "))


def act_name(type_: str, locale: Locale = "en") -> str:
    """Of a command, by its type without its version."""
    return word(type_, locale, "act")


def money(minor: int, currency: str, locale: Locale = "en") -> str:
    """`123456` EUR is `1,234.56 EUR`, in German `1.234,56 EUR`."""
    amount = in_major_units(minor, currency)
    if locale == "de":
        amount = amount.translate(str.maketrans(",.", ".,"))
    return f"{amount} {currency}"


def event_line(type_: str, data: Mapping[str, Any], currency: str, locale: Locale = "en") -> str:
    """What happened, and over how much. `type_` without its version, `data` as its viewer sees it."""
    return ", ".join([word(type_, locale, "event"), *_about(type_, data, data.get("currency") or currency, locale)])


def why(refusal: Refusal, locale: Locale = "en") -> Why:
    details = dict(refusal.details) if refusal.details else None
    return Why(code=refusal.code, message=_said(refusal.code, refusal.message, locale), details=details)


def _said(code: str, message: str | None, locale: Locale) -> str:
    """In English as the service says it, else by its code; the payment service's own are nobody's to translate."""
    return vocabulary(locale).get(("why", code)) or message or code.replace("_", " ")


def _about(type_: str, data: Mapping[str, Any], currency: str, locale: Locale) -> Iterator[str]:
    if terms := data.get("terms"):
        amount = f" {money(terms['refund_minor'], currency, locale)}" if terms["refund_minor"] else ""
        yield word(terms["kind"], locale) + amount
    for name in AMOUNTS:
        if data.get(name) is not None:
            yield f"{word(name, locale, 'amount')} {money(data[name], currency, locale)}".strip()
    for name in PLAIN:
        if data.get(name) and not (name == "reason" and type_ in AS_PEOPLE_SAY_IT):
            yield word(str(data[name]), locale)
    if code := data.get("code"):
        yield _said(code, data.get("message"), locale)
    for name in NAMES:
        if data.get(name):
            yield str(data[name])
    if mediator := data.get("mediator"):
        yield str(mediator["id"])
    for side in ("buyer", "seller"):
        if side not in (data.get("visible_to") or [side]):
            yield word(f"unseen_by_{side}", locale)


def language_of(chosen: str | None, accepted: str) -> Locale:
    """As he chose, else what he likes best of `Accept-Language` (RFC 9110, 12.5.4), else English."""
    wanted = [(chosen or "")[:2], *(tag for _, tag in sorted(_weighed(accepted), key=lambda one: -one[0]))]
    return next((known for tag in wanted for known in LOCALES if tag == known), "en")


def _weighed(accepted: str) -> list[tuple[float, str]]:
    found: list[tuple[float, str]] = []
    for part in accepted[:500].split(","):
        tag, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality or 1)
        except ValueError:
            continue
        if weight > 0:
            found.append((weight, tag[:2].lower()))
    return found
