"""Bugs of the kernel, the shard loop, the codec and what stands in for the servers."""

from tests.mutants.mutant import Mutant

MUTANTS = (
    # -- the kernel ----------------------------------------------------------------------------------------------------
    Mutant(
        "a deadline strikes at its own instant",
        "shared/kernel/decider.py",
        "deadline.due_at >= self.record.time",
        "deadline.due_at > self.record.time",
    ),
    Mutant(
        "other services' events bring deadlines about",
        "shared/kernel/decider.py",
        "    if record.own:\n        turn.pass_deadlines()\n",
        "    turn.pass_deadlines()\n",
    ),
    Mutant(
        "only a bell brings deadlines about",
        "shared/kernel/decider.py",
        "    if record.own:\n",
        "    if isinstance(record.heard, Bell):\n",
    ),
    Mutant(
        "a window counts from the deadline that opened it, however late that struck",
        "shared/kernel/decider.py",
        "self.decider.decide(self.state, heard, self.record.time, self.policies)",
        "self.decider.decide(\n"
        "            self.state,\n"
        "            heard,\n"
        "            heard.due_at if isinstance(heard, Deadline) else self.record.time,\n"
        "            self.policies,\n"
        "        )",
    ),
    Mutant(
        "of two deadlines of one instant the alphabet decides",
        "shared/kernel/decider.py",
        "deadline.due_at, decider.deadline_names.index(deadline.name), deadline.subject",
        "deadline.due_at, deadline.name, deadline.subject",
    ),
    Mutant(
        "a repeat is answered like a conflict",
        "shared/kernel/decider.py",
        "if digest is None or digest in answered:",
        "if digest is None:",
    ),
    Mutant(
        "another command under a known id is obeyed",
        "shared/kernel/decider.py",
        "        elif answered:\n            self.say([CONFLICT], record.id, digest, record.actor)\n",
        "",
    ),
    Mutant(
        "a refused copy makes the first one forgotten",
        "shared/kernel/decider.py",
        "stream.answered[record.id] = answered | {record.digest}",
        "stream.answered[record.id] = {record.digest}",
    ),
    Mutant(
        "the messages of one answer share an id",
        "shared/kernel/decider.py",
        "            id_.update(str(number).encode())\n",
        "",
    ),
    Mutant(
        "what a deadline brings about begins a story of its own",
        "shared/kernel/decider.py",
        "self.correlation_id = stream.correlation_id or record.correlation_id",
        "self.correlation_id = record.correlation_id or stream.correlation_id",
    ),
    Mutant(
        "the alarm is moved later and never earlier",
        "shared/kernel/decider.py",
        "(alarm is None or deadline.due_at < alarm)",
        "(alarm is None or deadline.due_at > alarm)",
    ),
    Mutant(
        "a bell at the very instant is asked for again at once",
        "shared/kernel/decider.py",
        "record.time <= set_before",
        "record.time < set_before",
    ),
    Mutant(
        "an early bell is rung again every second until it is late enough",
        "shared/kernel/decider.py",
        "alarm = max(alarm, record.time + EARLY_BELL_DELAY)",
        "alarm = record.time + EARLY_BELL_DELAY",
    ),
    Mutant(
        "the last bell leaves no trace in the stream",
        "shared/kernel/decider.py",
        "        elif rang and set_before is not None:\n"
        "            self.say([AlarmRung()], record.id, self.this_time)\n",
        "",
    ),
    Mutant(
        "what is due again for the same instant has the ids of the first time",
        "shared/kernel/decider.py",
        'self.ask(deadline, cause, f"{deadline.due_at.isoformat()}|{self.record.id}|".encode() + self.this_time)',
        "self.ask(deadline, cause, deadline.due_at.isoformat().encode())",
    ),
    Mutant(
        "anybody lets a parked order go on",
        "shared/kernel/decider.py",
        "isinstance(heard, Resume) and heard.actor.role in heard.by",
        "isinstance(heard, Resume)",
    ),
    # -- the shard loop ------------------------------------------------------------------------------------------------
    Mutant(
        "events are published before they are committed",
        "shared/runtime/shard_loop.py",
        "        if not batch.claims:\n            return\n",
        "        if not batch.claims:\n            return\n"
        "        await self.publisher.send([row for row in batch.rows if row.topic is not None])\n",
    ),
    Mutant(
        "rows count as published before the broker has them",
        "shared/runtime/shard_loop.py",
        "        await self.publisher.send(wave)\n"
        "        for shard, count in shares:\n"
        "            for _ in range(count):\n"
        "                shard.claim.published = shard.pending.popleft().position\n",
        "        for shard, count in shares:\n"
        "            for _ in range(count):\n"
        "                shard.claim.published = shard.pending.popleft().position\n"
        "        await self.publisher.send(wave)\n",
    ),
    Mutant(
        "what a dead process committed and did not publish stays unsaid",
        "shared/runtime/shard_loop.py",
        "                await self._drain(shard)\n",
        "",
    ),
    Mutant(
        "the cursor stays on the record that was handled",
        "shared/runtime/shard_loop.py",
        "cursor.offset = record.offset + 1",
        "cursor.offset = record.offset",
    ),
    Mutant(
        "a record below the cursor is handled again",
        "shared/runtime/shard_loop.py",
        "if record.offset < cursor.offset or log_read in batch.suspended:",
        "if log_read in batch.suspended:",
    ),
    Mutant(
        "a gap in the log is believed at first sight",
        "shared/runtime/shard_loop.py",
        "shard.gaps.get(record.topic) != record.offset",
        "shard.gaps.get(record.topic) == record.offset",
    ),
    Mutant(
        "a real gap in the log is looked at for ever",
        "shared/runtime/shard_loop.py",
        "            shard.gaps[record.topic] = record.offset\n",
        "",
    ),
    Mutant(
        "what was published twice is heard twice",
        "shared/runtime/shard_loop.py",
        "found.sequence <= claim.marks.get(place, 0)",
        "found.sequence < claim.marks.get(place, 0)",
    ),
    Mutant(
        "all who write to a topic share one high-water mark",
        "shared/runtime/shard_loop.py",
        "place = (record.topic, found.source)",
        'place = (record.topic, "")',
    ),
    Mutant(
        "a broker's clock that steps back takes the inputs with it",
        "shared/runtime/shard_loop.py",
        "if record.timestamp < cursor.time:",
        "if record.timestamp < 0:",
    ),
    Mutant(
        "after a doubtful commit it goes on with what it believes",
        "shared/runtime/shard_loop.py",
        "            self._drop(list(batch.claims))\n            return False\n",
        "            return False\n",
    ),
    Mutant(
        "what follows a parked record is lost",
        "shared/runtime/shard_loop.py",
        "                batch.park(work.shard, order_id, work.record)\n            if may_resume",
        "                pass\n            if may_resume",
    ),
    Mutant(
        "a thawed process cries that an order is parked which another one has gone on with",
        "shared/runtime/shard_loop.py",
        "            await self.store.check([work.shard.claim])\n",
        "",
    ),
    Mutant(
        "an order whose policy is not here yet is parked",
        "shared/runtime/shard_loop.py",
        '        except PolicyMissing as missing:\n            raise Outage(f"waiting for {missing}") from missing\n',
        "",
    ),
    Mutant(
        "one stream that cannot be read ends the process",
        "shared/runtime/shard_loop.py",
        "                batch.unreadable[shard, order_id] = bug\n",
        "                raise\n",
    ),
    Mutant(
        "nothing holds back what the broker cannot take",
        "shared/runtime/shard_loop.py",
        "            await self._room.wait()\n",
        "",
    ),
    Mutant(
        "private rows take a number of the published ones",
        "shared/runtime/batch.py",
        "sequence += one.topic is not None",
        "sequence += 1",
    ),
    Mutant(
        "a dead letter takes no number",
        "shared/runtime/batch.py",
        "        claim.sequence += 1\n",
        "",
    ),
    Mutant(
        "a message larger than a topic takes is stored and blocks the rest",
        "shared/runtime/batch.py",
        "> BATCH_BYTES_MAX:",
        "> 2 * BATCH_BYTES_MAX:",
    ),
    Mutant(
        "what stands under another key lies where its cause lay",
        "shared/runtime/batch.py",
        "                partition = codec.partition_of(key, self.partitions)\n",
        "",
        ask=("tests/flows/test_stories.py",),
    ),
    Mutant(
        "a cursor is stored only where there was one before",
        "shared/runtime/batch.py",
        "            if cursor != shard.claim.cursors.get(topic)\n",
        "            if cursor != shard.claim.cursors.get(topic, cursor)\n",
    ),
    Mutant(
        "marks are stored only where there was one before",
        "shared/runtime/batch.py",
        "            if sequence != shard.claim.marks.get(place)\n",
        "            if sequence != shard.claim.marks.get(place, sequence)\n",
    ),
    Mutant(
        "who asks for a parked order to go on waits with it",
        "shared/runtime/shard_loop.py",
        "            if self._owned(shard):\n                await self._resume(shard, order_id, aloud=True)\n",
        "            pass\n",
    ),
    Mutant(
        "every shard keeps as many orders as a process may",
        "shared/runtime/shard_loop.py",
        "STREAMS_CACHED_MAX // len(self.shards)",
        "STREAMS_CACHED_MAX",
    ),
    # -- the codec -----------------------------------------------------------------------------------------------------
    Mutant(
        "two bells of one instant set alarms of one id",
        "shared/kernel/codec.py",
        "own=record.partition == home, digest=_place(record)",
        "own=record.partition == home",
    ),
    Mutant(
        "a flood of headers is read like any record",
        "shared/kernel/codec.py",
        "if len(record.headers) > HEADERS_MAX:",
        "if len(record.headers) > HEADERS_MAX * HEADERS_MAX:",
    ),
    Mutant(
        "a record under another key than its data's is obeyed",
        "shared/kernel/codec.py",
        "if heard.key != key:",
        "if not heard.key:",
    ),
    Mutant(
        "a record on another partition than its key's is obeyed",
        "shared/kernel/codec.py",
        "        if record.partition != home:\n",
        "        if record.partition >= self.partitions:\n",
    ),
    Mutant(
        "spelling out a default makes it another command",
        "shared/kernel/codec.py",
        "heard.model_dump_json(exclude_defaults=True)",
        "heard.model_dump_json(exclude_unset=True)",
    ),
    Mutant(
        "two commands of the same content and different type are the same",
        "shared/kernel/codec.py",
        'blake2b(type_.encode() + b"|" + content, digest_size=16)',
        "blake2b(content, digest_size=16)",
    ),
    Mutant(
        "an outsider's event is known by a sequence that he chose",
        "shared/kernel/codec.py",
        "if record.topic in OUTSIDERS_WRITE or not written_by_us:",
        "if not written_by_us:",
    ),
    Mutant(
        "a sequence may be longer than a table can hold",
        "shared/kernel/codec.py",
        " and len(sequence) <= SEQUENCE_DIGITS_MAX",
        "",
    ),
    Mutant(
        "the longest command there may be is too long",
        "shared/kernel/codec.py",
        "len(value) > COMMAND_BYTES_MAX:",
        "len(value) >= COMMAND_BYTES_MAX:",
    ),
    Mutant(
        "a name may hold a NUL, which no table takes",
        "shared/kernel/codec.py",
        r' or b"\0" in raw',
        "",
    ),
    Mutant(
        "headers are stored as text",
        "shared/kernel/codec.py",
        'value.decode("latin-1")',
        'value.decode(errors="replace")',
    ),
    # -- what policies and calendars say -------------------------------------------------------------------------------
    Mutant(
        "holidays are working days",
        "shared/rules/calendar.py",
        "n -= holidays.is_working_day(day)",
        "n -= day.weekday() < 5",
    ),
    Mutant(
        "working days are counted by the calendar of Greenwich",
        "shared/rules/calendar.py",
        "local = start.astimezone(ZoneInfo(time_zone))",
        "local = start",
    ),
    Mutant(
        "an order is placed under the oldest version of its policy",
        "shared/rules/policies.py",
        "        return max(\n",
        "        return min(\n",
    ),
    Mutant(
        "a party may supersede the other's evidence",
        "shared/rules/evidence.py",
        "if one.supersedes is not None and owners[one.supersedes] != by:",
        "if one.supersedes is not None and not owners[one.supersedes]:",
    ),
    # -- the simulated store -------------------------------------------------------------------------------------------
    Mutant(
        "the simulated store takes commits of whoever had the shard",
        "shared/runtime/memory.py",
        "stored.claim.epoch == claim.epoch",
        "stored.claim.epoch >= claim.epoch",
    ),
    Mutant(
        "in the simulated store what is published is taken back by a late commit",
        "shared/runtime/memory.py",
        "            stored.published = max(stored.published, claim.published)\n        for shard",
        "            stored.published = claim.published\n        for shard",
    ),
)
