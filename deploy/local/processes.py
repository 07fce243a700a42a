"""A child process of the local stack: its log, its readiness, its end."""

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import psutil

from deploy.local.reaper import Reaper

_LOOK_SECONDS = 0.01
_QUOTED_LINES = 20
READY_SECONDS = 180
"""A Kafka that was killed begins again in two; on a machine that is busy with ten others it has taken more than 60."""

_handed_out: set[int] = set()


class LocalStackError(Exception):
    """The local stack cannot do what was asked; the message is for the person at the terminal."""


class Child:
    """A process that writes to a log file, leads its own session and ends with us (see `Reaper`).

    Not tied to an event loop: a fixture may start it in one and a test stop it in another.
    """

    last_word = signal.SIGKILL
    """What the reaper tells it when we are gone."""

    def __init__(self, name: str, log: Path, reaper: Reaper) -> None:
        self.name = name
        self.log = log
        self._reaper = reaper
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int:
        if self._process is None:
            raise LocalStackError(f"{self.name} is not running.")
        return self._process.pid

    def cpu_seconds(self) -> float:
        """CPU time of this life: the process, its living descendants and, on Linux, those it has reaped."""
        while True:
            parent = psutil.Process(self.pid)
            family = [parent, *parent.children(recursive=True)]
            try:
                times = [process.cpu_times() for process in family]
            except psutil.NoSuchProcess:
                continue  # one has ended: its time is its parent's now, so look again
            return sum(t.user + t.system + t.children_user + t.children_system for t in times)

    def send(self, signal_: signal.Signals) -> None:
        """Signal the whole group; SIGSTOP freezes it, SIGCONT thaws it."""
        with contextlib.suppress(PermissionError):  # macOS says this of a group that has just ended
            os.killpg(self.pid, signal_)

    def check(self) -> None:
        """Raise, quoting the log, if it has ended."""
        if self._exited():
            raise LocalStackError(f"{self.name} has ended.{self._quote()}")

    async def stop(self, seconds: float = 15) -> None:
        """Ask it to end; kill it if it has not within `seconds`. Nothing happens if it is not running."""
        await self._end(signal.SIGTERM, seconds)

    async def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        await self._end(signal.SIGKILL, seconds=5)

    async def drop(self) -> None:
        """End it at once, for nobody will read what it keeps."""
        await self._end(self.last_word, seconds=5)

    async def ended(self, seconds: float) -> int:
        """Wait for it to end; how it did: its exit status, or the signal's number below zero."""
        process, until = self._process, time.monotonic() + seconds
        if process is None:
            raise LocalStackError(f"{self.name} is not running.")
        while not self._exited():
            if time.monotonic() > until:
                raise LocalStackError(f"{self.name} has not ended within {seconds:.0f} s.{self._quote()}")
            await asyncio.sleep(_LOOK_SECONDS)
        return int(process.returncode)

    async def _end(self, gently: signal.Signals, seconds: float) -> None:
        if self._exited():
            return
        self.send(gently)
        self.send(signal.SIGCONT)  # a frozen process hears nothing else
        until = time.monotonic() + seconds
        while not self._exited():
            if time.monotonic() > until:
                self.send(signal.SIGKILL)
            await asyncio.sleep(_LOOK_SECONDS)

    def _spawn(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        user: int | None = None,
        group: int | None = None,
    ) -> None:
        if not self._exited():
            raise LocalStackError(f"{self.name} is already running.")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                argv,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=user,
                group=group,
                extra_groups=None if user is None else [],
                start_new_session=True,
            )
        self._reaper.watch(self._process.pid, self.last_word)

    async def _until(self, ready: Callable[[], Awaitable[bool]], seconds: float = READY_SECONDS) -> None:
        until = time.monotonic() + seconds
        while not await ready():
            if self._exited():
                raise LocalStackError(f"{self.name} ended before it was ready.{self._quote()}")
            if time.monotonic() > until:
                raise LocalStackError(f"{self.name} was not ready within {seconds:.0f} s.{self._quote()}")
            await asyncio.sleep(_LOOK_SECONDS)

    async def _until_success(self, doing: str, seconds: float = 60) -> None:
        """Wait for the end of a command that is expected to end by itself."""
        until = time.monotonic() + seconds
        process = self._process
        while not self._exited():
            if time.monotonic() > until:
                await self.kill()
            await asyncio.sleep(_LOOK_SECONDS)
        if process is not None and process.returncode != 0:
            raise LocalStackError(f"{doing} failed.{self._quote()}")

    def _exited(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            self._reaper.forget(self._process.pid)
            self._process = None
        return self._process is None

    def _lines(self) -> list[str]:
        """What it has written in this life."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace").splitlines()

    def _quote(self) -> str:
        return "".join(f"\n    {line}" for line in [f" Its log, {self.log}, ends:", *self._lines()[-_QUOTED_LINES:]])


def free_port() -> int:
    """A free port below those the kernel hands to outgoing connections.

    From that range a client that keeps dialling a server being restarted can be given the server's own port, and
    then it talks to itself while the server cannot bind.
    """
    for port in random.sample(range(15_000, 32_000), 100):
        if port not in _handed_out and _is_free(port):
            _handed_out.add(port)
            return port
    raise LocalStackError("No free port between 15000 and 32000.")


def kept_port(file: Path) -> int:
    """The port noted in `file` if it is free, so that a kept stack is found again where it was; else a new one."""
    if file.exists() and _is_free(port := int(file.read_text())):
        return port
    port = free_port()
    file.write_text(f"{port}\n")
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: lingering clients are no obstacle
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
