"""Which machines may be spoken to. A name that somebody set can come to mean another machine: one of ours."""

import asyncio
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import httpcore

NOT_PUBLIC = tuple(ip_network(net) for net in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16", "64:ff9b:1::/48"))
"""What not every version of Python knows for special; and a cloud's own service for its machines."""
NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether it is a machine out there, also when an IPv4 address is written within an IPv6 one."""
    found: IPv4Address | IPv6Address = ip_address(address)
    if isinstance(found, IPv6Address):
        within = found.ipv4_mapped or found.sixtofour
        if within is None and found in NAT64:
            within = IPv4Address(int(found) & 0xFFFF_FFFF)
        found = within or found
    special = found.is_multicast or found.is_reserved or any(found in network for network in NOT_PUBLIC)
    return found.is_global and not special


class NotPublic(Exception):
    """A name that stands for a machine we do not speak to."""


class Network(httpcore.AsyncNetworkBackend):
    """Connects to the very address that was looked at: a second look-up could answer differently."""

    def __init__(self, allow_private: bool) -> None:
        self._backend = httpcore.AnyIOBackend()
        self._allow_private = allow_private

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=1)
        addresses = list(dict.fromkeys(str(where[0]) for *_, where in found))
        if not self._allow_private and not all(map(is_public, addresses)):
            raise NotPublic
        for address in addresses[:-1]:
            try:
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._backend.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
