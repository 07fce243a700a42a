"""Shapes that several services share."""

from ipaddress import ip_address
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from schemas.instants import Instant
from schemas.wire import Id, Label, Minor, PersonId, PositiveMinor, Role, Shape, Text

Reason = Literal[
    "not_received",
    "late",
    "wrong_tracking",
    "seller_did_not_ship",
    "not_as_described",
    "wrong_item",
    "wrong_variant",
    "damaged",
    "defective",
    "missing_quantity",
    "counterfeit",
    "empty_parcel",
]
TrackingStatus = Literal["in_transit", "delivered", "returned", "failed"]
Expectation = Literal["reopenable", "released_to_seller", "settled_on_offer"]
Email = Annotated[str, Field(min_length=3, max_length=320, pattern=r"^[^\x00-\x1f\x7f]+@[^\s@\x00-\x1f\x7f]+$")]
"""What of it can be delivered the mail server's gateway says: money never waits for an address (R75)."""
Locale = Annotated[str, Field(pattern=r"^[^\x00]*$")]
"""As the platform stores them: `de`, `en_US`, `de-DE-u-co-phonebk`. One that nobody knows is English (R75)."""
TimeZone = Annotated[str, Field(max_length=255, pattern=r"^[^\x00]*$")]
LetterLocale = Annotated[Locale | None, Field(description="the language of his letters; null: English")]
LetterTimeZone = Annotated[
    TimeZone | None,
    Field(description="of the times in his letters, such as `Europe/Berlin`; null, or unknown: UTC"),
]


