"""A policy whose days are seconds, so that one can watch it."""

import yaml

from schemas.policy import Duration, Policy


def scaled(policy: Policy) -> Policy:
    """The same rules under another name, every day and business day a second long; begun days of hours count whole."""
    windows = {key: value for key in Policy.model_fields if isinstance(value := getattr(policy, key), Duration)}
    faster = {key: Duration(n=_seconds(window), unit="seconds") for key, window in windows.items()}
    return policy.model_copy(update={"name": f"{policy.name}-scaled"} | faster)


def _seconds(window: Duration) -> int:
    return -(-window.n // 24) if window.unit == "hours" else window.n


def published(policy: Policy) -> tuple[str, bytes]:
    """Its file: name and content."""
    content = yaml.safe_dump(policy.model_dump(mode="json"), sort_keys=False)
    return f"{policy.name}.{policy.version}.yaml", content.encode()
