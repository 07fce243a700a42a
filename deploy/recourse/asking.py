"""Where the case file is, and how it is asked."""

import json
import os
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpcore

RUNNING = Path(__file__).parents[2] / ".recourse" / "casefile.json"
"""What a local stack writes: {"url": …, "tokens": {role: token}}."""
PAGE_ROWS = 200
"""As many as are given at once."""
ROWS_MAX = 10_000
SECONDS = 60.0
ANSWER_BYTES_MAX = 64 * 1024 * 1024
TROUBLE = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, httpcore.UnsupportedProtocol)


class Client:
    """Follows no redirect: a token is shown to nobody else. Raises SystemExit, in a sentence, if it is not answered."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self._token = url.rstrip("/"), token
        self._pool = httpcore.ConnectionPool()

    def get(self, *path: str, **query: Any) -> Any:
        """`path`: its parts. What is None is not asked for."""
        return self._asked("GET", path, query)

    def pages(self, *path: str, rows: int | None = None, **query: Any) -> Iterator[list[Any]]:
        """What a list holds, page by page; `rows`: of each, if fewer than are given at once."""
        cursor = None
        while True:
            page = self.get(*path, cursor=cursor, limit=rows or PAGE_ROWS, **query)
            yield page["items"]
            if (cursor := page["next"]) is None:
                return

    def rows(self, *path: str, at_most: int = ROWS_MAX, **query: Any) -> list[Any]:
        """The first ones of a list."""
        wanted = max(0, min(at_most, ROWS_MAX))
        pages = self.pages(*path, rows=max(1, min(PAGE_ROWS, wanted)), **query)
        return list(islice(chain.from_iterable(pages), wanted))

    def post(self, *path: str, said: object, prefer: str | None = None, **query: Any) -> Any:
        return self._asked("POST", path, query, said, {"prefer": prefer} if prefer else {})

    def upload(self, *path: str, content: bytes, kind: str, **query: Any) -> Any:
        """A file as it is; `kind`: its media type."""
        return self._asked("POST", path, query, content, {"content-type": kind})

    def close(self) -> None:
        self._pool.close()

    def _asked(
        self,
        method: str,
        path: tuple[str, ...],
        query: Mapping[str, Any],
        said: object = None,
        more: Mapping[str, str] | None = None,
    ) -> Any:
        left = {name.rstrip("_"): value for name, value in query.items() if value is not None}
        address = f"{self.url}/v1/{'/'.join(quote(part, safe='') for part in path)}?{urlencode(left)}".rstrip("?")
        headers = {"authorization": f"Bearer {self._token}", "accept": "application/json"}
        content = said if said is None or isinstance(said, bytes) else json.dumps(said).encode()
        if content is not None:
            headers["content-type"] = "application/json"
        headers |= more or {}
        return answered(self._pool, method, address, headers, content)


def found(role: str, person: str | None) -> tuple[str, str]:
    """(url, token): what the environment says, else of `make run`. Raises SystemExit."""
    url, token = os.environ.get("RECOURSE_CASEFILE_URL"), os.environ.get("RECOURSE_CASEFILE_TOKEN")
    if url and token:
        return url, token
    if token:
        raise SystemExit("RECOURSE_CASEFILE_TOKEN is shown to nobody without RECOURSE_CASEFILE_URL.")
    running = _running()
    url = url or running.get("url")
    if not url:
        raise SystemExit(
            "Nothing is running here: start `make run`, or set RECOURSE_CASEFILE_URL and RECOURSE_CASEFILE_TOKEN."
        )
    known = running.get("tokens", {}).get(role) if url == running.get("url") else None
    if known and person is None:
        return url, known
    return url, handed_out(url, role, person or role)


def answered(
    pool: httpcore.ConnectionPool, method: str, address: str, headers: Mapping[str, str], content: bytes | None
) -> Any:
    """The JSON that is answered. Raises SystemExit."""
    patience = {"timeout": {"connect": 5.0, "read": SECONDS, "write": SECONDS, "pool": SECONDS}}
    try:
        with pool.stream(method, address, headers=[*headers.items()], content=content, extensions=patience) as response:
            body = b""
            for part in response.iter_stream():
                body += part
                if len(body) > ANSWER_BYTES_MAX:
                    raise SystemExit("The answer is too long.")
    except (OSError, *TROUBLE) as error:
        place = urlsplit(address).netloc
        raise SystemExit(f"Nobody answers at {place}: {str(error) or type(error).__name__}.") from None
    try:
        told = json.loads(body)
    except ValueError:
        told = {}
    if response.status not in (200, 202):
        raise SystemExit(_why(response.status, told))
    return told


def _why(status: int, told: Any) -> str:
    if not isinstance(told, dict) or "detail" not in told:
        return f"It answers with status {status}, and does not say why."
    field = f"{told['field']}: " if told.get("field") else ""
    return f"{field}{told['detail']}"


def _running() -> dict[str, Any]:
    try:
        told = json.loads(RUNNING.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def handed_out(url: str, role: str, person: str) -> str:
    """Where anybody may sign in as anybody."""
    headers = {"accept": "application/json", "content-type": "application/x-www-form-urlencoded"}
    form = urlencode({"role": role, "id": person}).encode()
    with httpcore.ConnectionPool() as pool:
        token: str = answered(pool, "POST", f"{url.rstrip('/')}/sign-in", headers, form)["token"]
    return token
