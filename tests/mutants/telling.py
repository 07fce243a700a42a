"""Bugs of who is told what and when: notification, timer, and what the contract lets people see and say."""

from tests.mutants.mutant import Mutant

MUTANTS = (
    # -- notification --------------------------------------------------------------------------------------------------
    Mutant(
        "a message is sent to who wrote it",
        "services/notification/subscriptions.py",
        'return "seller" if event.by == "buyer" else "buyer"',
        'return "buyer" if event.by == "buyer" else "seller"',
    ),
    Mutant(
        "people are told what is not for their eyes, if the table says so",
        "services/notification/subscriptions.py",
        " and may_see(event, role)",
        "",
    ),
    Mutant(
        "a seller is told that the platform's chargeback is late",
        "services/notification/subscriptions.py",
        '"chargeback": None}',
        '"chargeback": "seller"}',
    ),
    Mutant(
        "an attempt of a process that lost the order counts",
        "services/notification/domain.py",
        " or attempt.attempt != pending.attempts + 1:",
        ":",
    ),
    Mutant(
        "a letter is tried once more than there are pauses for",
        "services/notification/domain.py",
        "attempt.attempt >= ATTEMPTS_MAX",
        "attempt.attempt > ATTEMPTS_MAX",
    ),
    Mutant(
        "buyer and seller are told under one delivery id",
        "services/notification/domain.py",
        "|{role}|{channel}",
        "|{channel}",
    ),
    Mutant(
        "webhooks carry everybody's addresses",
        "services/notification/domain.py",
        'event.model_dump(mode="json", exclude=ADDRESSES)',
        'event.model_dump(mode="json")',
    ),
    Mutant(
        "a title may break the line of a subject",
        "services/notification/letters.py",
        'return type(value)(" ".join(_harmless(value).split()))',
        "return type(value)(_harmless(value))",
    ),
    Mutant(
        "somebody's second line poses as the platform's words",
        "services/notification/letters.py",
        'return _Quoted("\\n".join(f"> {_harmless(line).strip()}" for line in text.splitlines()))',
        'return _Quoted(f"> {_harmless(text).strip()}")',
    ),
    Mutant(
        "HTML that people typed is HTML in their letters",
        "services/notification/letters.py",
        'name.endswith(".html")',
        'name.endswith(".htm")',
    ),
    Mutant(
        "an address that only begins like one gets mail",
        "services/notification/smtp.py",
        "_LOCAL_PART.fullmatch(local)",
        "_LOCAL_PART.match(local)",
    ),
    Mutant(
        "a mail that is refused for now is given up",
        "services/notification/smtp.py",
        "final=by_recipient and status >= 500",
        "final=by_recipient and status >= 400",
    ),
    Mutant(
        "a mail that is sent again has another Message-ID",
        "services/notification/smtp.py",
        'f"<{delivery_id}@{sender.domain}>"',
        'f"<{delivery_id}.{id(message)}@{sender.domain}>"',
    ),
    Mutant(
        "one public address vouches for the private ones of a name",
        "services/notification/network.py",
        "not all(map(is_public, addresses))",
        "not any(map(is_public, addresses))",
    ),
    Mutant(
        "a webhook's name is looked up a second time to connect to it",
        "services/notification/network.py",
        "self._backend.connect_tcp(addresses[-1], port",
        "self._backend.connect_tcp(host, port",
    ),
    Mutant(
        "an address of this machine written as IPv6 is public",
        "services/notification/network.py",
        "        if within is None and found in NAT64:\n            within = IPv4Address(int(found) & 0xFFFF_FFFF)\n",
        "",
    ),
    Mutant(
        "a webhook's signature does not cover its id",
        "services/notification/webhooks.py",
        'b"%s.%d.%s" % (webhook_id.encode(), timestamp, content)',
        'b"%d.%s" % (timestamp, content)',
    ),
    Mutant(
        "an endpoint that asks for patience is given up",
        "services/notification/webhooks.py",
        "TRY_AGAIN = {408, 425, 429}",
        "TRY_AGAIN = {408, 425}",
    ),
    Mutant(
        "two events of one content and instant share a letter",
        "services/notification/domain.py",
        'f"{heard.id}|{role}|{channel}"',
        'f"{heard.event.model_dump_json()}|{role}|{channel}"',
    ),
    # -- timer ---------------------------------------------------------------------------------------------------------
    Mutant(
        "a timer rings at the very instant, when nothing has passed yet",
        "services/timer/agenda.py",
        "timer.ring_at <= now_ms",
        "timer.due_at <= now_ms",
    ),
    Mutant(
        "a timer that is set again in the batch that cancelled it is gone",
        "services/timer/agenda.py",
        "                    change.cancelled.discard(scheduled.timer_id)\n",
        "",
    ),
    Mutant(
        "a timer that is cancelled in the batch that set it rings",
        "services/timer/agenda.py",
        "                    change.armed.pop(timer_id, None)\n",
        "",
    ),
    Mutant(
        "timers beyond the first page are forgotten",
        "services/timer/agenda.py",
        "opened.covered = page[-1].place if len(page) == PAGE else END",
        "opened.covered = END",
    ),
    Mutant(
        "a timer that was moved later holds up those behind its old place",
        "services/timer/agenda.py",
        "if timer is not None and timer.place == place:",
        "if timer is not None:",
    ),
    Mutant(
        "a timer whose order is parked is taken for rung when a later one rings",
        "services/timer/agenda.py",
        "            change.armed |= shards[shard].left_behind(change)\n",
        "",
    ),
    Mutant(
        "anybody may set a timer",
        "services/timer/domain.py",
        "        case TimerCommand(actor=actor) if actor.role not in message.by:\n"
        '            return [Refusal("not_allowed", "Only our own services set timers.")]\n',
        "",
    ),
    Mutant(
        "an alarm that is asked for again after it rang has the id of its first ring",
        "services/timer/agenda.py",
        "{timer.timer_id}@{timer.ring_at}",
        "{timer.timer_id}@{timer.due_at}",
    ),
    Mutant(
        "a clock that is ahead rings in a loop",
        "services/timer/agenda.py",
        "return max(due_at + 1, watermark.ring_at + 1, pause_ends)",
        "return max(due_at + 1, watermark.ring_at + 1)",
    ),
    # -- the contract --------------------------------------------------------------------------------------------------
    Mutant(
        "an instant is asked for its year in its own zone",
        "schemas/wire.py",
        "        instant = instant.astimezone(UTC)\n    if instant.year not in YEARS:",
        "        instant.astimezone(UTC)\n    if instant.year not in YEARS:",
    ),
    Mutant(
        "a refusal is shown to everybody",
        "schemas/visibility.py",
        "(actor is not None and actor.role == viewer)",
        "actor is not None",
    ),
    Mutant(
        "each party sees the other's address",
        "schemas/visibility.py",
        "if name not in ADDRESS or whose == viewer",
        "if name not in ADDRESS or whose in PARTIES",
    ),
    Mutant(
        "who is asked is told that the other one is",
        "schemas/visibility.py",
        'mine = status == f"waiting_{viewer}"',
        'mine = status != f"waiting_{viewer}"',
    ),
    Mutant(
        "terms may refund something and be called none",
        "schemas/common.py",
        'if (self.kind == "none") != (self.refund_minor == 0):',
        'if self.kind != "none" and self.refund_minor == 0:',
    ),
    Mutant(
        "what is no field of a command is overlooked",
        "schemas/wire.py",
        'strict=True, frozen=True, extra="forbid"',
        'strict=True, frozen=True, extra="ignore"',
    ),
    Mutant(
        "instants are exact to the microsecond",
        "schemas/wire.py",
        "instant.replace(microsecond=instant.microsecond // 1000 * 1000)",
        "instant",
    ),
    Mutant(
        "a seller may cancel the buyer's dispute",
        "schemas/dispute/commands.py",
        '    type = "dispute.cancel.v1"\n    by = frozenset({"buyer"})\n',
        '    type = "dispute.cancel.v1"\n    by = frozenset({"buyer", "seller"})\n',
    ),
    Mutant(
        "the broker believes whoever writes what time it is",
        "schemas/topics.py",
        '"message.timestamp.type": "LogAppendTime"',
        '"message.timestamp.type": "CreateTime"',
    ),
    Mutant(
        "events are forgotten after four weeks",
        "schemas/topics.py",
        'events = common | {"retention.ms": "-1"}',
        'events = common | {"retention.ms": str(4 * _WEEK_MS)}',
    ),
)
