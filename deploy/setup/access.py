"""Who may do what on the broker, derived from who writes and reads each topic (`schemas.topics`).

Nobody may have a transactional id: a transaction that an outsider leaves open would hold up our services, which read
what is committed. What is not granted here is granted to nobody.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from deploy.setup.broker import answers
from deploy.setup.job import Drift, Kind, SetUpFailed
from schemas.topics import OUTSIDERS, PROCESSES, SERVICES_WRITE, Topic, consumer_group

PRINCIPALS = (*PROCESSES, *OUTSIDERS)
SCRAM_ITERATIONS = 4096
KNOWN_SECONDS = 30

READ, WRITE = AclOperation.READ, AclOperation.WRITE  # either includes DESCRIBE
DESCRIBE, DESCRIBE_CONFIGS = AclOperation.DESCRIBE, AclOperation.DESCRIBE_CONFIGS
TOPIC, GROUP, TRANSACTIONAL_ID = ResourceType.TOPIC, ResourceType.GROUP, ResourceType.TRANSACTIONAL_ID
CLUSTER = ResourceType.BROKER
"""In librdkafka's words."""
LITERAL, PREFIXED = ResourcePatternType.LITERAL, ResourcePatternType.PREFIXED
WORDS = {TOPIC: "topic", GROUP: "group", CLUSTER: "cluster", TRANSACTIONAL_ID: "transactional id"}

GROUPS_OF_THEIR_OWN = {"gateway": ("gateway",), "operator": ("operator", "console-consumer-")}
"""By what the names of their consumer groups begin; the latter is what Kafka's console consumer calls its groups."""
INSPECTORS = frozenset({*PROCESSES, "operator"})
"""Who looks at the settings of the topics he reads or writes: services do before they start."""


def grants(topics: Iterable[Topic], prefix: str) -> set[AclBinding]:
    """All that is allowed on these topics, whose names begin with `prefix`, and on the groups of who reads them."""
    allowed = {
        _may("operator", DESCRIBE, GROUP, "*"),  # how far behind each group is
        _may("operator", DESCRIBE, CLUSTER, "kafka-cluster"),  # and which groups there are
        *(_may(service, READ, GROUP, group) for service, group in _groups(prefix).items()),
    }
    for who, beginnings in GROUPS_OF_THEIR_OWN.items():
        allowed |= {_may(who, READ, GROUP, beginning, PREFIXED) for beginning in beginnings}
    for topic in topics:
        allowed |= {_may(who, WRITE, TOPIC, topic.name) for who in topic.writers}
        # Where only services write each looks back, too: at what it said last.
        look_back = topic.writers if topic.name.removeprefix(prefix) in SERVICES_WRITE else frozenset()
        allowed |= {_may(who, READ, TOPIC, topic.name) for who in topic.readers | look_back}
        everybody = topic.writers | topic.readers
        allowed |= {_may(who, DESCRIBE_CONFIGS, TOPIC, topic.name) for who in everybody & INSPECTORS}
    return allowed


async def set_up(
    admin: AdminClient, topics: Sequence[Topic], prefix: str, *, check: bool = False, prune: bool = False
) -> list[Drift]:
    """Grants what is declared and not granted yet. What somebody else granted on our topics and groups, or to ours on
    the cluster or on transactional ids, is reported; with `prune` it is taken back. With `check` nothing is changed."""
    declared, granted = grants(topics, prefix), await _granted(admin, topics, prefix)
    missing, undeclared = sorted(declared - granted), sorted(granted - declared)
    if check:
        findings = [Drift(Kind.DRIFT, f"{_said(binding)}: declared, not granted") for binding in missing]
    else:
        if missing:
            await answers(admin.create_acls(missing))
        findings = [Drift(Kind.DONE, f"granted: {_said(binding)}") for binding in missing]
    gone: set[AclBinding] = set()
    if prune and undeclared and not check:
        gone = set(undeclared)
        await answers(admin.delete_acls([exactly(binding) for binding in undeclared]))
        findings += [Drift(Kind.DONE, f"taken back: {_said(binding)}") for binding in undeclared]
    else:
        findings += [Drift(Kind.DRIFT, f"{_said(binding)}: not declared") for binding in undeclared]
    if not check:
        await until_known(admin, topics, prefix, there=declared, gone=gone)
    return findings or [Drift(Kind.AS_DECLARED, f"access: {len(declared)} grants as declared")]


