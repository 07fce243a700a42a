"""A bank's file beside the books: read as banks write, compared to the last minor unit."""

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.casefile.books.bank_file import BankFile, NoBankFile, amount_of, match, read
from services.casefile.books.ledger_csv import COLUMNS, as_csv
from services.casefile.books.ledger_reading import EntryShown
from shared.rules.money import DIGITS, in_major_units

BOOKED_AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


def entry(id_: str = "e1", **more: Any) -> EntryShown:
    said: dict[str, Any] = {
        "order_id": "o1",
        "event_type": "refund.settled.v1",
        "booked_at": BOOKED_AT,
        "currency": "EUR",
        "from_account": "escrow:o1",
        "to_account": "buyer:bea",
        "amount_minor": 123_456,
        "settlement_id": "o1.s1",
        "leg": "refund",
        "payment_id": "pay-1",
        "payment_key": "o1.s1/refund",
        "provider_reference": "bank-1",
    }
    return EntryShown(entry_id=id_, **said | more)


def file(*rows: str, header: str = "reference,amount,date") -> BankFile:
    return read("\n".join([header, *rows]).encode())


@pytest.mark.parametrize(
    ("said", "currency", "amount"),
    [
        ("1234.56", "EUR", "1234.56"),
        ("1,234.56", "EUR", "1234.56"),
        ("1.234,56", "EUR", "1234.56"),
        ("1 234,5", "EUR", "1234.5"),
        ("1'234.50", "CHF", "1234.50"),
        ("-12,00", "EUR", "12.00"),
        ("+12", "EUR", "12"),
        ("1,234,567", "EUR", "1234567"),
        ("1,234", "JPY", "1234"),
        ("12.00", "JPY", "12.00"),
        ("1.234", "BHD", "1.234"),
        ("0.10", None, "0.10"),
    ],
)
def test_amounts_are_read_as_they_are_written(said: str, currency: str | None, amount: str) -> None:
    assert amount_of(said, currency) == Decimal(amount)


@pytest.mark.parametrize(
    ("said", "currency"),
    [
        *(("1,234", "EUR"), ("1.234", "EUR"), ("1,234", None), ("1,234", "BHD")),  # either way
        *(("12.345", "EUR"), ("12.50", "JPY"), ("1.234.56", "EUR"), ("1,23,456", "EUR"), ("1,2345.6", "EUR")),
        *(
            ("", "EUR"),
            ("=1+1", "EUR"),
            ("1e5", "EUR"),
            ("٣", "EUR"),
            ("9" * 14, "EUR"),
            ("NaN", "EUR"),
            ("--1", "EUR"),
        ),
    ],
)
def test_what_is_no_amount_or_two_of_them_is_refused(said: str, currency: str | None) -> None:
    with pytest.raises(ValueError):
        amount_of(said, currency)


@given(minor=st.integers(1, 10**12), currency=st.sampled_from(["EUR", "JPY", "BHD", "CLF"]))
def test_an_amount_as_we_write_it_is_read_as_it_was(minor: int, currency: str) -> None:
    for said in (in_major_units(minor, currency), in_major_units(minor, currency).replace(",", "")):
        assert amount_of(said, currency).scaleb(DIGITS.get(currency, 2)) == minor


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("reference,amount,date", "bank-1,1234.56,2026-03-02"),
        ("Datum;Referenz;Betrag;Währung", '02.03.2026;bank-1;"1.234,56";EUR'),
        ("\ufeffBooking Date\tTransaction ID\tGross Amount\tccy", "20260302\tbank-1\t-1234.56\teur"),
        ("provider_reference,amount_minor,booked_at,currency", "bank-1,123456,2026-03-02T09:00:00.000Z,EUR"),
    ],
)
def test_a_file_is_read_however_its_columns_are_called(header: str, row: str) -> None:
    found = read(f"{header}\r\n{row}\r\n\r\n".encode())
    assert found.refused == []
    (line,) = found.lines
    assert (line.line, line.reference, line.amount, line.on) == (2, "bank-1", "1234.56", "2026-03-02")
    assert match(found, [entry()], [entry()]).matched[0].lines == [line]


