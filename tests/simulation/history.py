"""A history as it is judged, made small and told."""

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

from shared.kernel.codec import header
from shared.kernel.ports import Record
from tests.simulation.coverage import Visited
from tests.simulation.determinism import the_same_commands_give_the_same_outcome, the_same_inputs_give_the_same_rows
from tests.simulation.invariants import problems
from tests.simulation.known import at
from tests.simulation.plan import Plan
from tests.simulation.play import NOWHERE, Played, play

ATTEMPTS_MAX = 300
TOLD = ("order.events", "dispute.events", "mediation.events", "refund.events", "payments.events")
WORTH_TELLING = (
    "code", "message", "outcome", "refund_minor", "release_minor", "amount_minor", "stage", "status", "dispute_id",
    "settlement_id", "by", "reason",
)  # fmt: skip


@dataclass
class Judged:
    plan: Plan
    played: Played | None
    """None: it came to no end."""
    wrong: list[str]

    @property
    def kind(self) -> str:
        """What is wrong first, without the particulars."""
        return self.wrong[0].partition(":")[0] if self.wrong else ""


def judge(plan: Plan, visited: Visited | None = None, log: logging.Handler = NOWHERE) -> Judged:
    """Plays the plan and looks at it.

    A simulation that stumbles, or gets no further, is a finding too: what it looked at was not as it should be.
    """
    played = None
    try:
        played = play(plan, visited, log)
        wrong = problems(played)
        for check in (the_same_inputs_give_the_same_rows, the_same_commands_give_the_same_outcome):
            if not wrong:
                wrong = [f"{check.__name__}: {one}" for one in check(played)]
    except Exception as stumbled:
        wrong = [f"{type(stumbled).__name__}: {stumbled}"]
    return Judged(plan, played, wrong)


def fingerprint(played: Played) -> str:
    """Over all events and rows, to the last byte."""
    digest = blake2b(digest_size=16)
    for record in played.world.bus.heard:
        digest.update(repr(record).encode())
    for group in played.world.groups.values():
        for shard in sorted(group.shards):
            digest.update(repr([(row, group.shards[shard].claim.epoch) for row in group.rows(shard)]).encode())
    digest.update(repr(played.world.ledger).encode())
    digest.update(repr([*played.world.mails, *played.world.webhooks]).encode())
    return digest.hexdigest()


def shrink(judged: Judged) -> Judged:
    """The same thing wrong with less: fewer turns, fewer faults, no hesitation; each taken out if it still fails."""
    best, attempts = judged, 0
    size = max(len(judged.plan.turns), len(judged.plan.faults))
    while size >= 1 and attempts < ATTEMPTS_MAX:
        smaller = False
        for plan in _smaller(best.plan, size):
            attempts += 1
            again = judge(plan)
            if again.kind == judged.kind:
                best, smaller = again, True
                break
            if attempts >= ATTEMPTS_MAX:
                break
        if not smaller:
            size //= 2
    return best


def _smaller(plan: Plan, size: int) -> Iterator[Plan]:
    nobodys = frozenset(number for number, turn in enumerate(plan.turns) if turn.order < 0)
    left = [number for number in range(len(plan.turns)) if number not in nobodys]
    for begin in range(0, len(plan.faults), size):
        yield plan.without(frozenset(), frozenset(range(begin, begin + size)))
    for begin in range(0, len(left), size):
        yield plan.without(frozenset(left[begin : begin + size]), frozenset())
    if plan.hesitation:
        yield plan.calmer()


def tell(judged: Judged) -> str:
    """The story of a failing plan: who said what when, what went wrong, what the services said, what is not right."""
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    handler.setLevel(logging.ERROR)
    again = judge(judged.plan, log=handler)
    lines: list[tuple[object, str]] = []
    if again.played is not None:
        lines += again.played.world.story
        seen: set[str] = set()
        for record in again.played.world.bus.heard:
            id_ = header(record.headers, "ce_id") or ""
            if record.topic in TOLD and id_ not in seen:
                seen.add(id_)
                lines.append((at(record.timestamp), _event(record)))
    lines.sort(key=lambda line: str(line[0]))
    story = [f"{str(when)[5:23]:18}  {what}" for when, what in lines]
    bugs = log.getvalue().strip()
    return "\n".join(
        [
            f"seed {judged.plan.seed}, made small ({len(judged.plan.faults)} faults; policies "
            f"{', '.join(deal.policy for deal in judged.plan.deals)})",
            *story,
            *(["", bugs] if bugs else []),
            "",
            "What should not be:",
            *(f"  {wrong[:600]}" for wrong in judged.wrong[:5]),
            f"Again: make simulate SEED={judged.plan.seed}",
        ]
    )


def _event(record: Record) -> str:
    data = json.loads(record.value or b"{}")
    said = {name: data[name] for name in WORTH_TELLING if data.get(name) is not None}
    type_ = (header(record.headers, "ce_type") or "").removesuffix(".v1")
    key = (record.key or b"").decode()
    return f"        {key}: {type_} {json.dumps(said, separators=(',', ':'))}"
