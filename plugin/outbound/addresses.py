"""Which places may be called: an origin as it is written, and an address in the moment it is dialled."""

from __future__ import annotations

import re
import socket
from collections.abc import Collection
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final
from urllib.parse import urlsplit

from plugin.domain.survey_call import origin_of

# Listed here and not asked of `ipaddress.is_global`, whose answer differs between Python releases and is "yes" for
# multicast. https://www.iana.org/assignments/iana-ipv4-special-registry
_NOT_PUBLIC_IPV4: Final = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared by the customers of one provider
        "127.0.0.0/8",
        "168.63.129.16/32",  # public by number, but on Azure the host's own agent
        "169.254.0.0/16",  # link-local, where clouds keep their metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)

# https://www.iana.org/assignments/ipv6-unicast-address-assignments
_IPV6_UNICAST: Final = IPv6Network("2000::/3")
# https://www.iana.org/assignments/iana-ipv6-special-registry
_NOT_PUBLIC_IPV6: Final = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # Teredo among others: the way ends at an IPv4 address of the sender's choice
        "2001:db8::/32",
        "2002::/16",  # 6to4, for the same reason
        "3fff::/20",
    )
)
# In a network without IPv4, DNS64 gives every IPv4-only vendor such an address (RFC 6052).
_NAT64: Final = IPv6Network("64:ff9b::/96")

_LOCAL_NAMES: Final = ("localhost", "localdomain", "local", "internal", "home.arpa")

_HOST_NAME: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")


def is_public(address: str) -> bool:
    """Whether `address`, a number as the resolver gives it, lies in the public internet.

    IPv4 inside IPv6 (mapped, NAT64) counts as what it leads to. A zone (`fe80::1%eth0`) is never public.
    """
    if ":" not in address:
        return _is_public_ipv4(IPv4Address(address))
    number = IPv6Address(address)
    if number.scope_id is not None:
        return False
    if number.ipv4_mapped is not None:
        return _is_public_ipv4(number.ipv4_mapped)
    if number in _NAT64:
        return _is_public_ipv4(IPv4Address(int(number) & 0xFFFF_FFFF))
    return number in _IPV6_UNICAST and not any(number in network for network in _NOT_PUBLIC_IPV6)


def _is_public_ipv4(number: IPv4Address) -> bool:
    return not any(number in network for network in _NOT_PUBLIC_IPV4)


def origin_problem(origin: str, allowed_origins: Collection[str] | None, extra_origins: Collection[str]) -> str | None:
    """Why `origin` may not be called, as one sentence, or None when it may. Looks up no name.

    origin: scheme, host and optional port, as `origin_of` writes it.
    allowed_origins: the vendor's own origins; None when any public https address will do.
    extra_origins: origins allowed by the operator for every vendor; they may be http and private.
    """
    try:
        written = origin_of(origin)
    except ValueError:
        return "It must be an address like https://www.example.com."
    if written != origin:
        return f"It must be written as {written}, with nothing before or after."
    if origin in extra_origins:
        return None
    if allowed_origins is not None and origin not in allowed_origins:
        return "It is not an address of this vendor, nor one that the operator has added (EXTRA_VENDOR_ORIGINS)."
    return _public_problem(origin)


def _public_problem(origin: str) -> str | None:
    parts = urlsplit(origin)
    host = parts.hostname or ""
    if parts.scheme != "https":
        return "It must begin with https://."
    number = _literal_address(host)
    if number is not None:
        return None if is_public(number) else "It is not a public address."
    if not _HOST_NAME.fullmatch(host):
        return "Its host name is not valid; write international names in their xn-- form."
    if "." not in host or any(host.endswith(f".{name}") for name in _LOCAL_NAMES):
        return "It is a name of a local network, not a public address."
    return None


def _literal_address(host: str) -> str | None:
    """The number that `host` is, when it is one; `2130706433` and `0x7f.1` count, since resolvers take them too."""
    if ":" in host:
        try:
            IPv6Address(host)
        except AddressValueError:
            return None
        return host
    if not re.fullmatch(r"[0-9a-fx.]+", host):
        return None
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return None
