"""`make run`: the whole system in the foreground, its data kept; Ctrl-C ends it."""

import argparse
import asyncio
import hashlib
import json
import os
import shlex
import sys
import time
from pathlib import Path

from deploy.local.casefile import CaseFileAddress, start_with_case_file
from deploy.local.postgres import others_reach
from deploy.local.processes import LocalStackError
from deploy.local.small import GROUPS, PARTITIONS
from deploy.local.stack import REPO, Stack
from schemas.topics import SERVICES
from shared.runtime import signals

ORDER = "order-1"
PEOPLE = {"operator": "olga", "mediator": "mia", "buyer": "anna", "seller": "bruno"}
"""Who is signed in to the case file for programs; anna and bruno have the first order."""


def default_folder() -> Path:
    """`.recourse/` in the repository. Started by root, PostgreSQL runs as another user; where that one cannot walk
    to the repository, a folder that it can reach."""
    inside = REPO / ".recourse"
    if os.geteuid() != 0 or others_reach(inside):
        return inside
    return Path("/var/lib") / f"recourse-{hashlib.sha256(str(REPO).encode()).hexdigest()[:8]}"


def first_command(bootstrap_servers: str) -> str:
    """A shell command that places an order: one CloudEvent in structured mode, as the console producer takes it."""
    order = {
        "order_id": ORDER,
        "actor": {"role": "platform", "id": "checkout"},
        "buyer": {"id": "anna", "email": "anna@example.com"},
        "seller": {"id": "bruno", "email": "bruno@example.com"},
        "currency": "EUR",
        "lines": [{"line_id": "1", "title": "Desk lamp", "quantity": 1, "amount_minor": 4900}],
        "payment": {"payment_id": "payment-1", "amount_minor": 4900},
        "policy": "demo",
    }
    event = {
        "specversion": "1.0",
        "id": f"place-{ORDER}",
        "type": "order.place.v1",
        "source": "terminal",
        "subject": ORDER,
        "data": order,
    }
    record = (
        f"content-type:application/cloudevents+json\\t{ORDER}\\t%s\\n"  # printf makes the tabs: copied ones turn blank
    )
    return (
        f"printf '{record}' {shlex.quote(json.dumps(event))} |\n"
        f"    deploy/local/kafka-tool kafka-console-producer --bootstrap-server {bootstrap_servers} \\\n"
        "        --topic order.commands --reader-property parse.headers=true --reader-property parse.key=true"
    )


def its_answer(bootstrap_servers: str) -> str:
    """A shell command that shows what the order service says."""
    return (
        f"deploy/local/kafka-tool kafka-console-consumer --bootstrap-server {bootstrap_servers} \\\n"
        "    --topic order.events --from-beginning --formatter-property print.headers=true"
    )


def guide(stack: Stack, case_file: CaseFileAddress) -> str:
    """What someone at the terminal needs to use the stack."""
    lines = [
        *case_file.lines(PEOPLE),
        f"Kafka       {stack.bootstrap_servers}",
        f"PostgreSQL  {stack.database_url}",
        f"Kept in     {stack.folder}",
        f"Mail        {stack.folder / 'mail'}, a file each; by SMTP to 127.0.0.1:{stack.smtp_port}",
        f"Logs        {stack.folder / 'logs'}, a file each for Kafka, PostgreSQL and every process of services",
        f"Topics      {', '.join(topic.name for topic in stack.topics)}",
        "",
        "Is all well? Each service says it, with a sentence for what is not; /alive, /metrics, /asyncapi beside it:",
        "",
        *(f"    {name:12}  {process.http(name)}/health" for name, process in stack.services.items()),
        "",
        "A first command, from the repository in another terminal:",
        "",
        first_command(stack.bootstrap_servers),
        "",
        "and its answer:",
        "",
        its_answer(stack.bootstrap_servers),
        "",
        "make verify proves on it that no penny is lost. An order's life:",
        "",
        f".venv/bin/recourse order show {ORDER}",
        "",
        "Ctrl-C (or SIGTERM) ends everything and gives every port back; the data stays.",
    ]
    return "\n".join(lines)


async def run(folder: Path) -> None:
    signals.heed()
    began = time.monotonic()
    async with Stack(folder, partitions=PARTITIONS, groups=GROUPS) as stack:
        case_file = await start_with_case_file(stack, SERVICES, PEOPLE)
        took = time.monotonic() - began
        print(f"{guide(stack, case_file)}\nAt work after {took:.1f} s.", flush=True)
        await stack.keep_running()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("--data", type=Path, default=default_folder(), help="where to keep everything")
    try:
        asyncio.run(run(parser.parse_args().data.resolve()))
    except LocalStackError as error:
        sys.exit(str(error))
    except (KeyboardInterrupt, asyncio.CancelledError):
        pass