async def until_known(
    admin: AdminClient, topics: Sequence[Topic], prefix: str, there: set[AclBinding], gone: set[AclBinding]
) -> None:
    """What the controller has taken down a broker hears of a moment later."""
    until = time.monotonic() + KNOWN_SECONDS
    while not there <= (granted := await _granted(admin, topics, prefix)) or gone & granted:
        if time.monotonic() > until:
            raise SetUpFailed(f"After {KNOWN_SECONDS} s the broker does not know of what was granted.")
        await asyncio.sleep(0.05)


async def set_passwords(admin: AdminClient, passwords: Mapping[str, str], *, check: bool = False) -> list[Drift]:
    """A SCRAM-SHA-512 credential for each principal. A password cannot be read back and compared, so it is set at every
    run: what `passwords` say now is the truth."""
    asked: Any = admin.describe_user_scram_credentials(list(passwords))
    found = await answers(asked, unless=KafkaError.RESOURCE_NOT_FOUND)
    mechanism = ScramMechanism.SCRAM_SHA_512
    known = {
        who for who, told in found.items() if mechanism in {info.mechanism for info in told.scram_credential_infos}
    }
    if check:
        return [
            Drift(Kind.AS_DECLARED, f"credential of {who}: there")
            if who in known
            else Drift(Kind.DRIFT, f"credential of {who}: missing")
            for who in passwords
        ]
    how = ScramCredentialInfo(mechanism, SCRAM_ITERATIONS)
    await answers(
        admin.alter_user_scram_credentials(
            [UserScramCredentialUpsertion(who, how, password.encode()) for who, password in passwords.items()]
        )
    )
    return [
        Drift(Kind.AS_DECLARED, f"credential of {who}: there, its password set again")
        if who in known
        else Drift(Kind.DONE, f"created credential of {who}")
        for who in passwords
    ]


async def _granted(admin: AdminClient, topics: Sequence[Topic], prefix: str) -> set[AclBinding]:
    """What concerns us of all that is granted or denied on this broker."""
    groups = {*_groups(prefix).values(), *(name for names in GROUPS_OF_THEIR_OWN.values() for name in names)}
    on_ours = [(TOPIC, topic.name) for topic in topics] + [(GROUP, name) for name in sorted(groups)]
    to_ours = {"User:*", *(f"User:{who}" for who in PRINCIPALS)}
    on_others = await _found(admin, [(CLUSTER, None), (TRANSACTIONAL_ID, None)])
    return await _found(admin, on_ours) | {binding for binding in on_others if binding.principal in to_ours}


async def _found(admin: AdminClient, things: Iterable[tuple[ResourceType, Any]]) -> set[AclBinding]:
    """What is said of these by their names, the beginnings of their names or `*`; of all of a kind, without a name."""
    anybody: Any = None
    asked = {
        f"access to {WORDS[kind]} {name or '*'}": AclBindingFilter(
            kind,
            name,
            ResourcePatternType.MATCH if name else ResourcePatternType.ANY,
            anybody,
            anybody,
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        for kind, name in things
    }
    found = await answers({thing: admin.describe_acls(which) for thing, which in asked.items()})
    return {binding for bindings in found.values() for binding in bindings}


def exactly(one: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        one.restype, one.name, one.resource_pattern_type, one.principal, one.host, one.operation, one.permission_type
    )


def _said(one: AclBinding) -> str:
    verb = "may" if one.permission_type is AclPermissionType.ALLOW else "may not"
    beginning = "…" if one.resource_pattern_type is PREFIXED else ""
    place = "" if one.host == "*" else f" from {one.host}"
    thing = f"{WORDS[ResourceType(one.restype)]} {one.name}{beginning}"
    return f"{one.principal} {verb} {AclOperation(one.operation).name} {thing}{place}"


def _may(
    who: str, operation: AclOperation, kind: ResourceType, name: str, pattern: ResourcePatternType = LITERAL
) -> AclBinding:
    return AclBinding(kind, name, pattern, f"User:{who}", "*", operation, AclPermissionType.ALLOW)


def _groups(prefix: str) -> dict[str, str]:
    """The consumer group of each service."""
    return {service: consumer_group(service, prefix) for service in PROCESSES}
