"""Where a process is asked over HTTP how it is."""

import logging
import socket
from typing import Any

import uvicorn

from shared.runtime.settings import Settings

log = logging.getLogger(__name__)


async def serve(settings: Settings, app: Any, **options: Any) -> None:
    """Until SIGTERM or SIGINT, which the web server listens for; where, is said in the log. `app` and `options`:
    uvicorn's. Raises SystemExit where nobody may listen."""
    host, port = settings.http_host, settings.http_port
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise SystemExit(f"RECOURSE_HTTP_PORT: nobody may listen on {host}, port {port}: {error.strerror}") from None
    with listening:
        where = f"[{host}]" if ":" in host else host
        log.info("listening", extra={"http": f"http://{where}:{listening.getsockname()[1]}"})
        config = uvicorn.Config(app, log_config=None, access_log=False, **options)
        await uvicorn.Server(config).serve(sockets=[listening])
