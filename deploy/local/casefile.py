"""The case file of a local stack: started, with somebody signed in of each role, and noted where programs look."""

import asyncio
import json
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.local.processes import kept_port
from deploy.local.stack import Stack
from schemas.topics import CASE_FILE

NOTED = "casefile.json"
"""In the folder of the stack: where it is, and tokens by role."""


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
    port = {"RECOURSE_HTTP_PORT": str(kept_port(stack.folder / "casefile.port"))}
    await stack.start_services([CASE_FILE], {"RECOURSE_CASEFILE_SIGNIN": "local", **(env or {}), **port})
    url = stack.services[CASE_FILE].http
    tokens = await asyncio.to_thread(lambda: {role: _token(url, role, person) for role, person in people.items()})
    address = CaseFileAddress(url, tokens)
    noted = stack.folder / NOTED
    noted.touch(mode=0o600)
    noted.write_text(json.dumps(asdict(address)))
    return address


def noted_in(folder: Path) -> CaseFileAddress | None:
    """None: no stack is, or was, there."""
    file = folder / NOTED
    return CaseFileAddress(**json.loads(file.read_text())) if file.exists() else None


def _token(url: str, role: str, person: str) -> str:
    form = urllib.parse.urlencode({"role": role, "id": person}).encode()
    asking = urllib.request.Request(f"{url}/sign-in", form, {"accept": "application/json"})
    with urllib.request.urlopen(asking, timeout=30) as answer:
        return str(json.load(answer)["token"])
