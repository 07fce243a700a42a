"""Refusals that several services give: each has one text and one shape, whoever gives it.

Codes in the contract's order of precedence (`schemas.wire.Code`); instants in `details` are RFC 3339.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import get_args

from schemas.common import Offer, Terms
from schemas.instants import rfc3339
from schemas.wire import Code, Command, Role
from shared.kernel.decider import Refusal, role_may

NEVER_CAME = Refusal("invalid", "What was not received cannot be sent back.")
NO_REPLACEMENTS = Refusal("not_allowed", "Replacements are not offered for this order.")
NOTHING_IS_THE_SELLERS = Refusal("not_allowed", "Only the seller can offer nothing.")
OWN_OFFER = Refusal("not_allowed", "This is your own offer.")


def first(*reasons: Refusal | None) -> Refusal | None:
    """Of all reasons that apply the one that the contract names first; of one code the first that is given."""
    found = [reason for reason in reasons if reason is not None]
    return min(found, key=lambda reason: get_args(Code).index(reason.code), default=None)


def who_may(command: Command, people: Mapping[Role, Collection[str]]) -> Refusal | None:
    """The role by the command, the person by `people`: who may act in a role here; in one that is left out, anybody."""
    if refusal := role_may(command):
        return refusal
    role, id_ = command.actor.role, command.actor.id
    return not_the(role) if role in people and id_ not in people[role] else None


def not_the(role: Role) -> Refusal:
    return Refusal("not_allowed", f"You are not the {role} of this order.")


def no_offer(offer_id: int) -> Refusal:
    return Refusal("not_found", f"There is no offer {offer_id}.")


def too_late(lost_at: datetime) -> Refusal:
    """The act's own clock has run out, whatever the state is by now."""
    return Refusal("too_late", "The time for this is over.", {"lost_at": rfc3339(lost_at)})


def amount_exceeds(max_minor: int) -> Refusal:
    """Of what cost nothing no money comes back (R76)."""
    message = "This is more than can be claimed." if max_minor else "This cost nothing: it can only be replaced."
    return Refusal("amount_exceeds", message, {"max_minor": max_minor})


def beyond_claim(terms: Terms, claimed_minor: int) -> Refusal | None:
    """Terms name their money, up to what is claimed (R13); a replacement names none only of what cost nothing (R76)."""
    if claimed_minor and terms.kind == "replacement" and not terms.refund_minor:
        return Refusal("invalid", "A replacement names what is refunded if nothing is sent.")
    return amount_exceeds(claimed_minor) if terms.refund_minor > claimed_minor else None


def offer_superseded(current: Offer | None) -> Refusal:
    """Nothing moves on terms that are not exactly those on the table (R21)."""
    offer = current.model_dump(mode="json") if current else None
    return Refusal("offer_superseded", "This is not the open offer of the other side.", {"offer": offer})


def consequence_changed(message: str, actual: str, **details: str) -> Refusal:
    """He expects another consequence than this act would have now (R29)."""
    return Refusal("consequence_changed", message, {"actual": actual, **details})


def paid_to_the_seller(**details: str) -> Refusal:
    """He gives up and expects to keep his rights (R29)."""
    return consequence_changed("Cancelling now pays the seller in full, for good.", "released_to_seller", **details)


NOT_WITHOUT_SETTLING = consequence_changed("Accepting settles the dispute on these terms.", "settled_on_offer")
