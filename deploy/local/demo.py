"""`make demo`: the stories, played side by side on the real stack through Kafka alone; then where the money went.

The stack is one of its own, made and removed, or (`STACK=compose`) the one that `make up` has brought up.

With a policy of one's choice (`aliexpress`, its newest version, or `aliexpress.1`) they are played by its rules, a day
a second long, and beside it stands what they come to under another (deploy/stories/versions.py says which).
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from deploy.local.casefile import start_with_case_file
from deploy.local.processes import LocalStackError
from deploy.local.small import GROUPS, PARTITIONS
from deploy.local.stack import REPO, Stack
from deploy.memory import open_stage
from deploy.stories.book import STORIES
from deploy.stories.dialogue import Scene, Story, StoryFailed, hire_mediators
from deploy.stories.endings import Ending, compared, ending
from deploy.stories.live import LiveStage
from deploy.stories.scaled import published, scaled
from deploy.stories.seen import day_of
from deploy.stories.telling import money, told
from deploy.stories.versions import CannotCompare, called, chosen, compared_with
from deploy.verify import addresses
from deploy.verify.collect import CannotVerify, VerifySettings, verify
from schemas.policy import Policy
from schemas.topics import SERVICES
from shared.rules import policies

LEDGER = """
SELECT count(*), sum(captured_minor)::bigint, sum(refunded_minor)::bigint, sum(paid_out_minor)::bigint,
    sum(commission_minor)::bigint, sum(escrow_minor)::bigint,
    (SELECT coalesce(sum(amount_minor), 0)::bigint FROM ledger_posting)
