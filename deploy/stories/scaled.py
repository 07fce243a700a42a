"""A policy whose days are seconds, so that one can watch it."""

import yaml

from schemas.policy import Duration, Policy

KEPT = "payment_window"
"""How soon the payment service answers is no matter of days, and nobody watches for it: a busy machine may take more
than a second, and the order would be cancelled."""


def scaled(policy: Policy) -> Policy:
    """The same rules under a name of this version alone, every day and business day a second long, but for the time to
    be paid in; begun days of hours count whole."""
    keys = Policy.model_fields.keys() - {KEPT}
    windows = {key: value for key in keys if isinstance(value := getattr(policy, key), Duration)}
    faster = {key: Duration(n=_seconds(window), unit="seconds") for key, window in windows.items()}
    return policy.model_copy(update={"name": f"{policy.name}-{policy.version}-scaled"} | faster)


def _seconds(window: Duration) -> int:
    return -(-window.n // 24) if window.unit == "hours" else window.n


def published(policy: Policy) -> tuple[str, bytes]:
    """Its file: name and content."""
    content = yaml.safe_dump(policy.model_dump(mode="json"), sort_keys=False)
    return f"{policy.name}.{policy.version}.yaml", content.encode()
