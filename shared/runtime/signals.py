"""How a process is asked to end."""

import asyncio
import signal


def heed() -> None:
    """SIGTERM and SIGINT cancel the task that runs now, which then gives back what it has."""
    task = asyncio.current_task()
    assert task is not None
    for end in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(end, task.cancel)
