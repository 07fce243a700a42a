"""The mail server: how a mail looks on its way, and what the server's answer means."""

import logging
import re
from contextlib import suppress
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Literal, Self

import aiosmtplib
import idna
from pydantic import Field, SecretStr, model_validator

from schemas.notification.events import Queued
from services.notification.letters import Letter, letter
from services.notification.projection import TAKEN, UNREACHABLE, Channel, SendResult
from shared.runtime.settings import Settings

log = logging.getLogger(__name__)

_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\u0080-\U0010ffff-]{1,64}")
_QUOTED = re.compile(r'"[A-Za-z0-9!#$%&\'*+/=?^_`{|}~. -]{1,62}"')
"""With spaces. Quotes around what means something outside of them (`@<>,\\`) are read by too many in two
ways."""
_DOMAIN = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")

_NOBODY = re.compile(r"5\.1\.(1|3|6|10)\b")
"""The enhanced status codes (RFC 3463, RFC 7505) of a mailbox that is not there, has moved, or has no mail server. What
answers a bare 550 may mean anything, from nobody to a block list."""


class MailSettings(Settings):
    """Without `smtp_host` nobody is written to: the topic is the only channel."""

    smtp_host: str | None = None
    smtp_port: int = Field(default=587, ge=1, le=65_535)
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_timeout_seconds: float = Field(default=10.0, gt=0)
    """For each step of the conversation; a mail takes about five."""
    smtp_connections_max: int = Field(default=4, ge=1)
    """Mails handed over at the same time."""
    mail_from: str | None = None
    """`Name <address>`."""

    @model_validator(mode="after")
    def _somebody_writes(self) -> Self:
        if self.smtp_host is not None and deliverable(self.sender.addr_spec) is None:
            raise ValueError("RECOURSE_SMTP_HOST needs an address to write from: RECOURSE_MAIL_FROM")
        return self

    @property
    def sender(self) -> Address:
        name, address = parseaddr(self.mail_from or "")
        local, _, domain = address.rpartition("@")
        return Address(name, local, domain)


BAD_ADDRESS = SendResult("bad_address", final=True)


def deliverable(email: str) -> str | None:
    """The address as a mail server reads it, or None: what could be read in two ways."""
    local, _, domain = email.rpartition("@")
    domain = domain if domain.isascii() else _in_ascii(domain)
    known = _LOCAL_PART.fullmatch(local) or _QUOTED.fullmatch(local)
    if known and _DOMAIN.fullmatch(domain) and not _misplaced_dot(local.strip('"')):
        return f"{local}@{domain}"
    return None


def _in_ascii(domain: str) -> str:
    """As registries know it (UTS 46, IDNA2008); empty: no domain. Python's own codec is of 2003 and reads ß as ss, ς as
    σ, and some scripts without the joiners that they need: domains of somebody else."""
    with suppress(idna.IDNAError):
        return idna.encode(domain, uts46=True).decode()
    return ""


def _misplaced_dot(local: str) -> bool:
    return local.startswith(".") or local.endswith(".") or ".." in local


def mail(delivery_id: str, sender: Address, to: str, letter: Letter, at: datetime) -> EmailMessage:
    """The same delivery gives the same bytes, Message-ID and all: sent twice, it can be known for one mail."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = to
    message["Subject"] = letter.subject
    message["Date"] = at
    message["Message-ID"] = f"<{delivery_id}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    message.set_boundary(delivery_id)
    return message


class Smtp:
    """Keeps its connections for the next mails; one that gave trouble is dropped."""

    def __init__(self, settings: MailSettings) -> None:
        self.settings = settings
        self._idle: list[aiosmtplib.SMTP] = []

    async def send(self, delivery_id: str, email: str, letter: Letter, at: datetime) -> SendResult:
        """Hands one mail over. Never raises for what a server or an address does."""
        to = deliverable(email)
        if to is None:
            return BAD_ADDRESS
        if self.settings.smtp_host is None:
            return UNREACHABLE  # what was queued while there was a mail server
        message = mail(delivery_id, self.settings.sender, to, letter, at)
        try:
            connection = await self._connection()
        except (aiosmtplib.SMTPException, OSError) as trouble:
            return self._unreachable(trouble)
        return await self._hand_over(connection, message, to)

    async def close(self) -> None:
        while self._idle:
            with suppress(aiosmtplib.SMTPException, OSError):
                await self._idle.pop().quit()

    async def _connection(self) -> aiosmtplib.SMTP:
        while self._idle:
            connection = self._idle.pop()
            try:
                await connection.noop()
            except (aiosmtplib.SMTPException, OSError):
                connection.close()  # the server has tired of it
            else:
                return connection
        settings = self.settings
        password = settings.smtp_password.get_secret_value() if settings.smtp_password else None
        connection = aiosmtplib.SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            timeout=settings.smtp_timeout_seconds,
            use_tls=settings.smtp_security == "tls",
            start_tls=settings.smtp_security == "starttls",
            username=settings.smtp_username,
            password=password,
        )
        try:
            await connection.connect()
        except BaseException:
            connection.close()
            raise
        return connection

    async def _hand_over(self, connection: aiosmtplib.SMTP, message: EmailMessage, to: str) -> SendResult:
        kept = False
        try:
            await connection.send_message(message, sender=self.settings.sender.addr_spec, recipients=[to])
            kept = True
        except aiosmtplib.SMTPRecipientsRefused as refusal:
            kept = True
            return _refused(refusal.recipients[0].code, refusal.recipients[0].message)
        except aiosmtplib.SMTPDataError as refusal:
            kept = True
            return _refused(refusal.code, refusal.message)
        except aiosmtplib.SMTPResponseException as refusal:
            return _refused(refusal.code)
        except aiosmtplib.SMTPNotSupported:
            return SendResult("refused")  # an address beyond ASCII, at a server of ours that knows none yet
        except (aiosmtplib.SMTPException, OSError) as trouble:
            return self._unreachable(trouble)
        finally:
            if kept and connection.is_connected:
                self._idle.append(connection)
            else:
                connection.close()
        return TAKEN

    @staticmethod
    def _unreachable(trouble: Exception) -> SendResult:
        """Only the kind is logged: a server's words may hold an address."""
        log.warning("no mail can be handed over", extra={"trouble": type(trouble).__name__})
        return UNREACHABLE


def _refused(status: int, words: str = "") -> SendResult:
    """`words`: of an answer about this very mail. Final is only that nobody is there; any other no, whatever its first
    digit, is one to us, or to now, and passes: a block list, a policy, a filter, a full mailbox, a login."""
    if status < 400:
        return UNREACHABLE  # not the answer of a mail server
    return SendResult("refused", status, final=status >= 500 and bool(_NOBODY.match(words)))


def mail_channel(gateway: Smtp, at_once: int = 4) -> Channel[Queued]:
    async def send(queued: Queued, now: datetime) -> SendResult:
        assert queued.email is not None  # whose is not known waits
        return await gateway.send(queued.delivery_id, queued.email, letter(queued), queued.event_at)

    return Channel(("email",), send, gateway.close, at_once)
