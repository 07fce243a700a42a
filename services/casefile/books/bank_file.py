"""A bank's or payment provider's file beside the books: what both have, what one of them has alone, what differs.

The file is CSV with a header: reference, amount, date, and perhaps currency, by any of their usual names, in any order.
A line's reference is the provider's, or the payment key; of what a buyer paid it is his payment. Signs are not
compared, for some write what leaves them with one and some without; nor are dates, for banks book days later.
"""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from pydantic import Field

from services.casefile.books.ledger_reading import EntryShown
from services.casefile.shown.shapes import AsOf, Shown
from services.refund.ledger import COMMISSION
from shared.rules.money import DIGITS, in_major_units

LINES_MAX = 10_000
NAMES: Mapping[str, Sequence[str]] = {
    "reference": (
        *("providerreference", "reference", "ref", "pspreference", "transactionid", "transaction", "endtoendid"),
        *("paymentkey", "paymentid", "referenz"),
    ),
    "amount": ("amount", "grossamount", "gross", "value", "betrag", "umsatz"),
    "amount_minor": ("amountminor", "minor"),
    "date": ("date", "bookingdate", "bookedat", "booked", "valuedate", "created", "datum", "buchungstag", "valuta"),
    "currency": ("currency", "ccy", "currencycode", "waehrung", "währung"),
}
"""What we read -> what a column of it may be called, the first there is; small letters, letters and digits alone."""
DATES = ("%Y-%m-%d", "%d.%m.%Y", "%Y%m%d")
AMOUNTS = (
    re.compile(
        r"[+-]?(?P<whole>[0-9]{1,3}(?:(?P<mark>[.,' ])[0-9]{3})(?:(?P=mark)[0-9]{3})*)"
        r"(?:(?!(?P=mark))[.,](?P<part>[0-9]+))?"
    ),
    re.compile(r"[+-]?(?P<whole>[0-9]+)(?:[.,](?P<part>[0-9]+))?"),
)
"""With marks between thousands, and without."""
IN_TWO_WAYS = re.compile(r"[+-]?[0-9]{1,3}[.,][0-9]{3}")
"""Thousands, or three decimals."""
DIGITS_MAX = 13
"""Digits before the decimal point; or behind it; more is no amount of ours."""


class BankLine(Shown):
    """A line of the file."""

    line: int = Field(description="1: the header")
    reference: str
    amount: str = Field(description="without its sign, in major units")
    currency: str | None = Field(default=None, description="null: the file does not say")
    on: str = Field(description="YYYY-MM-DD")


class BankLineRefused(Shown):
    """A line that cannot be read: it is compared with nothing."""

    line: int
    problem: str


class Matched(Shown):
    """What both know under one reference; of several entries or lines the sums are compared."""

    reference: str
    lines: list[BankLine]
    entries: list[EntryShown]
    problem: str | None = Field(default=None, description="what differs; null: nothing does")


class MatchShown(Shown):
    """A file beside the books."""

    since: str = Field(description="first day that was compared, YYYY-MM-DD")
    until: str = Field(description="last day")
    matched: list[Matched]
    differs: list[Matched]
    only_here: list[EntryShown] = Field(description="booked on these days, and not in the file")
    only_there: list[BankLine] = Field(description="in the file, and in no book")
    refused: list[BankLineRefused]
    as_of: AsOf


class NoBankFile(ValueError):
    """What was given is none: a sentence for people."""


@dataclass(frozen=True)
class BankFile:
    lines: Sequence[BankLine]
    refused: Sequence[BankLineRefused]

    @property
    def days(self) -> tuple[date, date] | None:
        """The first and the last; None: it has none."""
        found = sorted(date.fromisoformat(one.on) for one in self.lines)
        return (found[0], found[-1]) if found else None

    @property
    def references(self) -> Sequence[str]:
        return sorted({one.reference for one in self.lines})


