"""Every service is killed at every one of its steps, on the real Kafka and PostgreSQL, while money moves.

A step is right before, inside or right after a call through one of the doors of the shard loop
(shared/kernel/ports.py) or of a gateway: see `tests.faults.kill_points`. Who comes after a
dead process repairs what it left, and is armed already for the next step. The full form is `make test-crashes`, the
short one part of `make test`.
"""

import asyncio
import json
import os
import random
import signal
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from deploy.local.stack import ServiceProcess, Stack
from deploy.verify.checks import letters
from schemas.topics import PARTITIONS, SERVICES
from shared.kernel.ports import InputSource, Projection, Publisher, Source, Store
from tests.faults import aftermath, checks, kill_points
from tests.faults.kill_points import REPO, Step
from tests.faults.market import OBEYED, SLOW, Market, Traffic, Way, never_shipped
from tests.kit.test_webhooks import SECRETS, Request, Server

pytestmark = [
    pytest.mark.stack,
    pytest.mark.asyncio(loop_scope="module"),
]

full = pytest.mark.skipif(not os.environ.get("RECOURSE_TEST_CRASHES"), reason="the full form runs by make test-crashes")

PATIENCE = timedelta(minutes=30)
"""For an answer, and for a step to come, with all services dying at the same time."""
PATIENCE_SHORT = timedelta(minutes=9)
"""With two deaths a service: what was waited for in vain is told before pytest's own time is over."""
UNDER_WAY_MAX = 8
"""Orders of each kind: enough for every step to come."""
NTH_MAX = 6
"""Which call it is that the process does not survive is drawn up to here, or to the bound below."""
NTH_MAX_OF = {
    "store.claim": 1,
    "store.claim.inside": 7,
    "store.release": 1,
    "store.release.inside": 2,
    "store.check": 1,
    "store.load": 3,
    "store.unpublished": PARTITIONS,
    "store.unpublished.after": 1,
    "store.note_published": 3,
    "store.said": 1,
    "source.said": 1,
    "source.said.inside": 5,
    "publisher.send.inside": 25,
    "source.resume": PARTITIONS,
    "source.pause": PARTITIONS,
    "inputs.opened": PARTITIONS,
    "inputs.closed": PARTITIONS,
    "inputs.next_due": 40,
    "inputs.due.before": 40,
    "inputs.stop": 1,
    "mail.close": 1,
    "webhook.close": 1,
    "sandbox.run.before": 1,
}
"""By step or by call: what comes once in a life, once for each shard, or all the time."""
AT_THE_END = {"release", "pause", "closed", "stop", "close"}
"""Come when the process is asked to end."""
ENDINGS_MAX = 5
"""How often it may have ended well because there was nothing to close."""
INSIDE = 4
MANY_WAITS = {"store.claim", "store.commit", "publisher.send"}
"""Calls inside of which every service dies so many times, at waits where nobody has died if there are any left."""
DANGEROUS = [
    ["publisher.send.before", "store.unpublished.after"],
    ["store.claim.after", "store.commit.after"],
    ["store.commit.before", "publisher.send.after"],
    ["publisher.send.before", "store.claim.inside"],
    ["store.commit.inside", "publisher.send.halfway"],
    ["store.commit.inside", "store.commit.after"],
]
"""For the short form: each service dies twice, at other steps than its neighbours."""

Death = tuple[Step, int]
"""At this step, the nth time it comes."""


def step(text: str) -> Step:
    return Step(*text.split("."))


def _nth(one: Step, chance: random.Random) -> int:
    return chance.randint(1, NTH_MAX_OF.get(str(one), NTH_MAX_OF.get(one.call, NTH_MAX)))


def all_deaths(service: str, chance: random.Random) -> list[Death]:
    """All steps that it can reach, in an order drawn; those of taking over from the dead behind a fitting death."""
    reached = [one for one in kill_points.steps(service) if not kill_points.unreachable(service, one)]
    reached += [one for one in reached if one.when == "inside" and one.call in MANY_WAITS] * (INSIDE - 1)
    chance.shuffle(reached)
    return [death for one in reached for death in _with_reason(one, chance)]


def _with_reason(one: Step, chance: random.Random) -> Iterator[Death]:
    if str(one) != "store.unpublished.after":
        yield one, _nth(one, chance)
        return
    # Who dies before he has sent leaves something to publish: the next reads it and dies, the next dies before he has
    # sent it, the next after, and none of them has taken it down as published.
    yield step("publisher.send.before"), _nth(one, chance)
    yield one, 1
    yield step("publisher.send.before"), 1
    yield step("publisher.send.after"), 1


