"""Every part of `make bench` runs and says what it should, in small. How fast it is says nothing here."""

import re
from collections.abc import AsyncIterator, Iterable

import pytest

from deploy.local.processes import LocalStackError
from deploy.local.small import GROUPS
from deploy.local.stack import Stack
from schemas.topics import SERVICES
from services.composition import DECIDERS
from tests.bench import idle, latency, lifecycle, stages, throughput, timers
from tests.bench.__main__ import PARTS, bench
from tests.bench.lifecycle import Side
from tests.bench.sizes import Sizes, quantiles_ms
from tests.bench.steps import refund_minor, total_minor
from tests.bench.system import system

TINY = Sizes(partitions=2, rounds=1, orders=40, lives=3, at_once=2, seconds=0.5, timers=300, overdue=50)
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
async def whole() -> AsyncIterator[Stack]:
    """All services at work; what is measured here leaves it usable."""
    async with system(TINY, SERVICES) as stack:
        yield stack


def grouped(processes: Iterable[str]) -> set[frozenset[str]]:
    """Who shares each."""
    return {frozenset(name.split("+")) for name in processes}


@pytest.mark.stack
async def test_idling_is_told_of_each_process(whole: Stack) -> None:
    found = await idle.measure(whole, TINY)
    assert grouped(found.services) == set(map(frozenset, GROUPS))
    assert found.servers.keys() == {"Kafka", "PostgreSQL"}
    assert idle.report(found).count(" %") == 3


@pytest.mark.stack
async def test_both_programs_pay_every_order_the_same_to_the_penny(whole: Stack) -> None:
    found = await lifecycle.measure(whole, TINY)
    rounds_and_warm_ups = 2 * TINY.lives
    assert found.paid[1] == rounds_and_warm_ups
    assert found.paid[0] > rounds_and_warm_ups + TINY.at_once, "and those that were paced"
    assert found.records["payments.commands"] == 3
    assert grouped(found.ours[0].cpu) == {*map(frozenset, GROUPS), frozenset({"Kafka"}), frozenset({"PostgreSQL"})}
    assert found.by_hand[0].cpu.keys() == {"by hand", "PostgreSQL"}
    assert min(*found.answer_ms, *found.ending_ms, found.ours[0].rate, found.by_hand[0].rate) > 0
    assert "to the penny" in lifecycle.report(found)


def test_a_penny_too_many_is_told() -> None:
    async def play(run: str, lives: int, at_once: int) -> None: ...

    side = Side(TINY, {}, play)
    side.played["round-1"] = 2
    right = {
        f"round-1-{number}": (refund_minor(number), total_minor(number) - refund_minor(number)) for number in (0, 1)
    }
    assert side.check(right) == 2
    for wrong in (
        {**right, "round-1-1": (1, total_minor(1))},
        {"round-1-0": right["round-1-0"]},
        {**right, "x": (0, 0)},
    ):
        with pytest.raises(LocalStackError, match="1 orders were not paid"):
            side.check(wrong)


@pytest.mark.stack
async def test_a_hop_is_told_beside_the_bare_one(whole: Stack) -> None:
    found = await latency.measure(whole, TINY)
    assert [hop.rate for hop in found] == [50, 300]
    assert min(p50 for hop in found for p50, _ in (*hop.ours_ms, *hop.bare_ms)) > 0
    assert latency.report(found).count("commands/s") == 4


@pytest.mark.stack
async def test_every_timer_rings(whole: Stack) -> None:
    found = await timers.measure(whole, TINY)
    assert (found.pending, found.overdue) == (TINY.timers, TINY.overdue)
    assert min(*found.lateness_ms, found.rss_mib, found.start_seconds, found.catching_up) > 0
    assert "300 timers pending" in timers.report(found)


@pytest.mark.stack
async def test_the_service_is_measured_beside_its_ceiling() -> None:
    async with system(TINY, []) as stack:
        found = await throughput.measure(stack, TINY)
    assert found.commands == 3 * TINY.orders
    assert min(found.ours[0].rate, found.ceiling[0].rate) > 0
    assert re.search(r"\nratio: \d", throughput.report(found))


async def test_every_service_has_its_share_of_the_calls() -> None:
    found = await stages.measure(TINY)
    assert found.shares.keys() == DECIDERS.keys()
    assert found.records > sum(share.rows for share in found.shares.values()) / 2
    assert found.json_us > 0
    for share in found.shares.values():
        assert share.inputs > 0
        assert sum(share.stages.values()) <= share.us
        assert all(share.stages[stage] > 0 for stage in ("decode", "handle", "store", "publish"))
    assert [line.split()[0] for line in stages.report(found).splitlines()[1:-1]] == [*found.shares, "all"]


async def test_what_comes_out_says_of_which_machine_and_commit(capsys: pytest.CaptureFixture[str]) -> None:
    found = await bench([], TINY)
    assert found["machine"].keys() == {"cores", "cpu", "python", "load_average", "commit"}
    assert str(found["machine"]["commit"]) in capsys.readouterr().out
    assert found["sizes"]["lives"] == TINY.lives


def test_every_part_is_tried_here() -> None:
    assert {part.measure for part in PARTS.values()} == {
        *(lifecycle.measure, latency.measure, idle.measure, timers.measure, throughput.measure)
    }


def test_quantiles_are_of_those_that_were_measured() -> None:
    assert quantiles_ms([number / 1000 for number in range(101)]) == pytest.approx((50, 99))
