"""The case file of a local stack: started, with somebody signed in of each role, and noted where programs look."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from deploy.local.processes import kept_port
from deploy.local.stack import Stack
from deploy.recourse.asking import RUNNING, handed_out
from schemas.topics import CASE_FILE


@dataclass(frozen=True)
class CaseFileAddress:
    url: str
    tokens: Mapping[str, str]
    """By role."""

    def lines(self, people: Mapping[str, str]) -> list[str]:
        """For the person at the terminal."""
        shown = ", ".join(f"{role} {person}" for role, person in people.items())
        return [f"Case file   {self.url}/sign-in, as whoever you like: {shown}"]


async def open_case_file(
    stack: Stack, people: Mapping[str, str], env: Mapping[str, str] | None = None
) -> CaseFileAddress:
    """`people`: role -> who is signed in. It is at the same address as the last time, where that is free."""
    settings = {
        "RECOURSE_CASEFILE_SIGNIN": "local",
        "RECOURSE_CASEFILE_SERVICES": json.dumps({name: one.http for name, one in stack.services.items()}),
        "RECOURSE_HTTP_PORT": str(kept_port(stack.folder / "casefile.port")),
    }
    await stack.start_services([CASE_FILE], {**(env or {}), **settings})
    url = stack.services[CASE_FILE].http
    tokens = await asyncio.to_thread(lambda: {role: handed_out(url, role, person) for role, person in people.items()})
    address = CaseFileAddress(url, tokens)
    RUNNING.parent.mkdir(exist_ok=True)
    RUNNING.touch(mode=0o600)
    RUNNING.write_text(json.dumps(asdict(address)))
    return address
