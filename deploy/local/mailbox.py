"""Where the mail of a local stack goes: an SMTP server that keeps what it is given."""

import asyncio
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session


class Mailbox:
    """Accepts every mail on a private port of this machine; keeps it in `messages` and as a file in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.messages: list[EmailMessage] = []
        self.port = 0
        self._folder = folder
        self._kept = 0
        """The number of the last file; a folder may have mail of before."""
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._kept = max((int(file.stem) for file in self._folder.glob("*.eml") if file.stem.isdigit()), default=0)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: SMTP(self, loop=loop), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd's name)
        content = envelope.original_content or b""
        self.messages.append(message_from_bytes(content, _class=EmailMessage, policy=policy.default))
        self._kept += 1
        (self._folder / f"{self._kept:06}.eml").write_bytes(content)
        return "250 OK"
