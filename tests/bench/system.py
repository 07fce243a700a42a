"""What is measured: services on an embedded Kafka and PostgreSQL that nobody has used before."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from deploy.local.processes import Child
from deploy.local.small import GROUPS
from deploy.local.stack import Stack
from tests.bench.sizes import Sizes
from tests.support.believing import folder_of


@asynccontextmanager
async def system(sizes: Sizes, services: Iterable[str]) -> AsyncIterator[Stack]:
    """These are at work, in processes as a small installation has them or each in one of its own. The payment provider
    is a sandbox, and nobody takes mail."""
    groups = () if sizes.apart else GROUPS
    async with Stack(own_servers=True, partitions=sizes.partitions, groups=groups) as stack:
        await stack.start_services(services, environment(stack))
        yield stack


def environment(stack: Stack) -> dict[str, str]:
    """Of a service there."""
    return {"RECOURSE_SMTP_HOST": ""} | folder_of(stack.folder / "policies")


def processes(stack: Stack) -> dict[str, Child]:
    """Each once, by the services that it runs."""
    shared: dict[Child, list[str]] = {}
    for name, process in stack.services.items():
        shared.setdefault(process, []).append(name)
    return {"+".join(names): process for process, names in shared.items()}
