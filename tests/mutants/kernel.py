"""Bugs of the kernel, the shard loop, the codec and what stands in for the servers."""

from deploy import memory as played
from deploy.stories import scaled, versions
from shared import kernel, rules, runtime
from shared.kernel import codec, entries, envelope, stream
from shared.kernel import policies as kernel_policies
from shared.rules import calendar
from shared.runtime import batch, clocks, intake, logs, memory, outbox, parking, shard_loop, worlds
from tests.mutants.changes import change, drop, flip, negate
from tests.mutants.mutant import Mutant

MUTANTS = (
    Mutant(
        "a dead letter of people repeats what lay there",
        lambda: codec.dead_letter,
        change("(None, None, ()) if __ else __all", "__all"),
        ("tests/kit/test_people.py",),
    ),
    Mutant(
        "anybody's contact is written by whoever has another key",
        lambda: entries,
        drop("if __e.key != __k: ..."),
        ("tests/kit/test_people.py",),
    ),
    # -- the kernel ----------------------------------------------------------------------------------------------------
    Mutant("a deadline strikes at its own instant", lambda: kernel, flip("__.due_at >= __")),
    Mutant("other services' events bring deadlines about", lambda: kernel, change("if __.own: ...", "...")),
    Mutant("only a bell brings deadlines about", lambda: kernel, change("__a.own", "isinstance(__a.payload, WakeUp)")),
    Mutant(
        "a window counts from the deadline that opened it, however late that struck",
        lambda: kernel,
        change(
            "__d.expire(__s, __deadline, __now, __p)",
            "__d.expire(__s, __deadline, __deadline.due_at, __p)",
        ),
    ),
    Mutant(
        "of two deadlines of one instant the alphabet decides",
        lambda: kernel,
        change("names.index(__a)", "__a"),
    ),
    Mutant(
        "the clocks that run are told in any order",
        lambda: kernel,
        change("sorted(__a, key=lambda one: _turn(one, names))", "list(__a)"),
    ),
    Mutant("a repeat is answered like a conflict", lambda: kernel, drop("if __: __._repeat(...); return {}")),
    Mutant("who repeats himself is not told his answer", lambda: kernel, drop("__._repeat(__, __)")),
    Mutant(
        "two words about a repeat have one id",
        lambda: kernel,
        change("__a + (__b or b'') + __.place", "__a + (__b or b'')"),
    ),
    Mutant(
        "whoever comes first has the id for himself",
        lambda: kernel,
        change("(__.role, __.id) if __ else __", "('', '')"),
    ),
    Mutant("another command under a known id is obeyed", lambda: kernel, drop("case _ if __: return [CONFLICT]")),
    Mutant(
        "a refused copy makes the first one forgotten",
        lambda: stream.Decision,
        change("__ | {__a: __b}", "{__a: __b}"),
    ),
    Mutant("one command more than the limit is obeyed", lambda: stream.Decision, flip("__.get(__, 0) < __")),
    Mutant("who takes a shard over counts from nothing", lambda: stream.fold, drop("__.acts = acted(...)")),
    Mutant("a refusal takes somebody's room", lambda: stream.acted, drop("isinstance(__, Reply)")),
    Mutant("the messages of one answer share an id", lambda: kernel, drop("__.update(str(__).encode())")),
    Mutant(
        "what a deadline brings about begins a story of its own",
        lambda: stream.Decision,
        change("__a or __b.correlation_id", "__b.correlation_id"),
    ),
    Mutant(
        "the alarm is moved later and never earlier", lambda: kernel, change("__a.due_at < __b", "__a.due_at > __b")
    ),
    Mutant("a bell at the very instant is asked for again at once", lambda: kernel, flip("__.time <= __")),
    Mutant(
        "an early bell is rung again every second until it is late enough",
        lambda: kernel,
        change("max(__, __a + __b)", "__a + __b"),
    ),
    Mutant("the last bell leaves no trace in the stream", lambda: kernel, drop("if __: __.say([__()], ...)")),
    Mutant(
        "what is due again for the same instant has the ids of the first time",
        lambda: kernel,
        change("f'{__a.due_at.isoformat()}|{__}|'.encode() + __", "__a.due_at.isoformat().encode()"),
    ),
    Mutant("anybody lets a parked order go on", lambda: kernel, change("__ and role_may(__) is None", "True")),
    # -- the shard loop ------------------------------------------------------------------------------------------------
    Mutant(
        "events are published before they are committed",
        lambda: shard_loop.ShardLoop._refused,
        change(
            "await __s.store.commit(__c)",
            "await __s.outbox.publisher.send([event for event in __c.events if event.topic is not None])\n"
            "await __s.store.commit(__c)",
        ),
    ),
    Mutant(
        "rows count as published before the broker has them",
        lambda: outbox,
        change("min(len(__a), __b.get(__c, len(__a)))", "len(__a)"),
    ),
    Mutant(
        "what one place refuses makes all that was sent with it go out again",
        lambda: outbox,
        change("min(len(__a), __b.get(__c, len(__a)))", "0 if __b else len(__a)"),
    ),
    Mutant(
        "all counts as published behind which the oldest still waits",
        lambda: batch.Unpublished,
        change("return min(..., default=__a._last + 1)", "return max(..., default=__a._last + 1)"),
    ),
    Mutant(
        "a bell goes out before it is on the bus that it rang",
        lambda: batch.Unpublished,
        change("if __ not in __._unproved: ...", "return events"),
    ),
    Mutant(
        "what could not be sent to the dead letters keeps back every bell",
        lambda: batch.Unpublished,
        drop("not __[0].endswith('.dead-letters')"),
    ),
    Mutant("a place that refuses is asked without a pause", lambda: outbox, change("min(2 * __a, __b)", "__a")),
    Mutant(
        "what a dead process committed and did not publish stays unsaid",
        lambda: runtime,
        drop("await __.inherit(__)"),
    ),
    Mutant(
        "a shard that does not fit the logs is served all the same",
        lambda: shard_loop.ShardLoop.claim,
        change("await __.world.fitting(__a)", "__a"),
    ),
    Mutant("a cursor behind the end of its log is believed", lambda: worlds, drop("if __.offset > __.end: ...")),
    Mutant("a topic that was made anew is taken for the one it was", lambda: worlds, drop("__ not in (None, __)")),
    Mutant("a number that the database does not know counts for nothing", lambda: worlds, drop("__ > __.sequence")),
    Mutant(
        "a database that is older than the bus is served",
        lambda: worlds.of_outputs,
        change("__ == __a.shard and __ > __a.sequence", "False"),
    ),
    Mutant(
        "rows that were put back are looked at by nobody who has nothing to do",
        lambda: shard_loop.ShardLoop.look,
        change("__.store.check(__)", "asyncio.sleep(0)"),
    ),
    Mutant(
        "what the bus lost of a shard is not missed",
        lambda: worlds.of_outputs,
        change("(__ or 0) < __a", "False"),
    ),
    Mutant(
        "a topic of ours that was made anew is taken for the one it was",
        lambda: worlds.WorldCheck._of_logs,
        change("__.get(__a, __b.topic_id) != __b.topic_id", "False"),
    ),
    Mutant("the source may have lost what is known to be there", lambda: worlds, flip("(__ or 0) < __")),
    Mutant("the cursor stays on the record that was handled", lambda: intake, change("__a.offset + 1", "__a.offset")),
    Mutant("a record below the cursor is handled again", lambda: runtime, drop("__.offset < __.offset")),
    Mutant("a gap in the log is believed at first sight", lambda: runtime, negate("__.gaps.get(__) != __")),
    Mutant("a real gap in the log is looked at for ever", lambda: runtime, drop("__.gaps[__] = __")),
    Mutant("what was published twice is heard twice", lambda: runtime, flip("__.sequence <= __")),
    Mutant(
        "all who write to a topic share one high-water mark",
        lambda: runtime,
        change("(__a.topic, __.source)", "(__a.topic, '')"),
    ),
    Mutant(
        "a broker's clock that steps back takes the inputs with it",
        lambda: clocks,
        change("max(__a.timestamp, __)", "__a.timestamp"),
    ),
    Mutant("no append time is too far ahead", lambda: clocks, flip("__ - __ <= __ / __")),
    Mutant(
        "a log from the future is not read again when it is then",
        lambda: clocks,
        change("return bool(__a)", "return False"),
    ),
    Mutant(
        "alarms are rung by one clock",
        lambda: clocks,
        change("__a + min(...)", "__a"),
        ask=("tests/kit/test_timers.py",),
    ),
    Mutant("what an operator says of append times is not heard", lambda: clocks, drop("if __.offset < __: ...")),
    Mutant(
        "after a doubtful commit it goes on with what it believes",
        lambda: shard_loop.ShardLoop._keep,
        drop("__._drop(__)"),
    ),
    Mutant("what follows a parked record is lost", lambda: shard_loop.ShardLoop._handle, drop("__.park(...)")),
    Mutant(
        "a thawed process cries that an order is parked which another one has gone on with",
        lambda: shard_loop.ShardLoop._handle,
        drop("await __.store.check(__)"),
    ),
    Mutant(
        "who lost his shard takes apart what others have written already",
        lambda: shard_loop.ShardLoop._settle,
        drop("await __.store.check(__)"),
    ),
    Mutant("streams in memory know what was not kept", lambda: runtime, drop("__.undo()")),
    Mutant(
        "a gap in the log is believed once its batch was taken apart", lambda: runtime, drop("not __.is_suspended(__)")
    ),
    Mutant(
        "a shard whose database takes nothing is tried again at once",
        lambda: parking,
        change("min(2 * __, __)", "0.0"),
    ),
    Mutant(
        "who waits for a policy waits on when its file is there", lambda: parking, drop("if __: __.unruled.add(__)")
    ),
    Mutant(
        "an own input that is parked stays with its source", lambda: batch, drop("__.inputs.append((__, replace(...)))")
    ),
    Mutant("an order goes on when its first slice did", lambda: parking, change("__a == last", "True")),
    Mutant(
        "what follows a record that raises again is handled before it",
        lambda: batch.Batch.goes_on,
        drop("__ not in self.stopped"),
    ),
    Mutant(
        "every take-over tells again what is parked",
        lambda: batch.Batch.stop,
        drop("not __.resuming.get(__)"),
    ),
    Mutant(
        "one stream that cannot be read ends the process",
        lambda: runtime,
        change("__.unreadable[__] = __", "raise"),
    ),
    Mutant(
        "nothing holds back what the broker cannot take",
        lambda: shard_loop.ShardLoop.step,
        drop("__._hold_back()"),
        ask=("tests/kit/test_outbox.py",),
    ),
    Mutant(
        "private rows take a number of the published ones",
        lambda: runtime,
        change("__a += __.topic is not None", "__a += 1"),
    ),
    Mutant("a dead letter takes no number", lambda: runtime, drop("__.sequence += 1")),
    Mutant(
        "a message larger than a topic takes is stored and blocks the rest",
        lambda: batch,
        change("__a > codec.OWN_DATA_BYTES_MAX", "__a > 2 * codec.OWN_DATA_BYTES_MAX"),
    ),
    Mutant(
        "what stands under another key lies where its cause lay",
        lambda: batch,
        drop("__ = __.home(__)"),
        ask=("tests/flows/test_stories.py",),
    ),
    Mutant(
        "a cursor is stored only where there was one before",
        lambda: runtime,
        change("__c != __a.cursors.get(__b)", "__c != __a.cursors.get(__b, __c)"),
    ),
    Mutant(
        "marks are stored only where there was one before",
        lambda: runtime,
        change("__c != __a.marks.get(__b)", "__c != __a.marks.get(__b, __c)"),
    ),
    Mutant("who asks for a parked order to go on waits with it", lambda: runtime, drop("if __: __.resumed.append(__)")),
    Mutant(
        "every shard keeps as many orders as a process may",
        lambda: runtime,
        change("STREAMS_CACHED_MAX // __", "STREAMS_CACHED_MAX"),
    ),
    # -- the codec -----------------------------------------------------------------------------------------------------
    Mutant(
        "two bells of one instant set alarms of one id",
        lambda: kernel,
        change("__f(..., own=__a, digest=_place(__))", "__f(..., own=__a)"),
    ),
    Mutant(
        "a flood of headers is read like any record",
        lambda: kernel,
        change("len(__a.headers) > HEADERS_MAX", "len(__a.headers) > HEADERS_MAX * HEADERS_MAX"),
    ),
    Mutant(
        "a record under another key than its data's is obeyed", lambda: codec, change("__a.key != __", "not __a.key")
    ),
    Mutant(
        "a record on another partition than its key's is obeyed",
        lambda: codec,
        change("__a.partition != __", "__a.partition >= self.partitions"),
    ),
    Mutant(
        "the same command on two partitions has two answers of one id",
        lambda: kernel,
        drop("__ += b'|%d' % __.partition"),
    ),
    Mutant(
        "a refused command is another one when its fields are turned",
        lambda: kernel,
        change("json.dumps(__a, sort_keys=True, separators=__)", "json.dumps(__a)"),
    ),
    Mutant(
        "an envelope may be as long as it likes",
        lambda: codec.Decoder._decode,
        drop("if __ and is_too_long(__): ..."),
    ),
    Mutant(
        "spelling out a default makes it another command",
        lambda: kernel,
        change("__a.model_dump_json(exclude_defaults=True)", "__a.model_dump_json(exclude_unset=True)"),
    ),
    Mutant(
        "two commands of the same content and different type are the same",
        lambda: kernel,
        change("blake2b(__ + b'|' + __a, ...)", "blake2b(__a, ...)"),
    ),
    Mutant(
        "an outsider's event is known by a sequence that he chose",
        lambda: kernel,
        change("__ in OUTSIDERS_WRITE or __a", "__a"),
    ),
    Mutant(
        "an event of ours that cannot be read is lost", lambda: kernel, change("__.kept(...) if __ else __a", "__a")
    ),
    Mutant(
        "an event of a type that only a newer version knows is passed over",
        lambda: kernel,
        change("__ in Message.MODELS", "True"),
    ),
    Mutant("a sequence may be longer than a table can hold", lambda: kernel, drop("len(__) <= SEQUENCE_DIGITS_MAX")),
    Mutant(
        "the limits of a command are narrower in other scripts",
        lambda: envelope.is_too_long,
        drop("_characters(__) > COMMAND_BYTES_MAX"),
    ),
    Mutant("a name may hold a NUL, which no table takes", lambda: kernel, drop(r"b'\0' in __")),
    Mutant(
        "headers are stored as text", lambda: kernel, change("__a.decode('latin-1')", "__a.decode(errors='replace')")
    ),
    # -- the logs ------------------------------------------------------------------------------------------------------
    Mutant("a bug's own words are logged", lambda: logs.words, change("return _COVERED", "return str(error)")),
    Mutant("a row that the database refuses is logged", lambda: logs.words, change("__a.args[0] if __ else ''", "__a")),
    Mutant("an address is logged", lambda: logs.JsonLines, change("_ADDRESS.sub(...) if __ else __a", "__a")),
    # -- what policies and calendars say -------------------------------------------------------------------------------
    Mutant(
        "holidays are working days",
        lambda: calendar._working_day,
        change("__.is_working_day(__a)", "__a.weekday() < 5"),
    ),
    Mutant(
        "working days are counted by the calendar of Greenwich",
        lambda: rules,
        change("__a.astimezone(ZoneInfo(__))", "__a"),
    ),
    Mutant(
        "an order is placed under the oldest version of its policy",
        lambda: kernel_policies.Policies.newest,
        change("max(...)", "min(...)"),
    ),
    Mutant(
        "where days are seconds an order has a second to be paid in",
        lambda: scaled.scaled,
        change("__a - {KEPT}", "__a"),
        ("tests/domain/test_policies.py",),
    ),
    Mutant(
        "stories of an old version are played under the newest",
        lambda: played._when_newest,
        change("__a.version <= version", "True"),
        ("tests/flows/test_versions.py",),
    ),
    Mutant(
        "a policy is compared with itself",
        lambda: versions.compared_with,
        change("__a == ours", "False"),
        ("tests/flows/test_versions.py",),
    ),
    Mutant(
        "a version is compared with the first one and not with the one before it",
        lambda: versions._before,
        change("max(...)", "min(...)"),
        ("tests/flows/test_versions.py",),
    ),
    Mutant(
        "a party may supersede the other's evidence",
        lambda: rules,
        change("__a[__b.supersedes] != __", "not __a[__b.supersedes]"),
    ),
    # -- the simulated store -------------------------------------------------------------------------------------------
    Mutant(
        "the simulated store takes commits of whoever had the shard",
        lambda: runtime,
        change("__a.epoch == __b.epoch", "__a.epoch >= __b.epoch"),
    ),
    Mutant(
        "in the simulated store what is published is taken back by a late commit",
        lambda: memory.MemoryStore.commit,
        change("max(__.published, __a.published)", "__a.published"),
    ),
)
