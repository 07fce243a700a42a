"""Policies that are not published: read, and set beside others."""

from dataclasses import dataclass

from schemas.common import PolicyRef
from schemas.policy import Policy
from services.casefile.laboratory.laboratory_shapes import DiffersKey, DraftFault
from shared.kernel.policies import Policies
from shared.rules import policies

ABOUT = ("name", "version")
"""How a policy is called, which is no rule."""


@dataclass(frozen=True)
class Draft:
    """A policy that need not be published. Its name and version may be a published one's."""

    policy: Policy
    content: bytes

    @property
    def called(self) -> str:
        return f"{self.policy.name}.{self.policy.version}"

    def instead_of(self, ref: PolicyRef, known: Policies) -> Policies:
        """All that is known, but that who orders under the name of `ref` gets the draft."""
        its_own = policies.reference(self.policy, self.content).model_copy(update={"name": ref.name})
        return Policies({**without(ref.name, known), its_own: self.policy})


def draft(text: bytes) -> Draft | list[DraftFault]:
    """The YAML of a policy; or all that is wrong with it."""
    policy, faults = policies.examined(text)
    if policy is None:
        return [DraftFault(sentence=str(one), key=one.key or None, line=one.line) for one in faults]
    return Draft(policy, text)


def differing_keys(one: Policy, other: Policy) -> list[DiffersKey]:
    """Two versions side by side: what they say otherwise, in the rule book's order."""
    ours, theirs = one.model_dump(mode="json"), other.model_dump(mode="json")
    return [
        DiffersKey(key=key, about=model.description or "", one=ours[key], other=theirs[key])
        for key, model in Policy.model_fields.items()
        if ours[key] != theirs[key] and key not in ABOUT
    ]


def without(name: str, known: Policies) -> dict[PolicyRef, Policy]:
    return {ref: policy for ref, policy in known.by_ref.items() if ref.name != name}
