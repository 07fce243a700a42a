"""A folder that is kept belongs to one stack at a time: two would take each other's ports and data.

The lock is the kernel's and goes with whoever holds it. The reaper holds it, too: until it has ended what is left of a
stack that was killed nobody else begins.
"""

import asyncio
import fcntl
import os
import time
from pathlib import Path

import psutil

from deploy.local.processes import LocalStackError

PATIENCE_SECONDS = 15.0
"""For a reaper at work."""


async def lock(folder: Path) -> int:
    """The descriptor that holds it, to be closed. Raises LocalStackError while another stack has the folder."""
    held = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    until = time.monotonic() + PATIENCE_SECONDS
    try:
        while not _taken(held):
            owner = os.pread(held, 32, 0).decode()
            if (owner.isdigit() and psutil.pid_exists(int(owner))) or time.monotonic() > until:
                raise LocalStackError(f"Another stack has {folder} (process {owner}): end it, or say --data FOLDER.")
            await asyncio.sleep(0.1)
    except BaseException:
        os.close(held)
        raise
    os.ftruncate(held, 0)
    os.pwrite(held, str(os.getpid()).encode(), 0)
    return held


def _taken(held: int) -> bool:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
