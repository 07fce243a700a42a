"""Bugs that only a real PostgreSQL or Kafka can show."""

from tests.mutants.mutant import Mutant

STORE = ("tests/contract/test_store.py",)
LEASE = ("tests/kit/test_lease.py",)
LEDGER = ("tests/kit/test_ledger.py",)
TIMERS = ("tests/contract/test_timer_table.py",)
PUBLISHER = ("tests/contract/test_publisher.py",)
SOURCE = ("tests/contract/test_source.py",)
TABLES = ("tests/kit/test_database.py",)

MUTANTS = (
    Mutant(
        "a commit does not look at the epoch",
        "shared/runtime/postgres/store.py",
        "    WHERE shard.shard = mine.shard AND shard.epoch = mine.epoch\n    RETURNING 1\n",
        "    WHERE shard.shard = mine.shard\n    RETURNING 1\n",
        STORE,
    ),
    Mutant(
        "a shard is taken from a living member",
        "shared/runtime/postgres/store.py",
        " AND (owner IS NULL OR owner = $2 OR owner NOT IN (SELECT id FROM member))",
        "",
        STORE,
    ),
    Mutant(
        "what is published is taken back by a late commit",
        "shared/runtime/postgres/store.py",
        "        published = greatest(shard.published, mine.published)\n    FROM",
        "        published = mine.published\n    FROM",
        STORE,
    ),
    Mutant(
        "what is published is taken back by a late release",
        "shared/runtime/postgres/store.py",
        "SET owner = NULL, published = greatest(shard.published, mine.published)",
        "SET owner = NULL, published = mine.published",
        STORE,
    ),
    Mutant(
        "the last published row is published once more by each owner",
        "shared/runtime/postgres/store.py",
        "position > $2",
        "position >= $2",
        STORE,
    ),
    Mutant(
        "private rows wait to be published",
        "shared/runtime/postgres/store.py",
        " AND topic IS NOT NULL ORDER BY",
        " ORDER BY",
        STORE,
    ),
    Mutant(
        "parked records come back in the order of their offsets",
        "shared/runtime/postgres/store.py",
        "ORDER BY shard, number",
        'ORDER BY shard, "offset"',
        STORE,
    ),
    Mutant(
        "what the agenda keeps is committed by itself",
        "shared/runtime/postgres/store.py",
        "async with connection.transaction():",
        "if connection is not None:",
        STORE,
    ),
    Mutant(
        "a unique index is dropped: two rows may stand at one position",
        "shared/runtime/postgres/migrations/0001_shards.sql",
        "    data       bytea,\n    PRIMARY KEY (shard, position)\n",
        "    data       bytea\n",
        TABLES,
    ),
    Mutant(
        "an entry can be taken out of the ledger",
        "services/refund/migrations/0001_ledger.sql",
        "BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entry",
        "BEFORE UPDATE ON ledger_entry",
        LEDGER,
    ),
    Mutant(
        "an entry of the ledger need not sum to zero",
        "services/refund/migrations/0001_ledger.sql",
        " OR sum(amount_minor) <> 0",
        "",
        LEDGER,
    ),
    Mutant(
        "what the ledger says can be changed",
        "services/refund/migrations/0001_ledger.sql",
        "BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_posting",
        "BEFORE DELETE OR TRUNCATE ON ledger_posting",
        LEDGER,
    ),
    Mutant(
        "both postings of an entry have the same sign",
        "services/refund/store.py",
        "SELECT entry_id, side, account, side * amount_minor",
        "SELECT entry_id, side, account, amount_minor",
        LEDGER,
    ),
    Mutant(
        "the last timer that rang rings again after a restart",
        "services/timer/store.py",
        "(ring_at, timer_id) > ($2, $3)",
        "(ring_at, timer_id) >= ($2, $3)",
        TIMERS,
    ),
    Mutant(
        "a timer that is moved rings at its old instant",
        "services/timer/store.py",
        "DO UPDATE SET ring_at = excluded.ring_at, due_at = excluded.due_at,",
        "DO UPDATE SET due_at = excluded.due_at,",
        TIMERS,
    ),
    Mutant(
        "a letter that was handed out is taken from the queue again",
        "services/notification/projection.py",
        "taken + handed_out, room",
        "taken, room",
        ("tests/contract/test_deliveries.py",),
    ),
    Mutant(
        "a frozen member keeps its shards for an hour",
        "shared/runtime/membership.py",
        "make_interval(secs => $2)",
        "make_interval(secs => $2 * 1000)",
        LEASE,
    ),
    Mutant(
        "a killed member is given up only after its lease",
        "shared/runtime/membership.py",
        "        OR pid NOT IN (SELECT pid FROM pg_stat_activity WHERE pid IS NOT NULL))\n",
        "    )\n",
        LEASE,
    ),
    Mutant(
        "shares are rounded up for everybody",
        "shared/runtime/membership.py",
        "living.index(self.loop.owner) < rest",
        "living.index(self.loop.owner) <= rest",
        LEASE,
    ),
    Mutant(
        "a thawed member goes on with shards that others own",
        "shared/runtime/membership.py",
        "        if taken:\n            self.loop.drop(taken)\n",
        "",
        LEASE,
    ),
    Mutant(
        "whoever cannot reach the broker keeps its shards idle",
        "shared/runtime/membership.py",
        "if not self.reached.is_set() and not self._alone:",
        "if not self.reached.is_set() and self._alone:",
        LEASE,
    ),
    Mutant(
        "a small event overtakes a large one before it",
        "shared/runtime/kafka/publisher.py",
        "            elif place not in full and batch.size() + outgoing.size > BATCH_BYTES_MAX:\n"
        "                full.add(place)\n",
        "            elif batch.size() + outgoing.size > BATCH_BYTES_MAX:\n"
        "                left.append(outgoing)\n"
        "                continue\n",
        PUBLISHER,
    ),
    Mutant(
        "everything goes out under its order's key",
        "shared/runtime/kafka/publisher.py",
        "self.key = row.key if row.key is not None or row.order_id is None else row.order_id.encode()",
        'self.key = (row.order_id or "").encode()',
        PUBLISHER,
    ),
    Mutant(
        "reading begins behind the record that is next",
        "shared/runtime/kafka/source.py",
        "self.consumer.seek(place, offsets.get(topic, 0))",
        "self.consumer.seek(place, offsets.get(topic, -1) + 1)",
        SOURCE,
    ),
    Mutant(
        "commands of a transaction that was aborted are obeyed",
        "shared/runtime/kafka/source.py",
        'isolation_level="read_committed"',
        'isolation_level="read_uncommitted"',
        SOURCE,
    ),
)
