"""What a seed stands for: the orders, the people, when they act, and what goes wrong meanwhile.

A plan says everything that is drawn. Each turn has a seed of its own, so one taken out leaves the others what they
were: that is how a failing plan is made small.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal, TypeVar, get_args

from schemas.topics import SERVICES
from schemas.wire import Service
from shared.kernel.policies import Policies
from shared.rules import policies

T = TypeVar("T")
Manner = Literal["honest", "confused", "greedy", "silent", "repeating"]
Moment = Literal["at once", "soon", "when quiet", "days later", "at a deadline", "all at once"]
Kind = Literal[
    "crash",
    "freeze",
    "stall",
    "half-open session",
    "lost answer",
    "database down",
    "broker down",
    "topic delayed",
    "delivered again",
    "moved",
    "stolen",
    "broker clock forward",
    "broker clock back",
    "clock wrong",
    "mail down",
    "provider away",
    "broken rule",
    "older version",
    "database put back",
    "log lost its tail",
    "topic made anew",
]
"""What goes wrong. `lost answer`: of a commit, a claim or a publication, which happened or did not. `freeze`: a process
stops in mid-step and goes on later, replaced or not. `stall`: it computes for so long, and is not given up before it
must be taken for hung. `half-open session`: its machine is gone, and what it held in mid-commit is held on in its name.
`broker down`: all of it, or it takes nothing for one topic. `moved`: another process gets its shards, `stolen`: without
being asked. `clock wrong`: the process's own, by which timers ring. `broken rule`: the service's code raises for an
input of one order, until it is mended: then the order goes on with the next process, or when an operator says so.
`older version`: it does not know what the others say of one order, until it is deployed anew. `database put back`: all
rows of one service become what they were so many seconds before, while its processes go on. `log lost its tail`: its
events lack their last records at one partition, and its processes die with the broker. `topic made anew`: they lack
all, and the topic is another one. The last three until an operator comes."""

OFTEN: Mapping[Moment, int] = {
    "at once": 10,
    "soon": 10,
    "when quiet": 48,
    "days later": 20,
    "at a deadline": 12,
    "all at once": 1,
}
"""Of all turns; of a history's, times what its seed makes of it."""
KINDS: tuple[Kind, ...] = get_args(Kind)
DISASTERS: tuple[Kind, ...] = ("database put back", "log lost its tail", "topic made anew")
"""What only an operator can put right (docs/OPERATIONS.md, Disaster). Drawn for themselves, in every third history, so
that all others are what they would be without."""
RETRIED: frozenset[Kind] = frozenset({"database down", "broker down"})
RETRIED_SECONDS_MAX = 30.0
"""An outage is looked at again several times a second: a long one shows nothing that a short one does not."""
SCRIPTS = (
    "slow", "twice", "late", "silent.answer", "lost.answer", "fail-2.answer", "refuse", "misquote", "unknown.answer",
    "lost-9", "late-2.answer", "fail-9", "twice.late", "silent-3.unknown.answer",
    "returned.answer", "recanted.answer", "silent.returned.answer",
)  # fmt: skip
"""How the payment provider treats the calls of a movement (deploy/payments/script.py)."""

ANOTHER_AMOUNT = ("short.answer", "over", "short", "silent.short.answer", "over.returned.answer", "short-2.over.answer")
"""How it treats them where it moves another amount than it is asked to."""

CAPTURES = ("",) * 24 + (
    "slow",
    "twice",
    "late.answer",
    "silent.answer",
    "lost-2.answer",
    "fail-2.answer",
    "refuse",
    "misquote",
)
"""How it answers whether the buyer's payment is captured, where it is asked."""