FROM ledger_order WHERE order_id = ANY ($1)
"""


@dataclass(frozen=True)
class Venue:
    """Where the stories are played: six services are running there."""

    system: VerifySettings
    """Its Kafka, and the databases that are looked into."""
    policies_folder: Path
    """Looked into by the services: what is put there is in force."""
    fresh: bool
    """Nothing was ever played here."""
    payments_follow_scripts: bool
    """The payment service is the stand-in."""
    case_file: str = ""
    """Where it is to be looked at; empty: nowhere."""


@asynccontextmanager
async def made_for_it(console: Console, provider: str, policy: Policy | None, keep: bool) -> AsyncIterator[Venue]:
    """A stack of our own, run as a small installation is."""
    async with Stack(partitions=PARTITIONS, groups=GROUPS, say=console.print) as stack:
        began = time.monotonic()
        folder = stack.folder / "policies"  # one of the stories publishes a new version
        folder.mkdir()
        system = VerifySettings(kafka_bootstrap_servers=stack.bootstrap_servers, database_url=stack.database_url)
        venue = Venue(system, folder, stack.embedded, payments_follow_scripts=provider == "topic")
        _publish(policy, venue)
        env = {"RECOURSE_POLICIES_FOLDER": str(folder), "RECOURSE_REFUND_PROVIDER": provider}
        names = [*SERVICES, "payments"] if provider == "topic" else SERVICES
        if keep:
            address = await start_with_case_file(stack, names, {"operator": "olga"}, env)
            venue = replace(venue, case_file=f"{address.url}/sign-in")
        else:
            await stack.start_services(names, env)
        payments = ", a payment service beside them" if provider == "topic" else ""
        seconds = time.monotonic() - began
        console.print(f"Six services in {len(GROUPS)} processes{payments}. Ready in {seconds:.1f} s.")
        keeping = asyncio.create_task(stack.keep_running())
        try:
            yield venue
        finally:
            if not keeping.cancel():
                keeping.result()  # raises why one could not be started again


@asynccontextmanager
async def composed(console: Console, provider: str, policy: Policy | None, keep: bool) -> AsyncIterator[Venue]:
    """What `make up` has brought up. Its provider is the stand-in payment service, whatever is asked for."""
    at = f"http://localhost:{os.environ.get('CASEFILE_PORT', '8080')}/sign-in"
    folder = REPO / ".recourse" / "policies"
    venue = Venue(addresses.composed(), folder, fresh=False, payments_follow_scripts=True, case_file=at)
    try:
        await (await asyncpg.connect(venue.system.refund_url, timeout=10)).close()
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise LocalStackError(
            f"The stack of docker compose is not there ({error}). Bring it up first: make up"
        ) from None
    _publish(policy, venue)
    console.print("Six services, each in a container: the stack of docker compose.")
    yield venue


VENUES = {"embedded": made_for_it, "compose": composed}


async def play(
    stories: Sequence[Story],
    console: Console,
    provider: str = "topic",
    policy: Policy | None = None,
    other: Policy | None = None,
    stack: str = "embedded",
    keep: bool = False,
) -> bool:
    """True if every story went as it is told and every penny is where it should be. `other`: what the policy is
    compared with, if with any. `keep`: the stack stays until somebody ends it."""
    faster = _scaled(policy) if policy else None
    name = faster.name if faster else "demo"
    async with (
        VENUES[stack](console, provider, faster, keep) as venue,
        LiveStage(
            venue.system.kafka_bootstrap_servers,
            name,
            policies_folder=venue.policies_folder,
            payments_follow_scripts=venue.payments_follow_scripts,
        ) as stage,
    ):
        run = f"{time.time_ns():x}"
        await hire_mediators(stage, run)
        ours = "" if venue.fresh else f"-{run}"  # elsewhere the stories may have been played before
        scenes = {story: Scene(stage, f"story-{story.number}{ours}") for story in stories}
        endings, failures = await _play_all(scenes, console)
        for story, scene in scenes.items():
            _tell(scene, story, endings.get(story), failures.get(story), console)
        balanced = await _total(venue.system.refund_url, list(scenes.values()), stage.seen, console)
        verified = await _verified(venue.system, console)
        if policy and other:
            theirs = {story: await in_memory(story, other) for story in endings}
            console.print(compared(called(policy), endings, called(other), theirs), highlight=False)
        await _look_at_it(venue, keep, console)
    return not failures and balanced and verified


def _publish(policy: Policy | None, venue: Venue) -> None:
    if policy:
        file, content = published(policy)
        (venue.policies_folder / file).write_bytes(content)


def _scaled(policy: Policy) -> Policy:
    """Its days as seconds. Raises BrokenPolicy if that contradicts itself."""
    faster = scaled(policy)
    policies.read(*published(faster))
    return faster


async def in_memory(story: Story, policy: Policy) -> Ending:
    """How it ends under this very version."""
    stage, _ = await open_stage(policy.name, version=policy.version)
    return await ending(story, Scene(stage, f"story-{story.number}"))


async def _play_all(
    scenes: dict[Story, Scene], console: Console
) -> tuple[dict[Story, Ending], dict[Story, BaseException]]:
    """How those ended that went as they are told, and how the others failed."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    endings: dict[Story, Ending] = {}
    failures: dict[Story, BaseException] = {}
    with Progress(*columns, console=console, transient=True) as progress:
        playing = {story: progress.add_task(f"Story {story.number}: {story.title}", total=None) for story in scenes}

        async def one(story: Story) -> None:
            try:
                endings[story] = await ending(story, scenes[story])
            except StoryFailed as failure:
                failures[story] = failure
            progress.remove_task(playing[story])

        async with asyncio.TaskGroup() as group:
            for story in scenes:
                group.create_task(one(story))
    return {story: endings[story] for story in scenes if story in endings}, failures


def _tell(scene: Scene, story: Story, end: Ending | None, failure: BaseException | None, console: Console) -> None:
    console.print(f"\n[bold]Story {story.number}: {story.title}[/bold]")
    if end and end.why_not:
        console.print(f"  It {end}.", highlight=False)
    for case in scene.cases:
        for line in told(case, day_of(scene.rules)):
            console.print(line, soft_wrap=True, markup=False, highlight=False)
        buyer, seller = case.split()
        wanted = " and ".join(f"{who} {money(minor)}" for who, minor in _both(case.expected))
        right = case.expected == (buyer, seller) and failure is None
        console.print(
            f"  {case.order_id}: expected {wanted or 'an end'}; buyer got {money(buyer)}, seller got {money(seller)}"
            f" of {money(case.captured_minor)}: {'[green]as told[/green]' if right else '[red]not as told[/red]'}",
            soft_wrap=True,
            highlight=False,
        )
    if failure is not None:
        console.print(f"  FAILED: {failure}", style="red", markup=False, soft_wrap=True)


