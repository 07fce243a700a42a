"""Bugs that only a real PostgreSQL or Kafka can show."""

from services import notification, refund, timer
from services.timer import store as timer_store
from shared import runtime
from shared.kernel import codec
from shared.runtime import database_check, loading, membership, outages, presence, progress
from shared.runtime.kafka import publisher, source
from shared.runtime.postgres import database, store
from tests.mutants.changes import change, drop, flip, negate, words
from tests.mutants.mutant import Mutant

STORE = ("tests/contract/test_store.py",)
LEASE = ("tests/kit/test_membership.py",)
LEDGER = ("tests/kit/test_ledger.py",)
TIMERS = ("tests/contract/test_timer_table.py",)
PUBLISHER = ("tests/contract/test_publisher.py",)
SOURCE = ("tests/contract/test_source.py",)
DATABASE = ("tests/kit/test_database_check.py",)
OUTAGES = ("tests/kit/test_outages.py",)
LONG = ("tests/kit/test_long_streams.py",)
TABLES = ("tests/kit/test_database.py",)

MUTANTS = (
    Mutant(
        "what was fetched is taken for handled",
        lambda: progress.Reach.readable,
        change(
            "return self.received if __ else self.stable", "return 0 if self.fetched >= self.stable else self.stable"
        ),
        ("tests/kit/test_progress.py",),
    ),
    Mutant(
        "a shard that commits nothing is forgiven at each outage",
        lambda: outages.Outages.met,
        change("if __ is None or __: ...", 'known = self._failing[shard] = _Failing(now, now, 0, "")'),
        ("tests/kit/test_health.py",),
    ),
    Mutant(
        "a commit goes on from rows that were put back to before what was obeyed in silence",
        lambda: store.COMMIT,
        words("AND shard.commits >= mine.commits", ""),
        STORE,
    ),
    Mutant(
        "what of rows that were put back is noted as published never is",
        lambda: store.RELEASE,
        words("AND shard.commits >= mine.commits", ""),
        STORE,
    ),
    Mutant(
        "a commit does not look at the epoch", lambda: store.COMMIT, words("AND shard.epoch = mine.epoch", ""), STORE
    ),
    Mutant(
        "a shard is taken from a living member",
        lambda: runtime,
        words("AND (owner IS NULL OR owner = $2 OR owner NOT IN (SELECT id FROM member))", ""),
        STORE,
    ),
    Mutant(
        "what is published is taken back by a late commit",
        lambda: store.COMMIT,
        words("published = greatest(shard.published, mine.published)", "published = mine.published"),
        STORE,
    ),
    Mutant(
        "what is published is taken back by a late release",
        lambda: store.RELEASE,
        words("published = greatest(shard.published, mine.published)", "published = mine.published"),
        STORE,
    ),
    Mutant(
        "the last published row is published once more by each owner",
        lambda: runtime,
        words("position > $2", "position >= $2"),
        STORE,
    ),
    Mutant(
        "a commit does not look at where the rows stand",
        lambda: store.COMMIT,
        words("AND shard.position = mine.before", ""),
        STORE,
    ),
    Mutant("private rows wait to be published", lambda: store.UNPUBLISHED, words("AND topic IS NOT NULL", ""), STORE),
    Mutant(
        "what is not published yet must be on the bus",
        lambda: store.SAID,
        words("AND position <= published", ""),
        STORE,
    ),
    Mutant(
        "parked records come back in the order of their offsets",
        lambda: runtime,
        words("ORDER BY number LIMIT", 'ORDER BY "offset" LIMIT'),
        STORE,
    ),
    Mutant(
        "all that waits of an order is gone with its first slice",
        lambda: store.UNPARK,
        words("AND parked.number <= done.number", ""),
        STORE,
    ),
    Mutant(
        "a row that the database refuses is waited out like an outage",
        lambda: database,
        change("__.startswith(OUTAGES)", "True"),
        OUTAGES,
    ),
    Mutant("what is said of a refused row quotes it", lambda: database, change("', '.join(__)", "str(error)"), OUTAGES),
    Mutant(
        "what the agenda keeps is committed by itself",
        lambda: store.PostgresStore.commit,
        change("async with __a.transaction(): ...", "if __a is not None: ..."),
        STORE,
    ),
    Mutant(
        "a unique index is dropped: two rows may stand at one position",
        "shared/runtime/postgres/migrations/0001_shards.sql",
        words("data bytea, PRIMARY KEY (shard, position)", "data bytea"),
        TABLES,
    ),
    Mutant(
        "an entry can be taken out of the ledger",
        "services/refund/migrations/0001_ledger.sql",
        words("BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entry", "BEFORE UPDATE ON ledger_entry"),
        LEDGER,
    ),
    Mutant(
        "an entry of the ledger need not sum to zero",
        "services/refund/migrations/0001_ledger.sql",
        words("OR sum(amount_minor) <> 0", ""),
        LEDGER,
    ),
    Mutant(
        "what the ledger says can be changed",
        "services/refund/migrations/0001_ledger.sql",
        words("BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_posting", "BEFORE DELETE OR TRUNCATE ON ledger_posting"),
        LEDGER,
    ),
    Mutant(
        "both postings of an entry have the same sign",
        lambda: refund,
        words("SELECT entry_id, side, account, side * amount_minor", "SELECT entry_id, side, account, amount_minor"),
        LEDGER,
    ),
    Mutant(
        "the last timer that rang rings again after a restart",
        lambda: timer,
        words("> ($2, $3)", ">= ($2, $3)"),
        TIMERS,
    ),
    Mutant(
        "a timer that is moved rings at its old instant",
        lambda: timer_store.ARM,
        words("SET ring_at = excluded.ring_at,", "SET"),
        TIMERS,
    ),
    Mutant(
        "a letter that was handed out is taken from the queue again",
        lambda: notification,
        change("__t.next(__a, __b, __c + __, ...)", "__t.next(__a, __b, __c, ...)"),
        ("tests/kit/test_mail.py",),
    ),
    Mutant(
        "a frozen member keeps its shards for an hour",
        lambda: runtime,
        words("make_interval(secs => $2)", "make_interval(secs => $2 * 1000)"),
        LEASE,
    ),
    Mutant(
        "a killed member is given up only after its lease",
        lambda: runtime,
        words("pg_try_advisory_xact_lock(hashtextextended('recourse member ' || id, 0))", "false"),
        LEASE,
    ),
    Mutant(
        "whoever computes for longer than his lease is taken for dead",
        lambda: presence,
        change("__ and not __h", "False"),
        LEASE,
    ),
    Mutant(
        "whoever hangs keeps its shards as long as its session lasts",
        lambda: presence,
        change("__a and not __h", "__a"),
        LEASE,
    ),
    Mutant(
        "whoever froze in mid-commit holds its shards until the machine is found",
        lambda: database,
        drop("'idle_in_transaction_session_timeout': __"),
        LEASE,
    ),
    Mutant(
        "one row that somebody holds keeps all shards from being taken",
        lambda: store.CLAIM,
        words("SKIP LOCKED", ""),
        LEASE,
    ),
    Mutant(
        "a member asks for the same shard again and again, though others are free",
        lambda: membership,
        drop("__.sort(key=__)"),
        LEASE,
    ),
    Mutant(
        "a member that cannot look for an hour says that it holds its share",
        lambda: membership,
        change("time.monotonic() - __ > __", "False"),
        LEASE,
    ),
    Mutant("shares are rounded up for everybody", lambda: runtime, flip("__.index(__) < __"), LEASE),
    Mutant(
        "a thawed member goes on with shards that others own",
        lambda: runtime,
        drop("if __: __.loop.drop(__)"),
        LEASE,
    ),
    Mutant(
        "whoever cannot reach the broker keeps its shards idle",
        lambda: runtime,
        negate("not __.presence.alone"),
        LEASE,
    ),
    Mutant(
        "a pooler that mixes sessions is taken for a server",
        lambda: database_check,
        change("__a.isdisjoint(__) and __", "True"),
        DATABASE,
    ),
    Mutant(
        "what is left of an address that its password cuts in two is taken for one",
        lambda: database_check,
        change("__ > 1 or __", "False"),
        DATABASE,
    ),
    Mutant(
        "whatever was refused is read with the order's life",
        lambda: store.LOAD,
        words("type !~ '", "type <> '"),
        STORE,
    ),
    Mutant(
        "whoever takes over answers again what was answered",
        lambda: loading,
        change("await __.answered(...)", "()"),
        LONG,
    ),
    Mutant(
        "a long life is folded while everybody waits",
        lambda: loading,
        change("fold(__a, __b, __c)\nawait asyncio.sleep(0)", "fold(__a, __b, __c)"),
        LONG,
    ),
    Mutant(
        "an answer of old is known by another name",
        "shared/runtime/postgres/migrations/0004_answers.sql",
        words("octet_length(command_id) || ':' || command_id", "command_id"),
        STORE,
    ),
    Mutant(
        "what no batch has room for any more is not sent",
        lambda: publisher.KafkaPublisher,
        change("{__p: __l for __p, __l in __w.items() if __l and __p not in __r}", "{} if sent else waiting"),
        PUBLISHER,
    ),
    Mutant(
        "everything goes out under its order's key",
        lambda: codec.record_key,
        change("__a.key if __ else __a.stream_id.encode()", "(__a.stream_id or '').encode()"),
        PUBLISHER,
    ),
    Mutant(
        "reading begins behind the record that is next",
        lambda: source.KafkaSource.resume,
        change("__a.get(__b, 0)", "__a.get(__b, -1) + 1"),
        SOURCE,
    ),
    Mutant(
        "a repeat that came late hides what is known to be there",
        lambda: source.KafkaSource.said,
        change("max(__a, __f.get(__p, 0))", "__f.get(__p, __a)"),
        ("tests/contract/test_logs.py",),
    ),
    Mutant(
        "commands of a transaction that was aborted are obeyed",
        lambda: source.KafkaSource,
        change("'read_committed'", "'read_uncommitted'"),
        SOURCE,
    ),
)
