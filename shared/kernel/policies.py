"""The policies that a decision is handed: every published one, by its exact version and by name (§9)."""

from dataclasses import dataclass

from schemas.common import PolicyRef
from schemas.policy import Policy


class PolicyMissing(Exception):
    """An order lives under a policy whose file is not here: it waits for it, alone (§9)."""


@dataclass(frozen=True)
class Policies:
    by_ref: dict[PolicyRef, Policy]

    def newest(self, name: str) -> tuple[PolicyRef, Policy] | None:
        """The version an order placed now will keep for life; None for a name nobody published."""
        return max(
            ((ref, policy) for ref, policy in self.by_ref.items() if ref.name == name),
            key=lambda pair: pair[0].version,
            default=None,
        )

    def of(self, ref: PolicyRef) -> Policy:
        """Raises PolicyMissing."""
        try:
            return self.by_ref[ref]
        except KeyError:
            raise PolicyMissing(f"policy {ref.name} version {ref.version} ({ref.hash[:12]})") from None
