"""A process: the services that run in it side by side, and how it ends.

They share an event loop and nothing else: each has its settings, its sessions, its shards and its port. What nobody
foresaw in one of them ends the process, and so all of them (DECISIONS.md).
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from shared.runtime import logs, signals
from shared.runtime.application import Application
from shared.runtime.kafka import internals
from shared.runtime.settings import Settings, read

log = logging.getLogger(__name__)


class _Ended(Exception):
    """One of them cannot go on; the words are for who started it."""


def run(*applications: Application[Any]) -> None:
    """Until SIGTERM or SIGINT: all give their shards back first. One that cannot go on ends them all: SystemExit, with
    its name and a sentence."""
    settings = [read(one.settings, one.service) for one in applications]
    logs.start("+".join(one.service for one in applications), *settings)
    internals.install()
    try:
        asyncio.run(_run_all(list(zip(applications, settings, strict=True))))
    except asyncio.CancelledError:
        log.info("stopped")
    except ExceptionGroup as ended:
        raise SystemExit("\n".join(map(str, ended.exceptions))) from None


async def _run_all(members: Sequence[tuple[Application[Any], Settings]]) -> None:
    signals.heed()
    async with asyncio.TaskGroup() as group:
        for application, settings in members:
            group.create_task(_run_one(application, settings))


async def _run_one(application: Application[Any], settings: Settings) -> None:
    logs.speak_for(application.service)
    try:
        await application.run(settings)
    except SystemExit as reason:
        raise _Ended(f"{application.service}: {reason}") from None
    except Exception:
        log.critical("it ends", exc_info=True)
        raise _Ended(f"{application.service}: unexpected error, its log says which") from None