@dataclass
class Run:
    """Each service dies at its steps, one after the other, all services at once."""

    stack: Stack
    patience: timedelta
    killed: Counter[tuple[str, str]] = field(default_factory=Counter)
    places: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """By call: what was waited for, and in which line of ours, when the process died inside."""

    async def all_die(self, deaths: Mapping[str, Sequence[Death]]) -> None:
        async with asyncio.TaskGroup() as group:
            for service, its in deaths.items():
                group.create_task(self._dies(service, its))

    async def _dies(self, service: str, deaths: Sequence[Death]) -> None:
        """Again and again; then it lives."""
        process = self.stack.services[service]
        await process.stop()
        for one, nth in deaths:
            for wait in range(ENDINGS_MAX):
                if await self._dies_at(process, one, nth, wait):
                    break
            else:
                raise AssertionError(f"{service} never came to {one}, it has ended well {ENDINGS_MAX} times")
            self.killed[service, str(one)] += 1
        await process.start()

    async def _dies_at(self, process: ServiceProcess, one: Step, nth: int, wait_seconds: float) -> bool:
        known = list(self.places[one.call]) if one.call in MANY_WAITS else []
        env = {kill_points.DIE_AT: f"{one}:{nth}", kill_points.KNOWN_PLACES: json.dumps(known)}
        process.launch(["tests.faults.kill_points"], env)
        if one.method in AT_THE_END:
            await process.ready()
            await asyncio.sleep(wait_seconds)
            process.send(signal.SIGTERM)
        status = await process.ended(self.patience.total_seconds())
        if one.method in AT_THE_END and status in (0, -signal.SIGTERM):
            return False
        word = last_word(process)
        assert (status, word.get("at")) == (-signal.SIGKILL, str(one)), f"{process.name}, {one}: {status}, {word}"
        if one.when == "inside":
            self.places[one.call][word["place"]] += 1
        return True

    def table(self) -> Iterator[str]:
        """step x service: how often it was killed there, or the number of the reason why it cannot be."""
        its = {service: {str(one): one for one in kill_points.steps(service)} for service in SERVICES}
        reasons: dict[str, int] = {}
        yield f"{'':29}" + "".join(f"{service:>14}" for service in SERVICES)
        for name in dict.fromkeys(name for steps in its.values() for name in steps):
            cells = ""
            for service in SERVICES:
                cell = str(self.killed[service, name]) if name in its[service] else ""
                if cell and (reason := kill_points.unreachable(service, its[service][name])):
                    cell = f"({reasons.setdefault(reason, len(reasons) + 1)})"
                cells += f"{cell:>14}"
            yield f"{name:29}{cells}"
        yield "Where nothing stands the service has no such door."
        for reason, number in reasons.items():
            yield f"({number}) {reason}."

    def ways_inside(self) -> int:
        return sum(map(len, self.places.values()))

    def waits(self) -> Iterator[str]:
        """For what it waited when it died inside of a call."""
        for call, places in sorted(self.places.items()):
            yield f"inside {call}: " + "; ".join(f"{place} {times}" for place, times in sorted(places.items()))

    def missing(self) -> list[str]:
        """Steps that somebody can reach and at which he did not die."""
        return [
            f"{service} {one}"
            for service in SERVICES
            for one in kill_points.steps(service)
            if not kill_points.unreachable(service, one) and not self.killed[service, str(one)]
        ]


def last_word(process: ServiceProcess) -> dict[str, Any]:
    try:
        return dict(json.loads(process.log.read_text(errors="replace").splitlines()[-1]))
    except (ValueError, IndexError):
        return {}


def no_webhook_says_two_things(requests: Sequence[Request], world: checks.World) -> list[str]:
    """It may come again, as the very same; and what is said to be sent came, and the other way round."""
    received = [(request.headers["webhook-id"], request.body) for request in requests]
    return [str(one) for one in letters.check_received("webhook", world.events(), received)]


@pytest_asyncio.fixture(loop_scope="module")
async def hooks() -> AsyncIterator[Server]:
    server = Server()
    async with server.running():
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def stack(hooks: Server) -> AsyncIterator[Stack]:
    endpoint = {"url": f"http://127.0.0.1:{hooks.port}/hooks", "secrets": [SECRETS[0]], "roles": ["buyer"]}
    settings = {"RECOURSE_WEBHOOK_ENDPOINTS": json.dumps([endpoint]), "RECOURSE_WEBHOOK_ALLOW_PRIVATE": "true"}
    async with Stack(own_servers=True) as stack:
        await stack.start_services(SERVICES, settings)
        yield stack