def _both(expected: tuple[int, int] | None) -> Sequence[tuple[str, int]]:
    return list(zip(("buyer", "seller"), expected, strict=True)) if expected else []


async def _total(ledger_url: str, scenes: Sequence[Scene], events: int, console: Console) -> bool:
    """What the refund service's books say of all orders together."""
    orders = [case.order_id for scene in scenes for case in scene.cases]
    connection = await asyncpg.connect(ledger_url, server_settings={"search_path": "refund"})
    try:
        count, captured, refunded, paid_out, commission, held, ledger = await connection.fetchrow(LEDGER, orders)
    finally:
        await connection.close()
    console.print(
        f"\n{count} orders, {events} events. Captured {money(captured)} = refunded {money(refunded)}"
        f" + paid out {money(paid_out)} + commission {money(commission)} + held {money(held)}."
        f" The ledger sums to {ledger}.",
        highlight=False,
    )
    spent = refunded + paid_out + commission
    balanced = count == len(orders) and captured == spent and ledger == 0 and held == 0
    if not balanced:
        console.print("The books do not balance.", style="red")
    return bool(balanced)


async def _verified(system: VerifySettings, console: Console) -> bool:
    """As `make verify` does: by what lies in the topics and in the books, of all orders that were ever placed here."""
    report = await verify(system)
    console.print(report.line(), style="" if report.holds else "red", highlight=False, soft_wrap=True)
    for problem in report.problems():
        console.print(problem, style="red", markup=False, highlight=False, soft_wrap=True)
    return report.holds


async def _look_at_it(venue: Venue, keep: bool, console: Console) -> None:
    if not venue.case_file:
        console.print("Look at it: `make demo KEEP=1` keeps all this, and says where its pages are.", highlight=False)
        return
    console.print(f"Look at it: {venue.case_file}, as operator olga or as anybody of the stories.", highlight=False)
    if keep:
        console.print("It stays until Ctrl-C.", highlight=False)
        await asyncio.Event().wait()


def _asked(policy: str | None, against: str | None) -> tuple[Policy | None, Policy | None]:
    """What is played, and what that is compared with. Raises CannotCompare."""
    known = policies.load()
    if policy is not None:
        return chosen(policy, known), compared_with(policy, against, known)
    if against is not None:
        raise CannotCompare(f"What is to be compared with {against}? Say it, too (POLICY=name).")
    return None, None


def main() -> None:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("story", nargs="?", type=int, choices=sorted(STORIES), help="play only this one")
    own = "sandbox: the refund service's own"
    parser.add_argument("--provider", choices=("sandbox", "topic"), default="topic", help=own)
    parser.add_argument("--policy", help="play by its rules, with its days as seconds: a name, or name.version")
    parser.add_argument("--against", help="compare it with this one: a name, or name.version")
    parser.add_argument("--keep", action="store_true", help="keep the stack, and show it, until Ctrl-C")
    parser.add_argument(
        "--stack", choices=sorted(VENUES), default="embedded", help="compose: what `make up` brought up"
    )
    asked = parser.parse_args()
    try:
        policy, other = _asked(asked.policy, asked.against)
    except CannotCompare as reason:
        raise SystemExit(str(reason)) from None
    number = asked.story
    stories = [STORIES[number]] if number else [STORIES[number] for number in sorted(STORIES)]
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())  # its clients retry, and say so at length
    console = Console(width=None if sys.stdout.isatty() else 200)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # both end as Ctrl-C does
    try:
        good = asyncio.run(play(stories, console, asked.provider, policy, other, asked.stack, asked.keep))
    except KeyboardInterrupt:
        raise SystemExit("Stopped; nothing is left running.") from None
    except (LocalStackError, StoryFailed, CannotVerify, policies.BrokenPolicy) as failure:
        raise SystemExit(f"FAILED: {failure}") from None
    if not good:
        raise SystemExit("FAILED: not every story ended as it is told; see above.")


if __name__ == "__main__":
    main()
