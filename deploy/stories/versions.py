"""Which policies are played and compared: `aliexpress` is the newest version of that name, `aliexpress.1` that one."""

from schemas.policy import Policy
from shared.kernel.policies import Policies

USUAL = "aliexpress"
"""What another name is compared with, unless somebody says otherwise."""


class CannotCompare(Exception):
    """There is no such policy, or nothing to compare it with; in a sentence."""


def called(policy: Policy) -> str:
    return f"{policy.name}.{policy.version}"


def chosen(asked: str, known: Policies) -> Policy:
    """Raises CannotCompare."""
    everything = {called(policy): policy for policy in known.by_ref.values()}
    newest = known.newest(asked)
    found = newest[1] if newest is not None else everything.get(asked)
    if found is None:
        raise CannotCompare(f"There is no policy {asked}; there are {', '.join(sorted(everything))}.")
    return found


def compared_with(asked: str, against: str | None, known: Policies) -> Policy:
    """What `against` says; else of the usual name, and of a version that is named, the version before it; of another
    name, or where there is none before it, the newest of the usual name. Raises CannotCompare."""
    ours = chosen(asked, known)
    if against is not None:
        other = chosen(against, known)
    else:
        by_version = asked != ours.name or ours.name == USUAL
        other = (_before(ours, known) if by_version else None) or chosen(USUAL, known)
    if other == ours:
        raise CannotCompare(f"{called(ours)} would be compared with itself; say with what else (AGAINST=name.version).")
    return other


def _before(policy: Policy, known: Policies) -> Policy | None:
    lower = (one for one in known.by_ref.values() if one.name == policy.name and one.version < policy.version)
    return max(lower, key=lambda one: one.version, default=None)