def rules() -> Policies:
    """Every preset, of which an order gets the newest version, and one that differs wherever they agree."""
    presets = policies.load()
    newest = presets.newest("aliexpress")
    assert newest is not None
    ref, usual = newest
    contrary = usual.model_copy(
        update={
            "name": "contrary",
            "replacement": True,
            "capture": "trusted",
            "disputed_pieces": "whole_line",
            "max_reopens": 1,
            "messages_per_day": 2,
            "free_day_counts_from": "its_instant",
            "reminders": False,
            "appeals": 0,
            "post_expiry_window": usual.post_receipt_window,
            "open_from": usual.protection_reminder,
            "mediation_fallback": "seller_wins",
            "mediation_seller_silence": "buyer_wins",
            "unsolicited_evidence": "refuse",
            "cancel_arbitration": "refused",
        }
    )
    generous = contrary.model_copy(
        update={
            "name": "generous",
            "capture": "confirmed",
            "disputed_pieces": "named",
            "reminders": True,
            "appeals": 1,
            "open_from": usual.post_expiry_window,
            "cancel_arbitration": "allowed",
            "release_after_delivery": usual.seller_first_response,
            "unsolicited_evidence": "flag",
            "seller_silence": "escalate",
        }
    )
    others = {ref.model_copy(update={"name": policy.name}): policy for policy in (contrary, generous)}
    return Policies({**presets.by_ref, **others})


RULES = rules()
POLICIES = tuple(sorted({ref.name for ref in RULES.by_ref}))


@dataclass(frozen=True, slots=True)
class Turn:
    """Somebody's chance to act on one of the orders; `chance` seeds what he makes of it. `all at once`: everybody says
    everything there is to say, wherever the order stands."""

    order: int
    moment: Moment
    chance: int


@dataclass(frozen=True, slots=True)
class Fault:
    """From the turn with this number on it waits for the service to cross its doors so many times, then strikes."""

    kind: Kind
    service: Service
    turn: int
    crossing: int
    lasts: float
    """Virtual seconds; for a clock, by how much it is wrong."""

    def __str__(self) -> str:
        return f"{self.kind} ({self.service}, {self.lasts:.3g} s)"


@dataclass(frozen=True, slots=True)
class Deal:
    """An order and its people."""

    policy: str
    lines: tuple[tuple[int, int], ...]
    """(pieces, minor units) each."""
    buyer: Manner
    seller: Manner
    refund_script: str
    payout_script: str
    capture_script: str

    @property
    def commission_bps(self) -> int:
        """Drawn by what the order costs, so that nothing else of a seed is drawn anew."""
        return (0, 333, 9_999, 10_000)[sum(minor for _, minor in self.lines) % 4]


@dataclass(frozen=True, slots=True)
class Plan:
    seed: int
    partitions: int
    day: float
    """Virtual seconds that people take for a day: under `demo` hardly any."""
    hesitation: float
    """Virtual seconds, at most, that a door may take; 0 in a calm world."""
    noted_after: float
    """Virtual seconds after which a process notes how far it has published; whoever comes before publishes again."""
    holes: float
    """How often offsets are left out before a record, as by the marker of a transaction that was aborted."""
    deals: tuple[Deal, ...]
    turns: tuple[Turn, ...]
    """In their order."""
    faults: tuple[Fault, ...]

    @property
    def own_webhooks(self) -> bool:
        """Whether people have webhooks of their own."""
        return self.seed % 6 == 4

    def without(self, turns: frozenset[int], faults: frozenset[int]) -> "Plan":
        """Less of it: a turn taken out becomes nobody's, so that the others keep their numbers."""
        return replace(
            self,
            turns=tuple(replace(turn, order=-1) if number in turns else turn for number, turn in enumerate(self.turns)),
            faults=tuple(fault for number, fault in enumerate(self.faults) if number not in faults),
        )

    def calmer(self) -> "Plan":
        return replace(self, hesitation=0)


