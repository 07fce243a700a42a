"""The keys of whoever issues tokens, as his JWKS has them: a file, or a document on the web."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import httpcore
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from services.casefile.front.turned_away import Away

log = logging.getLogger(__name__)

ALGORITHMS = ("RS256", "ES256", "EdDSA")
"""Signatures by keys of which everybody may know the public half; nothing else is verified, whatever a token says."""
LOOK_AGAIN_SECONDS = 60.0
"""At most so often, whoever names keys that nobody knows …"""
FRESH_SECONDS = 600.0
"""… and at least so often: a key that was withdrawn is good for nothing after that."""
FETCH_SECONDS = 5.0
DOCUMENT_BYTES_MAX = 256 * 1024
KEYS_MAX = 100
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Unfetched(Exception):
    """The document is not there, or is none."""


class Keys:
    """By `kid`. `read`: gives the document, or raises Unfetched; of keys that were known nothing is forgotten then."""

    def __init__(self, read: Callable[[], Awaitable[bytes]], clock: Callable[[], float] = monotonic) -> None:
        self._read, self._clock = read, clock
        self._by_id: Mapping[str | None, PyJWK] = {}
        self._looked_at: float | None = None
        self._read_at: float | None = None
        self._reading = asyncio.Lock()

    async def named(self, key_id: str | None) -> PyJWK | None:
        """None: there is no such key. Without a name it is the only one there is. Raises Away: no keys are known."""
        if not self._is_known(key_id):
            async with self._reading:
                if not self._is_known(key_id) and self._may_look():
                    await self._look()
        if self._read_at is None:
            raise Away("The keys of those who sign tokens cannot be read.")
        if key_id is None and len(self._by_id) == 1:
            return next(iter(self._by_id.values()))
        return self._by_id.get(key_id)

    def _is_known(self, key_id: str | None) -> bool:
        fresh = self._read_at is not None and self._clock() - self._read_at < FRESH_SECONDS
        return fresh and (key_id is None or key_id in self._by_id)

    def _may_look(self) -> bool:
        return self._looked_at is None or self._clock() - self._looked_at >= LOOK_AGAIN_SECONDS

    async def _look(self) -> None:
        self._looked_at = self._clock()
        try:
            self._by_id = _keys(await self._read())
        except Unfetched as error:
            log.warning("the keys that sign tokens are not read: %s", error)
        else:
            self._read_at = self._looked_at


def keys_at(source: str) -> Keys:
    """`source`: an https address, or a file's path. Raises SystemExit for an address that anybody on the way could
    answer for."""
    address = urlsplit(source)
    if address.scheme == "https" or (address.scheme == "http" and address.hostname in LOOPBACK):
        return Keys(lambda: _fetched(source))
    if address.scheme == "http":
        raise SystemExit("RECOURSE_CASEFILE_JWKS: keys are read by https, or from this machine, or from a file.")
    return Keys(lambda: _from_file(Path(source)))


async def _from_file(path: Path) -> bytes:
    try:
        return await asyncio.to_thread(path.read_bytes)
    except OSError as error:
        raise Unfetched(f"{path}: {error.strerror}") from None


async def _fetched(url: str) -> bytes:
    """Exactly from there: a redirect is followed nowhere."""
    content = b""
    try:
        async with (
            asyncio.timeout(FETCH_SECONDS),
            httpcore.AsyncConnectionPool() as pool,
            pool.stream("GET", url, headers={"accept": "application/json"}) as response,
        ):
            if response.status != 200:
                raise Unfetched(f"{url} answers with status {response.status}")
            async for part in response.aiter_stream():
                content += part
                if len(content) > DOCUMENT_BYTES_MAX:
                    raise Unfetched(f"{url} answers with more than {DOCUMENT_BYTES_MAX} bytes")
    except (OSError, httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, TimeoutError) as error:
        raise Unfetched(f"{url}: {type(error).__name__}") from None
    return content


def _keys(document: bytes) -> Mapping[str | None, PyJWK]:
    """Those that verify signatures of ours; a document may hold others, too."""
    try:
        written: Any = json.loads(document)
        listed = written["keys"][:KEYS_MAX]
        found = [key for one in listed if (key := _key(one)) is not None]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Unfetched(f"what is there is no JWKS: {type(error).__name__}") from None
    if not found:
        raise Unfetched(f"none of its keys is for {', '.join(ALGORITHMS)}")
    return {key.key_id: key for key in found}


def _key(written: Any) -> PyJWK | None:
    try:
        key = PyJWK(written)
    except (PyJWTError, AttributeError, TypeError, ValueError):
        return None
    return key if key.algorithm_name in ALGORITHMS and key.public_key_use in (None, "sig") else None
