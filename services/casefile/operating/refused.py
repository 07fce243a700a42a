"""Which shards the services refuse to serve, and what else they say is wrong with them: asked of each, as of now."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import httpcore

from schemas.instants import from_ms, to_ms
from services.casefile.shown.shapes import Stuck

ASK_SECONDS = 2.0
ANSWER_BYTES_MAX = 256 * 1024
KIND = "shard_refused"


async def refused(services: Mapping[str, str]) -> Sequence[Stuck]:
    """`services`: name -> address of one of its processes, such as `http://refund:8080`. Who does not answer in time is
    told of, too."""
    asked = [_of(name, url) for name, url in sorted(services.items())]
    return [one for some in await asyncio.gather(*asked) for one in some]


async def _of(service: str, url: str) -> Sequence[Stuck]:
    now = from_ms(to_ms(datetime.now(UTC)))
    try:
        async with (
            asyncio.timeout(ASK_SECONDS),
            httpcore.AsyncConnectionPool() as pool,
            pool.stream("GET", f"{url.rstrip('/')}/health") as response,
        ):
            body = b""
            async for part in response.aiter_stream():
                body += part
                if len(body) > ANSWER_BYTES_MAX:
                    break
        problems = json.loads(body)["problems"]
        return [_shown(service, str(one["place"]), str(one["problem"]), str(one["recipe"]), now) for one in problems]
    except (TimeoutError, OSError, httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError):
        return [_shown(service, "process", "It does not answer.", "", now)]
    except (ValueError, KeyError, TypeError, RecursionError):
        return [_shown(service, "process", "What it answers is no health of ours.", "", now)]


def _shown(service: str, place: str, problem: str, recipe: str, now: datetime) -> Stuck:
    about: dict[str, Any] = {"service": service, "place": place, "recipe": recipe}
    return Stuck(
        kind=KIND,
        order_id=None,
        about=about,
        since=now,
        reason=place,
        whose_turn="operator",
        sentence=problem,
        act=None,
        command_line=None,
    )
