"""The set-up job as somebody starts it who has nothing but its environment and its output."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Mapping
from dataclasses import dataclass

from deploy.local.stack import REPO


@dataclass(frozen=True)
class Ended:
    status: int
    lines: list[str]


async def start(env: Mapping[str, str], *arguments: str) -> Process:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RECOURSE_")}
    command = (sys.executable, "-m", "deploy.setup", *arguments)
    return await asyncio.create_subprocess_exec(*command, cwd=REPO, env={**clean, **env}, stdout=PIPE, stderr=STDOUT)


async def run(env: Mapping[str, str], *arguments: str) -> Ended:
    process = await start(env, *arguments)
    output, _ = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, output.decode().splitlines())
