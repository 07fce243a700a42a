"""What came out, for whoever asked; and what is wrong with it."""

import os
import platform
from collections.abc import Iterator

from schemas.topics import SERVICES
from tests.overload.mix import WAYS
from tests.overload.run import GROWTH_MAX, RATIO, Flood, Outcome, window_to_ship

MIB = 2**20
PROCESSES = (*SERVICES, "kafka", "postgres")


def problems(outcome: Outcome) -> list[str]:
    """Nothing here depends on how fast the machine is."""
    whole = outcome.floods[-1]
    found = list(outcome.report.problems())
    found += outcome.in_time.problems + outcome.compared.problems
    if outcome.dead_letters:
        found.append(f"{outcome.dead_letters} dead letters")
    waited = whole.phase.behind["order"] > 2 * window_to_ship().total_seconds()
    if not outcome.in_time.refused or (waited and not outcome.in_time.obeyed_late):
        found.append(f"no deadline ran out while commands waited: {outcome.in_time}")
    found += [f"no order of the way {way} was compared" for way in _to_compare() if not outcome.compared.equal[way]]
    for flood in outcome.floods:
        if not flood.phase.behind["order"]:
            found.append(f"{flood.run}: the order service never said that it was behind")
        said = (("was unhealthy", flood.phase.unhealthy), ("said nothing", flood.phase.silent))
        found += [
            f"{flood.run}: {service} {what} {n} times" for what, counts in said for service, n in counts.items() if n
        ]
    found += [f"{said} ({n} times)" for said, n in outcome.noise.items()]
    for service, growth in _growth(outcome):
        if growth > GROWTH_MAX:
            found.append(f"the memory of {service} grew {growth:.2f} times while three times as much waited")
    if whole.lag_max < whole.sent.commands // RATIO:
        found.append(f"no overload: {whole.lag_max} records waited at most, of {whole.sent.commands} commands")
    return found


def _to_compare() -> Iterator[str]:
    return (name for name, way in WAYS.items() if way.one_inbox)


def _growth(outcome: Outcome) -> list[tuple[str, float]]:
    """Of each service's memory from the third to the whole."""
    if len(outcome.floods) < 2:
        return []
    third, whole = (flood.phase.memory for flood in outcome.floods)
    return [(service, whole[service] / third[service]) for service in SERVICES]


def lines(outcome: Outcome) -> Iterator[str]:
    load = f"load average {outcome.load_average[0]:.1f} at the end"
    yield f"{os.cpu_count()} cores, Python {platform.python_version()}, {load}."
    yield f"Capacity: {outcome.capacity:,.0f} commands a second, with all that follows from them."
    for flood in outcome.floods:
        yield from _flood(flood, outcome.capacity)
    yield ""
    growth = dict(_growth(outcome))
    titles = ["calm", *(flood.run for flood in outcome.floods)]
    yield f"{'memory, MiB at most':22}" + "".join(f"{title:>8}" for title in titles) + "  growth" * bool(growth)
    for name in PROCESSES:
        phases = [outcome.calm, *(flood.phase for flood in outcome.floods)]
        most = "".join(f"{phase.memory[name] / MIB:8.0f}" for phase in phases)
        yield f"  {name:20}{most}" + (f"{growth[name]:8.2f}" if name in growth else "")
    yield ""
    judged, compared = outcome.in_time, outcome.compared
    yield (
        f"To ship in time: {judged.obeyed:,} appended in time and obeyed, {judged.obeyed_late:,} of them handled after"
        f" the deadline; {judged.refused:,} appended too late and refused; {len(judged.problems)} judged otherwise."
    )
    ways = ", ".join(f"{way} {compared.equal[way]:,}" for way in _to_compare())
    yield (
        f"Played once more in memory, {outcome.replayed:,} commands: equal {ways};"
        f" {sum(compared.left_out.values())} left out; {len(compared.problems)} differ."
    )


def _flood(flood: Flood, capacity: float) -> Iterator[str]:
    sent = flood.sent
    yield (
        f"{flood.run}: {sent.due:,} commands, due within {flood.seconds:.0f} s, were sent in {sent.seconds:.1f} s,"
        f" {sent.due / sent.seconds / capacity:.1f} times the capacity; {sent.commands:,} in all."
    )
    behind = ", ".join(f"{service} {flood.phase.behind[service]:.0f}" for service in SERVICES)
    yield f"  {flood.lag_max:,} records waited at most; drained {flood.drained_after:.0f} s after the last was sent."
    yield f"  seconds_behind at most: {behind}."
    unpublished = ", ".join(f"{service} {flood.phase.unpublished[service]:,}" for service in SERVICES)
    yield f"  unpublished at most: {unpublished}."
    unwell = f"unhealthy {flood.phase.unhealthy.total()}, silent {flood.phase.silent.total()}"
    yield f"  /health was looked at {flood.phase.looks} times: {unwell}."
