"""Entries of the books as CSV (RFC 4180), which a spreadsheet opens without obeying it."""

import csv
import io
from collections.abc import Iterable

from schemas.instants import rfc3339
from services.casefile.books.ledger_reading import EntryShown

COLUMNS = tuple(EntryShown.model_fields)
OBEYED = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What begins so a spreadsheet takes for a formula."""


def as_csv(entries: Iterable[EntryShown]) -> str:
    """With a header; instants as RFC 3339, amounts in minor units."""
    written = io.StringIO(newline="")
    rows = csv.writer(written, lineterminator="\r\n")
    rows.writerow(COLUMNS)
    for one in entries:
        said = {**one.model_dump(), "booked_at": rfc3339(one.booked_at)}
        rows.writerow([harmless(said[name]) for name in COLUMNS])
    return written.getvalue()


def harmless(cell: object) -> object:
    """Text that would be a formula is marked as text."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(OBEYED) else "" if cell is None else cell