def test_what_cannot_be_read_is_told_by_its_line_and_the_rest_is_compared() -> None:
    found = file(
        "bank-1,1234.56,2026-03-02",
        ",1,2026-03-02",
        "bank-2,one,2026-03-02",
        '"bank\nover two lines",1,2026-03-02',
        "bank-3,1,31/03/2026",
        "bank-4",
        "bank-5,1.5,2026-03-02",
    )
    assert [(one.line, one.problem.split(":")[0]) for one in found.refused] == [
        (3, "It has no reference."),
        (4, "Its amount is no number"),
        (7, "Its date is not written as 2026-03-31 or 31.03.2026."),
        (8, "It has no amount."),
    ]
    assert [one.line for one in found.lines] == [2, 5, 9]


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"a,b,c\n1,2,3", b'reference,amount,date\n"open', b"reference,date\nx,2026-03-02"]
)
def test_what_is_no_such_file_is_refused_in_a_sentence(content: bytes) -> None:
    with pytest.raises(NoBankFile, match=r"[A-Z].*[.]"):
        read(content)


def test_a_file_has_an_end() -> None:
    with pytest.raises(NoBankFile, match="more than 10,000 lines"):
        file(*(f"r{number},1,2026-03-02" for number in range(10_001)))


def test_what_both_have_what_one_has_and_what_differs() -> None:
    books = [
        entry("same"),
        entry("short", provider_reference="bank-2", payment_key="o2.s1/refund"),
        entry("unknown there", provider_reference="bank-3", payment_key="o3.s1/refund"),
        entry("by its key", provider_reference=None, payment_key="o4.s1/payout"),
        entry("another currency", provider_reference="bank-5", currency="USD"),
        entry("paid", event_type="refund.captured.v1", provider_reference=None, payment_key=None, payment_id="pay-9"),
        entry("commission", from_account="escrow:o1", to_account="platform:commission", provider_reference=None),
    ]
    found = read(
        b"reference,amount,date,currency\n"
        b"bank-1,-1234.56,2026-03-02,EUR\nbank-2,1234.55,2026-03-02,EUR\no4.s1/payout,1234.56,2026-03-04,EUR\n"
        b"bank-5,1234.56,2026-03-02,EUR\npay-9,1234.56,2026-03-02,EUR\nstranger,9.99,2026-03-02,EUR\n"
    )
    compared = match(found, books, books)
    assert [one.reference for one in compared.matched] == ["bank-1", "o4.s1/payout", "pay-9"]
    assert [(one.reference, one.problem) for one in compared.differs] == [
        ("bank-2", "The books have 1,234.56 EUR, the file 1234.55."),
        ("bank-5", "The books have USD, the file EUR."),
    ]
    assert [one.entry_id for one in compared.only_here] == ["unknown there"]
    assert [one.reference for one in compared.only_there] == ["stranger"]


def test_entries_and_lines_of_one_reference_are_compared_in_sum() -> None:
    """What moved too much stands in two entries, and a bank may have paid in two parts."""
    books = [entry("due"), entry("excess", from_account="platform:excess", amount_minor=100)]
    assert match(file("bank-1,1235.56,2026-03-02"), books, books).differs == []
    assert match(file("bank-1,1000,2026-03-02", "bank-1,235.56,2026-03-02"), books, books).differs == []
    assert len(match(file("bank-1,1234.56,2026-03-02"), books, books).differs) == 1


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)


@given(reference=TEXT, person=TEXT)
def test_a_spreadsheet_reads_what_was_booked_and_obeys_none_of_it(reference: str, person: str) -> None:
    booked = entry(provider_reference=reference, to_account=person)
    header, row = csv.reader(io.StringIO(as_csv([booked]), newline=""), strict=True)
    assert tuple(header) == COLUMNS
    cells = dict(zip(header, row, strict=True))
    assert cells["amount_minor"] == "123456"
    assert cells["booked_at"] == "2026-03-02T09:00:00.000Z"
    for name, said in (("provider_reference", reference), ("to_account", person)):
        assert cells[name] in (said, f"'{said}")
        assert not cells[name].startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
