"""Migrations of a service's schema: files that only go forward."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from shared.runtime.postgres.database import connect

KERNEL_MIGRATIONS = Path(__file__).parent / "migrations"
KERNEL = "shared"
"""As what the kit's own migrations are remembered, wherever their files lie: a stored name."""


async def migrate(dsn: str, schema: str, folders: Iterable[Path]) -> list[str]:
    """Brings a schema up to date and returns the names of what was applied.

    Files run once each, in the order of folders and names, one transaction per file. Several processes may race here:
    one goes first. A file that changed after it ran stops the start: what ran cannot be run again.
    """
    # A statement may take its time here; but who freezes between two of them must not keep the others from starting.
    connection = await connect(dsn, schema, "migrations", seconds=None, idle_session_timeout="60s")
    try:
        await connection.execute("SELECT pg_advisory_lock(hashtext($1))", f"recourse migrations {schema}")
        await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS migration (name text PRIMARY KEY, sha256 text NOT NULL,"
            " applied_at timestamptz NOT NULL DEFAULT now())"
        )
        done = dict(await connection.fetch("SELECT name, sha256 FROM migration"))
        applied = []
        for file in _files(folders):
            name, sql = f"{_owner(file.parent)}/{file.name}", file.read_text()
            digest = hashlib.sha256(sql.encode()).hexdigest()
            if name not in done:
                async with connection.transaction():
                    await connection.execute(sql)
                    await connection.execute("INSERT INTO migration (name, sha256) VALUES ($1, $2)", name, digest)
                applied.append(name)
            elif done[name] != digest:
                raise RuntimeError(f"migration {name} was changed after it ran in schema {schema}")
        return applied
    finally:
        await connection.close()


def _files(folders: Iterable[Path]) -> Sequence[Path]:
    return [file for folder in folders for file in sorted(folder.glob("*.sql"))]


def _owner(folder: Path) -> str:
    return KERNEL if folder == KERNEL_MIGRATIONS else folder.parent.name
