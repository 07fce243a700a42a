"""Observations, kept on disk and given back in the order in which they are checked.

An order may have lived for years, so what was observed of it lies anywhere in its topics. A private SQLite file, which
the operating system forgets with the process, sorts it: memory stays at the size of its cache, however much that is.
The file lies where temporary files do (TMPDIR) and takes about as much room as is read, twice while it is sorted.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import fields
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, Self

from pydantic_core import from_json, to_json

from deploy.verify.observation import PLACED, Observation
from schemas.people import Person

CACHE_KIB = 64 * 1024
NAMES = [field.name for field in fields(Observation) if field.name != "data"]
COLUMNS = ", ".join(f'"{name}"' for name in NAMES)
PLACE = 'topic, "partition", "offset"'


class SortedFacts:
    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None)
        for setting in (f"cache_size = -{CACHE_KIB}", "journal_mode = off", "synchronous = off", "temp_store = file"):
            self._file.execute(f"PRAGMA {setting}")
        self._file.execute(f"CREATE TABLE observation ({COLUMNS}, data)")
        self._file.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, observations: Iterable[Observation]) -> None:
        rows = (
            (*(getattr(one, name) for name in NAMES), to_json(one.data) if one.data else None) for one in observations
        )
        self._file.executemany(f"INSERT INTO observation VALUES ({', '.join('?' * (len(NAMES) + 1))})", rows)

    def by_order(self) -> Iterator[tuple[str, list[Observation]]]:
        """All of one order after the other, each log's in its order."""
        rows = self._file.execute(f"SELECT * FROM observation ORDER BY order_id, {PLACE}")
        for order_id, of_one in groupby(map(_whole, rows), attrgetter("order_id")):
            yield order_id, list(of_one)

    def by_person(self) -> Iterator[tuple[str, Iterator[Observation]]]:
        """What was said of each on `people`, in order."""
        of_people = f"FROM observation WHERE topic = '{Person.topic}' ORDER BY order_id, {PLACE}"
        rows = self._file.execute(f"SELECT * {of_people}")
        yield from groupby(map(_whole, rows), attrgetter("order_id"))

    def by_payment(self) -> Iterator[tuple[str, Iterator[Observation]]]:
        """The orders placed on each payment, as far as each is known; without their data."""
        payment = "json_extract(CAST(data AS TEXT), '$.payment.payment_id')"
        rows = self._file.execute(
            f"SELECT {payment}, {COLUMNS} FROM observation WHERE topic = 'order.events' AND type = '{PLACED}' "
            f"ORDER BY 1, at, {PLACE}"
        )
        for payment_id, of_one in groupby(rows, itemgetter(0)):
            yield payment_id, (Observation(*row[1:]) for row in of_one)

    def by_source(self) -> Iterator[tuple[str, Iterator[Observation]]]:
        """What each shard wrote by its numbers, over all topics; without its data."""
        rows = self._file.execute(
            f"SELECT {COLUMNS} FROM observation WHERE sequence IS NOT NULL ORDER BY source, sequence, {PLACE}"
        )
        yield from groupby((Observation(*row) for row in rows), attrgetter("source"))


def _whole(row: tuple[Any, ...]) -> Observation:
    """Of all columns."""
    return Observation(*(*row[:-1], from_json(row[-1]) if row[-1] else {}))
