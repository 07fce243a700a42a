"""The reaper: a tiny process beside ours that clears up when we are gone, however we went.

It holds the far end of a pipe. When we end, by return, exception, Ctrl-C or SIGKILL, the kernel closes our end; the
reaper then kills every process group still registered and removes every registered folder. Nothing is ever looked up
by name. It runs this file alone, with the standard library only, so it is there in 20 ms.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

_PATIENCE_SECONDS = 3.0


class Reaper:
    """Our end of the pipe.

    A process is named by its pid, which must lead its own group. Its pid cannot be another's while it is registered:
    until we reap it the kernel keeps the number, and whoever reaps it calls `forget`.
    """

    def __init__(self, holds: Sequence[int] = ()) -> None:
        """`holds`: descriptors that it keeps open as long as it lives."""
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            pass_fds=holds,
            start_new_session=True,  # a Ctrl-C at the terminal is for us, not for the reaper
        )

    def watch(self, pid: int, last_word: signal.Signals = signal.SIGKILL) -> None:
        """Have the group of `pid` ended with us: by `last_word`, and by SIGKILL if that does not do."""
        self._tell(f"process {pid} {last_word.value}")

    def forget(self, pid: int) -> None:
        self._tell(f"forget {pid}")

    def remove_at_end(self, folder: Path) -> None:
        self._tell(f"folder {folder.resolve()}")

    def close(self) -> None:
        """End what is still registered, remove the folders, and return when that is done."""
        self._process.communicate()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()


def _end_all(last_words: dict[int, int]) -> None:
    remaining = [pid for pid, last_word in last_words.items() if _signal(pid, last_word)]
    for _ in range(2):
        until = time.monotonic() + _PATIENCE_SECONDS
        while remaining and time.monotonic() < until:
            time.sleep(0.01)
            remaining = [pid for pid in remaining if _signal(pid, 0)]
        for pid in remaining:
            _signal(pid, signal.SIGKILL)


def _signal(pid: int, number: int) -> bool:
    """Signal the group of `pid`; is it alive?"""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):  # macOS says the latter of the dead that nobody has reaped
        return False
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()  # where Linux says that
    except OSError:
        return True


def _main() -> None:
    last_words: dict[int, int] = {}
    folders: list[str] = []
    for line in sys.stdin:
        match line.rstrip("\n").split(" ", 1):
            case ["process", process]:
                pid, last_word = process.split()
                last_words[int(pid)] = int(last_word)
            case ["forget", pid]:
                last_words.pop(int(pid), None)
            case ["folder", folder]:
                folders.append(folder)
    _end_all(last_words)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    _main()
