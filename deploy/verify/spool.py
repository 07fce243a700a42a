"""Facts, kept on disk and given back in the order in which they are judged.

An order may have lived for years, so its facts lie anywhere in its topics. A private SQLite file, which the operating
system forgets with the process, sorts them: memory stays at the size of its cache, whatever the number of facts. The
file lies where temporary files do (TMPDIR) and takes about as much room as is read, twice while it is sorted.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import Self

from pydantic_core import from_json, to_json

from deploy.verify.facts import Fact

CACHE_KIB = 64 * 1024
COLUMNS = 'order_id, topic, "partition", "offset", at, type, id, cause, source, sequence, digest, data'


class Spool:
    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None)
        for setting in (f"cache_size = -{CACHE_KIB}", "journal_mode = off", "synchronous = off", "temp_store = file"):
            self._file.execute(f"PRAGMA {setting}")
        self._file.execute(f"CREATE TABLE fact ({COLUMNS})")
        self._file.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, facts: Iterable[Fact]) -> None:
        rows = (
            (
                fact.order_id,
                fact.topic,
                fact.partition,
                fact.offset,
                fact.at,
                fact.type,
                fact.id,
                fact.cause,
                fact.source,
                fact.sequence,
                fact.digest,
                to_json(fact.data) if fact.data else None,
            )
            for fact in facts
        )
        self._file.executemany(f"INSERT INTO fact VALUES ({', '.join('?' * 12)})", rows)

    def by_order(self) -> Iterator[tuple[str, list[Fact]]]:
        """All facts of one order after the other, each log's in its order."""
        rows = self._file.execute(f'SELECT {COLUMNS} FROM fact ORDER BY order_id, topic, "partition", "offset"')
        facts = (Fact(*(*row[:-1], from_json(row[-1]) if row[-1] else {})) for row in rows)
        for order_id, of_one in groupby(facts, attrgetter("order_id")):
            yield order_id, list(of_one)

    def by_source(self) -> Iterator[tuple[str, Iterator[Fact]]]:
        """What each shard wrote by its numbers, over all topics; without its data."""
        rows = self._file.execute(
            f"SELECT {COLUMNS.removesuffix(', data')} FROM fact WHERE sequence IS NOT NULL"
            ' ORDER BY source, sequence, topic, "partition", "offset"'
        )
        yield from groupby((Fact(*row) for row in rows), attrgetter("source"))