def _reachable(url: str) -> str:
    """Raises ValueError for what no webhook may go to, without repeating it."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not (host and url.isascii() and url.isprintable() and " " not in url):
        raise ValueError("an endpoint is an absolute URL in ASCII")
    if parts.username is not None or parts.fragment:
        raise ValueError("a URL with a user or a fragment is no endpoint")
    if parts.port == 0:
        raise ValueError("there is no port 0")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_this_machine(host)):
        raise ValueError("an endpoint is reached by https; http is for this very machine")
    return url


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


WebhookUrl = Annotated[str, Field(max_length=2_000), AfterValidator(_reachable)]
"""Of an endpoint, the platform's or a person's own."""

EVIDENCE_BYTES_MAX = 10 * 1024 * 1024
EVIDENCE_FILES_MAX = 20
"""Files one party may show in one stage (R58)."""

DisputeId = Annotated[Id, Field(description="chosen by the buyer's client, new in its order")]
SettlementId = Annotated[Id, Field(description="names this split of money and, with a leg, each movement of it")]
LineId = Annotated[Id, Field(description="of a line of the order, as it was placed")]
Carrier = Annotated[Label, Field(description="who carries the parcel")]
TrackingNumber = Annotated[Label, Field(description="the carrier's number of the parcel")]
RemindAt = Annotated[
    Instant | None,
    Field(description="who has not acted by then is reminded (R68); null: nobody is, or he was"),
]
ClockEndsAt = Annotated[
    Instant, Field(description="its last instant: what it brings about happens behind it, if nothing else did (R0)")
]
CLOCKS = (
    "every deadline that runs after it, in the order in which they will happen (§8); empty: none does, as in every "
    "end; null: not told, to whom nothing is told or by an earlier version"
)
EndsAt = Annotated[Instant, Field(description="he acts at this instant at the latest")]
RemindedOnly = Annotated[
    tuple[Role, ...], Field(description="nobody else is shown this event: who is reminded, mediators, operators")
]
MediatorId = Annotated[PersonId, Field(description="of the mediator, as on the roster and in `actor`")]


class Party(Shape):
    """A buyer or a seller. How he is reached is said in `people`, or, if the platform chooses so, here, where it stays
    for ever (R74). An address is for the notification service alone and is never logged."""

    id: PersonId = Field(description="the person, as in `actor`")
    email: Email | None = Field(
        default=None, description="where his letters go, unless `people` knows him; null: only `people` says it"
    )
    locale: LetterLocale = None
    time_zone: LetterTimeZone = None

    @property
    def only_id(self) -> "Party":
        """Who he is and no more: what events other than `order.placed` say of him (R74)."""
        return Party(id=self.id)


class PolicyRef(Shape):
    """Which rules an order lives under, for life."""

    name: Id = Field(description="of the policy, such as `aliexpress`")
    version: Annotated[int, Field(ge=1, description="the newest of that name when the order was placed")]
    hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="sha256 of the policy file")]


class Payment(Shape):
    """How the buyer paid."""

    payment_id: Id = Field(description="of the captured payment; refunds go back over it")
    amount_minor: PositiveMinor = Field(description="captured, in minor units: the sum of the lines (R1)")


class OrderLine(Shape):
    """`amount_minor` is the money of the whole line, not of one piece."""

    line_id: Id = Field(description="new in its order")
    title: Label = Field(description="what was bought, for people")
    quantity: Annotated[int, Field(ge=1, le=1_000_000, description="pieces")]
    amount_minor: Minor = Field(description="in minor units of the order's currency; 0: a gift (R76)")


class Terms(Shape):
    """What one side proposes. A refund of 0 for `none`, which only the seller offers, and for the replacement of what
    costs nothing (R76)."""

    kind: Literal["refund", "return_and_refund", "replacement", "none"] = Field(
        description="`return_and_refund`: the goods first, then the money (R51); `replacement`: a new parcel, or the "
        "money (C10); `none`: nothing"
    )
    refund_minor: Minor

    @model_validator(mode="after")
    def _nothing_for_none(self) -> Self:
        must_name_money = self.kind in ("refund", "return_and_refund")
        if (must_name_money and self.refund_minor == 0) or (self.kind == "none" and self.refund_minor > 0):
            raise ValueError("refund_minor is 0 for the kind none, and else only for the replacement of a gift")
        return self


class Evidence(Shape):
    """A file that lies elsewhere; bytes never travel on the bus (R58)."""

    evidence_id: Id = Field(description="new in its dispute")
    kind: Literal["photo", "video", "document", "screenshot", "tracking", "chat"] = Field(description="what it shows")
    uri: Annotated[
        str,
        Field(min_length=1, max_length=2_000, pattern=r"^[^\x00-\x20]+$", description="where the platform keeps it"),
    ]
    media_type: Literal["image/jpeg", "image/png", "application/pdf", "video/mp4"] = Field(
        description="what kind of file it is"
    )
    size_bytes: Annotated[int, Field(ge=1, le=EVIDENCE_BYTES_MAX, description="of the file")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="of the file: nobody exchanges it unnoticed")]
    note: Text | None = Field(default=None, description="what its owner says about it")
    supersedes: Id | None = Field(
        default=None, description="the `evidence_id` that it replaces, of the same owner; that one stays visible"
    )


class Offer(Shape):
    """Terms with their number in the dispute; the claim itself is offer 1."""

    offer_id: int = Field(description="what accepting it names (R21)")
    by: Literal["buyer", "seller"] = Field(description="whose offer it is")
    terms: Terms


class PieceNumbers(Shape):
    """Some of a line's pieces, by their numbers in it (R65)."""

    first: Annotated[int, Field(ge=1, description="the lowest of them; a line's first piece has the number 1")]
    last: Annotated[int, Field(ge=1, description="the highest of them, which is one of them")]


PiecesIfSome = Annotated[
    PieceNumbers | None,
    Field(
        description="which pieces of the line; it may be named again with others (R65). None said: all of it",
        exclude_if=lambda pieces: pieces is None,
    ),
]
"""Said only where a line has come apart: of others is said what always was."""


class FrozenLine(Shape):
    """A line in dispute: the whole of it is frozen and `quantity` bounds the claim (R18b), or the pieces that the claim
    is about are (R65)."""

    line_id: LineId
    quantity: Annotated[int, Field(ge=1, description="pieces that the claim is about")]
    amount_minor: Minor = Field(
        description="of all that is frozen, less what was given back before (R64), in minor units of the order's "
        "currency"
    )
    released: bool = Field(description="its money is the seller's already: a refund is charged back to him (R7)")
    pieces: PiecesIfSome = None
