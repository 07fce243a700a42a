"""Which machines may be spoken to. A name that somebody set can come to mean another machine: one of ours."""

import asyncio
import socket
from collections.abc import Iterable
from concurrent.futures import Executor
from functools import partial
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any

import httpcore

SPECIAL = tuple(
    ip_network(words[0])
    for line in Path(__file__).with_name("special_addresses.txt").read_text().splitlines()
    if (words := line.partition("#")[0].split())
)
UNICAST = IPv6Network("2000::/3")
"""All of IPv6 that is given out to machines; site-local and IPv4-compatible addresses, for two, lie elsewhere."""
NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether it is a machine out there; an address that carries IPv4 ones is where those are."""
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    within = _within(found) if isinstance(found, IPv6Address) else [found]
    if within:
        return not any(one in special for one in within for special in SPECIAL)
    return found in UNICAST and not any(found in special for special in SPECIAL)


def _within(address: IPv6Address) -> list[IPv4Address]:
    if address in NAT64:
        return [IPv4Address(int(address) & 0xFFFF_FFFF)]
    return [one for one in (address.ipv4_mapped, address.sixtofour, *(address.teredo or ())) if one is not None]


class NotPublic(Exception):
    """A name that stands for a machine we do not speak to."""


class Network(httpcore.AsyncNetworkBackend):
    """Connects to the very address that was looked at: a second look-up could answer differently. `names`: the threads
    in which names are looked up; without them those that all share."""

    def __init__(self, allow_private: bool, names: Executor | None = None) -> None:
        self._backend = httpcore.AnyIOBackend()
        self._allow_private, self._names = allow_private, names

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._names, look_up)
        except UnicodeError:
            raise NotPublic from None  # no name of the public net has an empty or an overlong part
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
