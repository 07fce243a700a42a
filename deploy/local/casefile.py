"""A local stack that is looked at: with a case file, somebody signed in of each role, and noted where programs look."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from deploy.local.processes import kept_port
from deploy.local.stack import Stack
from deploy.recourse.asking import RUNNING, handed_out
from schemas.topics import CASE_FILE, PROCESSES, SERVICES


@dataclass(frozen=True)
class CaseFileAddress:
    url: str
    tokens: Mapping[str, str]
    """By role."""

    def lines(self, people: Mapping[str, str]) -> list[str]:
        """For the person at the terminal."""
        shown = ", ".join(f"{role} {person}" for role, person in people.items())
        return [f"Case file   {self.url}/sign-in, as whoever you like: {shown}"]


async def start_with_case_file(
    stack: Stack, names: Sequence[str], people: Mapping[str, str], env: Mapping[str, str] | None = None
) -> CaseFileAddress:
    """These services and the case file, side by side, each at the address of the last time, where that is free.
    `people`: role -> who is signed in."""
    ports = {name: kept_port(stack.folder / f"{name}.port") for name in PROCESSES}
    addresses = {name: f"http://127.0.0.1:{ports[name]}" for name in SERVICES}
    settings = {
        **{f"RECOURSE_{name.upper()}_HTTP_PORT": str(port) for name, port in ports.items()},
        "RECOURSE_CASEFILE_SIGNIN": "local",
        "RECOURSE_CASEFILE_SERVICES": json.dumps(addresses),
    }
    await stack.start_services([*names, CASE_FILE], {**(env or {}), **settings})
    url = stack.services[CASE_FILE].http(CASE_FILE)
    tokens = await asyncio.to_thread(lambda: {role: handed_out(url, role, person) for role, person in people.items()})
    address = CaseFileAddress(url, tokens)
    RUNNING.parent.mkdir(exist_ok=True)
    RUNNING.touch(mode=0o600)
    RUNNING.write_text(json.dumps(asdict(address)))
    return address
