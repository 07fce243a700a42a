"""Each running service gives the whole contract, as it is published, under /asyncapi."""

import json
from typing import Any

from schemas.asyncapi import DOCUMENT
from shared.runtime.application import contract


async def test_a_service_serves_the_published_document() -> None:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/asyncapi", "headers": [], "query_string": b""}
    await contract(scope, receive, send)

    begin, body = sent
    assert begin["status"] == 200
    assert json.loads(body["body"]) == json.loads(DOCUMENT.read_text("utf-8"))