async def crashed(
    stack: Stack,
    hooks: Server,
    deaths: Mapping[str, Sequence[Death]],
    ways: Sequence[Way],
    every_seconds: float,
    say: pytest.CaptureFixture[str],
    patience: timedelta = PATIENCE,
) -> tuple[Run, list[str]]:
    """All services die as planned, then broker and database; returns what is wrong when every order has ended."""
    run = Run(stack, patience)
    async with Market(stack.bootstrap_servers, patience) as market:
        await market.open()
        unhurried, hurried = Traffic(market, OBEYED, 1, "aliexpress"), Traffic(market, ways, 1)
        flows = [traffic.flowing(every_seconds, UNDER_WAY_MAX) for traffic in (unhurried, hurried)]
        async with flows[0], flows[1]:
            await run.all_die(deaths)
            for server in (stack.kafka, stack.postgres):
                await server.kill()
                await server.start()
        for traffic in (unhurried, hurried):
            await traffic.end()
        for service in stack.services.values():
            service.check()
        world, problems = await aftermath.settled(
            lambda: aftermath.what_is_left(aftermath.system(stack), market, stack.mailbox.messages),
            lambda left: checks.problems(left) + no_webhook_says_two_things(list(hooks.requests), left),
            patience.total_seconds(),
        )
    problems += unhurried.refused()
    webhooks = Counter(request.headers["webhook-id"] for request in hooks.requests)
    with say.disabled():
        print(
            f"\nServices killed {run.killed.total()} times, at {len(run.killed)} different steps, inside of calls in"
            f" {run.ways_inside()} different waits; kafka 1, postgres 1. {aftermath.figures(market, world, problems)}"
            f" {len(webhooks)} webhooks, {webhooks.total() - len(webhooks)} handed over again."
        )
    return run, problems


@pytest.mark.parametrize(
    ("door", "protocol", "services"),
    [
        ("source", Source, SERVICES),
        ("store", Store, SERVICES),
        ("publisher", Publisher, SERVICES),
        ("projection", Projection, [path.parent.name for path in (REPO / "services").glob("*/projection.py")]),
        ("inputs", InputSource, ["timer", "notification"]),
    ],
)
async def test_whatever_the_loop_asks_for_is_a_step_of_every_service_that_has_it(
    door: str, protocol: type, services: Sequence[str]
) -> None:
    asked = {f"{door}.{name}" for name in dir(protocol) if not name.startswith("_")}
    assert services
    for service in services:
        assert asked <= {one.call for one in kill_points.steps(service)}


async def test_what_is_planned_for_a_step_is_planned_for_one_that_exists() -> None:
    known = {name for service in SERVICES for one in kill_points.steps(service) for name in (str(one), one.call)}
    assert {*NTH_MAX_OF, *MANY_WAITS} <= known
    assert {name for names in DANGEROUS for name in names} <= known


@pytest.mark.timeout(900)
async def test_nothing_is_lost_by_death_at_dangerous_steps(
    stack: Stack, hooks: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(1)
    deaths: dict[str, Sequence[Death]] = {
        service: [(step(name), _nth(step(name), chance)) for name in DANGEROUS[number % len(DANGEROUS)]]
        for number, service in enumerate(SERVICES)
    }
    _, problems = await crashed(stack, hooks, deaths, (never_shipped,), 2, capsys, PATIENCE_SHORT)
    assert not problems, "\n".join(problems)


@full
@pytest.mark.timeout(3_600)
async def test_nothing_is_lost_by_death_at_any_step(
    stack: Stack, hooks: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("RECOURSE_TEST_SEED") or random.randrange(1_000_000))
    chance = random.Random(seed)
    deaths: dict[str, Sequence[Death]] = {service: all_deaths(service, chance) for service in SERVICES}
    with capsys.disabled():
        print(f"\nRECOURSE_TEST_SEED={seed}")
    run, problems = await crashed(stack, hooks, deaths, SLOW, every_seconds=4, say=capsys)
    with capsys.disabled():
        print("\n".join([*run.table(), *run.waits()]))
    assert run.missing() == []
    assert not problems, "\n".join(problems)