def draw(seed: int) -> Plan:
    """The plan of a seed; the same for ever, as long as this file is."""
    chance = Random(seed)
    policy = chance.choice(POLICIES)
    day = 10.0 if policy == "demo" else 24 * 3600.0
    others = [policy] if policy == "demo" else [name for name in POLICIES if name != "demo"]
    deals = tuple(_deal(chance, policy if number == 0 else chance.choice(others)) for number in range(_few(chance)))
    deals = _in_another_amount(Random(f"another amount of {seed}"), deals)
    moments = {moment: often * chance.choice((0, 1, 1, 1, 5)) for moment, often in OFTEN.items()}
    turns = tuple(_turn(chance, len(deals), moments) for _ in range(chance.randint(6, 26)))
    usual = [kind for kind in KINDS if kind not in DISASTERS]
    kinds, services = _some(chance, usual), _some(chance, SERVICES)
    many = chance.choice((0, 1, 2, 3, 4, 6, 9))
    when = _some(chance, range(len(turns)))
    faults = tuple(
        _fault(chance, chance.choice(kinds), chance.choice(services), chance.choice(when), day) for _ in range(many)
    )
    return Plan(
        seed=seed,
        partitions=chance.choice((1, 1, 2)),
        day=day,
        hesitation=chance.choice((0, 0, 0.02, day / 50_000, day / 150)),
        noted_after=chance.choice((1, 10 * day)),
        holes=chance.choice((0, 0, 0, 0.1)),
        deals=deals,
        turns=turns,
        faults=(*faults, *_disasters(Random(f"disasters of {seed}"), len(turns), day)),
    )


def _in_another_amount(chance: Random, deals: tuple[Deal, ...]) -> tuple[Deal, ...]:
    """In every fifth history; drawn for itself, so that all others are what they would be without."""
    if chance.random() >= 0.2:
        return deals
    return tuple(
        replace(deal, refund_script=chance.choice(ANOTHER_AMOUNT))
        if chance.random() < 0.6
        else replace(deal, payout_script=chance.choice(ANOTHER_AMOUNT))
        for deal in deals
    )


def _disasters(chance: Random, turns: int, day: float) -> Sequence[Fault]:
    return [
        _fault(chance, chance.choice(DISASTERS), chance.choice(SERVICES), chance.randrange(turns), day)
        for _ in range(chance.choice((0, 0, 0, 0, 0, 0, 1, 1, 2)))
    ]


def _some(chance: Random, all_: Sequence[T]) -> Sequence[T]:
    """All, or in every other history a few: what is left out lets the rest happen more often, and in company that it
    would hardly meet (swarm testing: Groce et al., ISSTA 2012)."""
    return chance.sample(all_, chance.randint(1, 3)) if chance.random() < 0.5 else all_


def _few(chance: Random) -> int:
    return chance.choice((1, 1, 1, 2))


def _deal(chance: Random, policy: str) -> Deal:
    manners: tuple[Manner, ...] = ("honest", "honest", "honest", "confused", "greedy", "silent", "repeating")
    return Deal(
        policy=policy,
        lines=_wares(chance),
        buyer=chance.choice(manners),
        seller=chance.choice(manners),
        refund_script=_script(chance, policy),
        payout_script=_script(chance, policy),
        capture_script=chance.choice(CAPTURES),
    )


def _wares(chance: Random) -> tuple[tuple[int, int], ...]:
    """The third is a gift."""
    drawn = [
        (chance.choice((1, 1, 3)), chance.choice((1, 10_00, 33_33, 99_99))) for _ in range(chance.choice((1, 1, 2, 3)))
    ]
    return *drawn[:2], *((pieces, 0) for pieces, _ in drawn[2:])


def _script(chance: Random, policy: str) -> str:
    """Where days are seconds a provider that fails for hours would only be told to be overdue thousands of times."""
    script = chance.choice(SCRIPTS) if chance.random() < 0.3 else ""
    return "" if policy == "demo" and "9" in script else script


def _turn(chance: Random, orders: int, moments: Mapping[Moment, int]) -> Turn:
    [moment] = chance.choices(list(moments), weights=[often + 0.01 for often in moments.values()])
    return Turn(chance.randrange(orders), moment, chance.getrandbits(32))


def _fault(chance: Random, kind: Kind, service: Service, turn: int, day: float) -> Fault:
    lasts = round(10 ** chance.uniform(-2, 4.7) * day / 86_400, 6)
    return Fault(
        kind=kind,
        service=service,
        turn=turn,
        crossing=int(chance.expovariate(1 / 6)),
        lasts=min(lasts, RETRIED_SECONDS_MAX) if kind in RETRIED else lasts,
    )
