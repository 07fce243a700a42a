"""A database per service, owned by a role of its own that reaches no other."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from deploy.setup.job import Drift, Kind, SetUpFailed, until_there
from schemas.topics import PROCESSES
from shared.runtime.postgres.database import ERRORS

SCRAM_ITERATIONS = 4096
ENCODING = "UTF8"
CREATE = f"CREATE DATABASE \"{{name}}\" OWNER \"{{name}}\" ENCODING '{ENCODING}' LOCALE 'C' TEMPLATE template0"
"""Whatever the server's own template is: text of every language, in an order that no update of the machine changes."""
LOCK = "SELECT pg_advisory_lock(hashtext('recourse set-up'))"
ROLES = "SELECT rolname FROM pg_roles WHERE rolname = ANY ($1)"
OWNERS = "SELECT datname, pg_get_userbyid(datdba) FROM pg_database WHERE datname = ANY ($1)"
ENCODINGS = "SELECT datname, pg_encoding_to_char(encoding) FROM pg_database WHERE datname = ANY ($1)"
OPEN = """
SELECT DISTINCT datname FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) AS entry
WHERE datname = ANY ($1) AND entry.grantee = 0
"""
STRANGERS = """
SELECT datname, rolname FROM pg_database, pg_roles
WHERE datname = ANY ($1) AND rolname = ANY ($1) AND datname <> rolname
    AND has_database_privilege(rolname, datname, 'CONNECT')
ORDER BY datname, rolname
"""


async def set_up(
    admin_url: str, passwords: Mapping[str, str], prefix: str, seconds: float, *, check: bool = False
) -> list[Drift]:
    """Role and database `<prefix><service>` of each service, and what differs. Several may do this at the same time.

    The administrator needs CREATEROLE and CREATEDB, no more. A password cannot be read back and compared, so
    `passwords`, by service, are set at every run. With `check` nothing is changed.
    """

    async def connect() -> Any:
        # What makes the roles that one without all rights creates his to hand databases to.
        try:
            return await asyncpg.connect(
                admin_url, timeout=5, server_settings={"createrole_self_grant": "set, inherit"}
            )
        except ValueError:  # what it says may quote a part of the password
            raise SetUpFailed("RECOURSE_SETUP_DATABASE_ADMIN_URL is not an address of a PostgreSQL server.") from None

    try:
        away = (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError)
        admin = await until_there("PostgreSQL", connect, away, seconds)
        try:
            await admin.execute(LOCK)
            made = {} if check else await _make(admin, {prefix + service: passwords[service] for service in PROCESSES})
            return await _compared(admin, [prefix + service for service in PROCESSES], made)
        finally:
            await admin.close()
    except ERRORS as error:
        raise SetUpFailed(f"PostgreSQL: {error}") from error


async def _make(admin: Any, passwords: Mapping[str, str]) -> dict[str, list[str]]:
    """What was done to each database, in words."""
    names = list(passwords)
    roles = {row[0] for row in await admin.fetch(ROLES, names)}
    there = dict(await admin.fetch(OWNERS, names))
    made: dict[str, list[str]] = {name: [] for name in names}
    for name, password in passwords.items():
        verb = "ALTER" if name in roles else "CREATE"
        await admin.execute(f"""{verb} ROLE "{name}" LOGIN PASSWORD '{_verifier(password)}'""")
        if name not in roles:
            made[name].append(f"created role {name}")
        if name not in there:
            await admin.execute(CREATE.format(name=name))
            made[name].append(f"created database {name}")
    for row in await admin.fetch(OPEN, names):
        await admin.execute(f'REVOKE ALL ON DATABASE "{row[0]}" FROM PUBLIC')
        if row[0] in there:
            made[row[0]].append(f"database {row[0]}: closed to everybody but its owner")
    return made


async def _compared(admin: Any, names: Sequence[str], made: Mapping[str, Sequence[str]]) -> list[Drift]:
    roles = {row[0] for row in await admin.fetch(ROLES, names)}
    owners, encodings = [dict(await admin.fetch(wanted, names)) for wanted in (OWNERS, ENCODINGS)]
    is_open = {row[0] for row in await admin.fetch(OPEN, names)}
    strangers = await admin.fetch(STRANGERS, names)
    findings = []
    for name in names:
        drift = []
        if name not in roles:
            drift.append(f"role {name}: missing")
        if name not in owners:
            drift.append(f"database {name}: missing")
        elif owners[name] != name:
            drift.append(f"database {name}: owner is {owners[name]}, declared {name}")
        if name in is_open:
            drift.append(f"database {name}: everybody may connect, declared its owner alone")
        else:
            drift += [
                f"database {name}: {who} may connect, declared its owner alone" for db, who in strangers if db == name
            ]
        fatal = []
        if encodings.get(name, ENCODING) != ENCODING:
            said = f"database {name}: encoding is {encodings[name]}, declared {ENCODING}; services refuse to start"
            fatal.append(Drift(Kind.FATAL, said))
        done = made.get(name, ())
        if not drift and not done and not fatal:
            again = ", the password of its role set again" if name in made else ""
            findings.append(Drift(Kind.AS_DECLARED, f"database {name}: as declared{again}"))
        findings += [Drift(Kind.DONE, text) for text in done] + [Drift(Kind.DRIFT, text) for text in drift] + fatal
    return findings


def _verifier(password: str) -> str:
    """What the server keeps of a password (RFC 5803). Made here, so that no password stands in a statement, which the
    server may log."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, SCRAM_ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt_, stored_, server_ = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${SCRAM_ITERATIONS}:{salt_}${stored_}:{server_}"
