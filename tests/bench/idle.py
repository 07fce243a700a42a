"""What a whole system costs that has nothing to do, in % of a core."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

from deploy.local.stack import Stack
from tests.bench.sizes import Sizes
from tests.bench.system import processes

QUIET_SECONDS = 2.0
"""After the start, which is not idle."""


@dataclass(frozen=True)
class Idle:
    """Process -> % of a core."""

    services: Mapping[str, float]
    servers: Mapping[str, float]


async def measure(stack: Stack, sizes: Sizes) -> Idle:
    """Where all services are at work."""
    servers = {"Kafka": stack.kafka, "PostgreSQL": stack.postgres}
    services = processes(stack)
    measured = {**services, **servers}
    await asyncio.sleep(QUIET_SECONDS)
    before, began = {name: process.cpu_seconds() for name, process in measured.items()}, time.perf_counter()
    await asyncio.sleep(sizes.seconds)
    seconds = time.perf_counter() - began
    used = {name: (process.cpu_seconds() - before[name]) / seconds * 100 for name, process in measured.items()}
    return Idle({name: used[name] for name in services}, {name: used[name] for name in servers})


def report(idle: Idle) -> str:
    """One line for the services, one for each server."""
    each = ", ".join(f"{name} {percent:.1f}" for name, percent in idle.services.items())
    lines = [f"services    {sum(idle.services.values()):5.1f} % of a core ({each})"]
    lines += [f"{name:12}{percent:5.1f} %" for name, percent in idle.servers.items()]
    return "\n".join(lines)
