"""Structured logs: one JSON object a line. Ids and outcomes, never names, addresses or texts of people.

Whoever logs need not think of it: of an exception the kind and the way to it are told, and its words only where they
are known to quote nothing; addresses and our own passwords are covered up wherever they stand.
"""

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg
from aiokafka.errors import KafkaError
from pydantic import BaseModel, SecretStr, ValidationError

from shared.runtime.settings import Settings

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_ADDRESS = re.compile(r"[^\s\"'<>(),:;\\\[\]]+@[\w.-]+\.[^\W\d_]{2,}")
_COVERED = "…"
_OURS = ("shared.", "services.", "schemas.", "deploy.")
_QUOTE_NOTHING = (OSError, KafkaError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_QUOTES_ROWS = ("22", "23")
"""SQLSTATE classes: data that is none, and what a constraint refuses."""
_SPEAKER: ContextVar[str] = ContextVar("speaker")
SECRET_CHARACTERS_MIN = 4
"""A shorter one would be found in every word."""


def words(error: BaseException) -> str:
    """What of an exception's own words may be logged; that of a bug may quote anything."""
    match error:
        case ValidationError():
            return f"{error.title}: {', '.join(_wrong(error))}"
        case asyncpg.PostgresError() if str(error.sqlstate).startswith(_QUOTES_ROWS):
            about = (error.sqlstate, error.table_name, error.column_name, error.constraint_name)
            return " ".join(filter(None, about))
        case asyncpg.PostgresError():
            return str(error.args[0] if error.args else "")  # without its DETAIL
        case _ if isinstance(error, _QUOTE_NOTHING) or type(error).__module__.startswith(_OURS):
            return str(error)
    return _COVERED


def _wrong(error: ValidationError) -> Iterator[str]:
    for one in error.errors(include_url=False, include_context=False, include_input=False):
        place = one["loc"][:-1] if one["type"] == "extra_forbidden" else one["loc"]  # a name that somebody else chose
        yield ".".join([*map(str, place), one["type"]])


def _traced(error: BaseException) -> Iterator[str]:
    """As Python tells it, cause by cause, but for the words."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _traced(before)
        yield "which led to:\n"
    yield from traceback.format_tb(error.__traceback__)
    yield f"{type(error).__qualname__}: {words(error)}\n"
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _traced(one)


def secrets_of(settings: Settings) -> frozenset[str]:
    """Every password among them, as it stands and as an address of a server holds it."""
    written = urlsplit(settings.database_url).password or ""
    return frozenset({written, unquote(written), *_secrets(settings)})


def _secrets(setting: object) -> Iterator[str]:
    match setting:
        case SecretStr():
            yield setting.get_secret_value()
        case BaseModel():
            for part in vars(setting).values():
                yield from _secrets(part)
        case tuple() | list() | frozenset():
            for part in setting:
                yield from _secrets(part)


class JsonLines(logging.Formatter):
    def __init__(self, service: str, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self.service = service
        written = sorted({json.dumps(one, ensure_ascii=False)[1:-1] for one in secrets}, key=len, reverse=True)
        long_enough = [re.escape(one) for one in written if len(one) >= SECRET_CHARACTERS_MIN]
        self._secret = re.compile("|".join(long_enough)) if long_enough else None

    def format(self, record: logging.LogRecord) -> str:
        record.args = _harmless(record.args)
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": _SPEAKER.get(self.service),
            "event": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = "".join(_traced(record.exc_info[1]))
        return self._covered(json.dumps(line, default=_as_text, ensure_ascii=False))

    def _covered(self, text: str) -> str:
        if self._secret is not None:
            text = self._secret.sub(_COVERED, text)
        return _ADDRESS.sub(_COVERED, text) if "@" in text else text


def _harmless(args: Any) -> Any:
    match args:
        case tuple():
            return tuple(words(one) if isinstance(one, BaseException) else one for one in args)
        case Mapping():
            return {name: words(one) if isinstance(one, BaseException) else one for name, one in args.items()}
    return args


def _as_text(value: object) -> str:
    return words(value) if isinstance(value, BaseException) else str(value)


def speak_for(service: str) -> None:
    """From now on what this task logs, and every task that it makes, is said of this service."""
    _SPEAKER.set(service)


def start(service: str, *settings: Settings) -> None:
    """`service`: of whom is said what nobody speaks for. The level is that of the first settings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(service, frozenset().union(*map(secrets_of, settings))))
    logging.basicConfig(level=settings[0].log_level.upper(), handlers=[handler], force=True)
    sys.excepthook = lambda _, error, __: logging.critical("it ends", exc_info=error)
    # All report every reconnection attempt at length; what matters of an outage the shard loop says itself.
    for chatty in ("aiokafka", "asyncpg", "uvicorn", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.CRITICAL)
    logging.getLogger("shared.faststream").setLevel(logging.ERROR)  # it warns of what we chose
