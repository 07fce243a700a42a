"""`make bench`: on the embedded Kafka and PostgreSQL, in parts; each begins with servers of its own."""

import argparse
import asyncio
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from deploy.local.processes import LocalStackError
from deploy.local.stack import Stack
from schemas.topics import SERVICES
from tests.bench import idle, latency, lifecycle, stages, throughput, timers
from tests.bench.sizes import Sizes, machine
from tests.bench.system import system


@dataclass(frozen=True)
class Part:
    """What is asked, which services are at work, who measures it and how it reads."""

    question: str
    services: Sequence[str]
    measure: Callable[[Stack, Sizes], Awaitable[Any]]
    report: Callable[[Any], str]


PARTS: Mapping[str, Part] = {
    "lifecycle": Part("Whole disputed lifecycles", SERVICES, lifecycle.measure, lifecycle.report),
    "hop": Part("One hop: a command is due, its event is heard", ["order"], latency.measure, latency.report),
    "idle": Part("Nothing to do", SERVICES, idle.measure, idle.report),
    "timers": Part("Timers", ["timer"], timers.measure, timers.report),
    "throughput": Part("Throughput of one process against its ceiling", [], throughput.measure, throughput.report),
}


async def bench(parts: Sequence[str], sizes: Sizes) -> dict[str, Any]:
    """Part -> what came out, printed on the way."""
    found: dict[str, Any] = {"machine": machine(), "sizes": asdict(sizes)}
    print(", ".join(f"{name} {value}" for name, value in found["machine"].items()))
    for name in parts:
        part = PARTS[name]
        print(f"\n{part.question}, load average {os.getloadavg()[0]:.1f}\n", flush=True)
        async with system(sizes, part.services) as stack:
            measured = await part.measure(stack, sizes)
        print(part.report(measured), flush=True)
        found[name] = measured
    print(f"\nLoad average at the end {os.getloadavg()[0]:.1f}. Next to other work only ratios mean anything.")
    return found


def _part(name: str) -> str:
    if name not in PARTS:
        raise argparse.ArgumentTypeError(f"no part is called {name}; there are {', '.join(PARTS)}")
    return name


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", default=[*PARTS], type=_part, help=f"of {', '.join(PARTS)}; all, if none is named"
    )
    parser.add_argument("--json", type=Path, help="a file for what came out, the machine and the commit")
    parser.add_argument("--profile", action="store_true", help="in memory instead: µs per service and stage")
    for size, default in asdict(Sizes()).items():
        kind: dict[str, Any] = {"action": "store_true"} if default is False else {"type": type(default)}
        parser.add_argument(f"--{size.replace('_', '-')}", default=default, **kind)
    chosen = vars(parser.parse_args())
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # of topics that have no leader yet it says so in hundreds
    sizes = replace(Sizes(), **{size: chosen[size] for size in asdict(Sizes())})
    if chosen["profile"]:
        print(stages.report(asyncio.run(stages.measure(sizes))))
        return
    try:
        found = asyncio.run(bench(chosen["parts"], sizes))
    except LocalStackError as error:
        sys.exit(str(error))
    if chosen["json"]:
        chosen["json"].write_text(json.dumps(found, indent=2, default=asdict) + "\n")


if __name__ == "__main__":
    main()