def read(content: bytes, currency: str | None = None) -> BankFile:
    """`currency`: of lines that name none. Raises NoBankFile."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NoBankFile(f"It is not UTF-8, from byte {error.start} on.") from None
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines: list[BankLine] = []
    refused: list[BankLineRefused] = []
    try:
        columns = _columns(next(rows, []))
        begins = rows.line_num + 1
        for row in rows:
            at, begins = begins, rows.line_num + 1
            if not any(cell.strip() for cell in row):
                continue
            if len(lines) + len(refused) == LINES_MAX:
                raise NoBankFile(f"It has more than {LINES_MAX:,} lines: give a part of it.")
            try:
                lines.append(_line(at, row, columns, currency))
            except ValueError as problem:
                refused.append(BankLineRefused(line=at, problem=str(problem)))
    except csv.Error as error:
        raise NoBankFile(f"Line {rows.line_num}: it is no CSV ({error}).") from None
    return BankFile(lines, refused)


def _columns(header: Sequence[str]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    called = [re.sub(r"[^0-9a-zä]", "", cell.casefold()) for cell in header]
    for what, names in NAMES.items():
        for name in names:
            if name in called and what not in found:
                found[what] = called.index(name)
    missing = [what for what in ("reference", "amount", "date") if what not in found]
    if "amount_minor" in found and "amount" in missing:
        missing.remove("amount")
    if missing:
        raise NoBankFile(f"Its first line names no column for: {', '.join(missing)}.")
    return found


def _line(at: int, row: Sequence[str], columns: Mapping[str, int], otherwise: str | None) -> BankLine:
    """Raises ValueError with a sentence."""

    def cell(what: str) -> str:
        number = columns.get(what, len(row))
        return row[number].strip() if number < len(row) else ""

    reference, currency = cell("reference"), cell("currency").upper() or otherwise
    if not reference or len(reference) > 255 or "\x00" in reference:
        raise ValueError("It has no reference." if not reference else "Its reference is none.")
    if currency is not None and not re.fullmatch(r"[A-Z]{3}", currency):
        raise ValueError("Its currency is none of ISO 4217.")
    said = cell("amount")
    amount = amount_of(said, currency) if said else _from_minor(cell("amount_minor"), currency)
    return BankLine(line=at, reference=reference, amount=f"{amount:f}", currency=currency, on=_day(cell("date")))


def amount_of(said: str, currency: str | None) -> Decimal:
    """Without its sign. Either mark may part thousands or decimals, but never so that it could be both. Raises
    ValueError with a sentence."""
    digits = None if currency is None else DIGITS.get(currency, 2)
    with_decimals = digits == 3 and "." in said
    if IN_TWO_WAYS.fullmatch(said) and digits != 0 and not with_decimals:
        raise ValueError(f"Its amount can be read in two ways: {said}")
    forms = AMOUNTS[1:] if with_decimals and IN_TWO_WAYS.fullmatch(said) else AMOUNTS
    found = next((one for form in forms if (one := form.fullmatch(said))), None)
    if found is None:
        raise ValueError(f"Its amount is no number: {said[:30]}")
    whole, part = re.sub(r"[^0-9]", "", found["whole"]), found["part"] or ""
    if len(whole) > DIGITS_MAX or len(part) > DIGITS_MAX:
        raise ValueError("Its amount is too long.")
    if digits is not None and len(part.rstrip("0")) > digits:
        raise ValueError(f"Its amount has more decimals than {currency}: {said}")
    return Decimal(f"{whole}.{part}" if part else whole)


def _from_minor(said: str, currency: str | None) -> Decimal:
    if not re.fullmatch(r"[+-]?[0-9]{1,15}", said):
        raise ValueError("It has no amount.")
    if currency is None:
        raise ValueError("Minor units are of a currency, and it names none.")
    return Decimal(abs(int(said))).scaleb(-DIGITS.get(currency, 2))


def _day(said: str) -> str:
    for form in DATES:
        try:
            return datetime.strptime(said[:10], form).date().isoformat()  # noqa: DTZ007 - a day, of no zone
        except ValueError:
            continue
    raise ValueError("Its date is not written as 2026-03-31 or 31.03.2026.")


def names_of(entry: EntryShown) -> Iterator[str]:
    """By which a bank may call it."""
    names = (
        (entry.payment_id,)
        if entry.event_type == "refund.captured.v1"
        else (
            entry.provider_reference,
            entry.payment_key,
        )
    )
    yield from (name for name in names if name is not None)


def is_outside(entry: EntryShown) -> bool:
    """Of what stays with the platform no bank knows."""
    return COMMISSION not in (entry.from_account, entry.to_account)


@dataclass(frozen=True)
class Comparison:
    matched: Sequence[Matched]
    differs: Sequence[Matched]
    only_here: Sequence[EntryShown]
    only_there: Sequence[BankLine]


def match(file: BankFile, referred: Iterable[EntryShown], booked: Iterable[EntryShown]) -> Comparison:
    """`referred`: entries of whatever day that the file's references name; `booked`: all of the days compared."""
    lines: dict[str, list[BankLine]] = defaultdict(list)
    for one in file.lines:
        lines[one.reference].append(one)
    entries: dict[str, dict[str, EntryShown]] = defaultdict(dict)
    found: set[str] = set()
    for entry in filter(is_outside, referred):
        if (name := next((name for name in names_of(entry) if name in lines), None)) is not None:
            entries[name][entry.entry_id] = entry
            found.add(entry.entry_id)
    pairs = [
        Matched(
            reference=name,
            lines=lines[name],
            entries=list(known.values()),
            problem=_problem(lines[name], list(known.values())),
        )
        for name, known in sorted(entries.items())
    ]
    return Comparison(
        [one for one in pairs if one.problem is None],
        [one for one in pairs if one.problem is not None],
        [entry for entry in booked if is_outside(entry) and entry.entry_id not in found],
        [one for one in file.lines if one.reference not in entries],
    )


def _problem(lines: Sequence[BankLine], entries: Sequence[EntryShown]) -> str | None:
    """An order's money is of one currency."""
    currency = entries[0].currency
    others = {one.currency for one in lines if one.currency not in (None, currency)}
    if others:
        return f"The books have {currency}, the file {', '.join(sorted(filter(None, others)))}."
    there = sum((Decimal(one.amount) for one in lines), Decimal(0))
    here = abs(sum(_towards_us(entry) for entry in entries))
    if there.scaleb(DIGITS.get(currency, 2)) != here:
        return f"The books have {in_major_units(here, currency)} {currency}, the file {there:f}."
    return None


def _towards_us(entry: EntryShown) -> int:
    """From a person, or to one."""
    ours = entry.to_account.startswith(("escrow:", "platform:"))
    return entry.amount_minor if ours else -entry.amount_minor
