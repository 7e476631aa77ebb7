"""Where a webhook may be sent: to hosts of the public internet, and never into the network that voxgov itself stands in.

An address is judged twice. As written, before it is kept (`parse`): one spelling of a host, so that no two programs read it
differently. And by what its name resolves to, before every delivery (`resolve`): each of the addresses must be public, and the
connection is then made to one of these very addresses, so that a name which is answered differently a moment later changes
nothing. Making the connection is `posting`. No Django here.
"""

import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from audit.errors import AddressRefused

MAX_URL: Final = 2000
MAX_ADDRESSES: Final = 16
"""A name with more has no honest use for them here."""

Address = IPv4Address | IPv6Address
Resolver = Callable[[str, int], Sequence[str]]
"""Every address that a name resolves to, as text. Raises `OSError`."""

_NOT_PUBLIC_4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # "this network", RFC 791
            "10.0.0.0/8",  # private, RFC 1918
            "100.64.0.0/10",  # behind a carrier's NAT, RFC 6598
            "127.0.0.0/8",  # loopback, RFC 1122
            "168.63.129.16/32",  # Azure's host, from inside every virtual machine there
            "169.254.0.0/16",  # link-local, RFC 3927; the metadata of most clouds
            "172.16.0.0/12",  # private, RFC 1918
            "192.0.0.0/24",  # protocol assignments, RFC 6890
            "192.0.2.0/24",  # documentation, RFC 5737
            "192.88.99.0/24",  # 6to4 relays, RFC 7526
            "192.168.0.0/16",  # private, RFC 1918
            "198.18.0.0/15",  # benchmarking, RFC 2544
            "198.51.100.0/24",  # documentation, RFC 5737
            "203.0.113.0/24",  # documentation, RFC 5737
            "224.0.0.0/4",  # multicast, RFC 5771
            "240.0.0.0/4",  # reserved, RFC 1112, and broadcast
        ),
    )
)
"""The IANA registry of special-purpose addresses, as far as nobody out there answers. Written out, because what the standard
library calls global differs between patch releases of one Python."""
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
"""RFC 4291, section 2.4: the rest is loopback, mapped or compatible IPv4, link-local, unique local, multicast or unassigned."""
_NOT_PUBLIC_6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments, RFC 2928: Teredo, benchmarking, ORCHID
            "2001:db8::/32",  # documentation, RFC 3849
            "2002::/16",  # 6to4, RFC 3056: wraps any IPv4 address, and no server is reached through it
            "3fff::/20",  # documentation, RFC 9637
        ),
    )
)
_NAT64: Final = IPv6Network("64:ff9b::/96")
"""RFC 6052: how a network with IPv6 alone sees an IPv4 address, which is what counts then."""

_VISIBLE: Final = re.compile(r"[\x21-\x5b\x5d-\x7e]+")
"""ASCII that shows, the backslash aside: programs differ on what that means in a URL."""
_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?", re.IGNORECASE
)
_AUTHORITY: Final = re.compile(r"(?:\[(?P<bracketed>[^\[\]]*)\]|(?P<name>[^\[\]:]+))(?::(?P<port>[0-9]{1,5}))?")
"""Our own reading of a URL (RFC 3986, section 3): the library's lets text after a bracketed address pass unseen."""
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A last label with which a host is a number to resolvers: `2130706433`, `0x7f.1`, `127.1`, `0177.0.0.1` (WHATWG URL, "ends in
a number")."""
_LOCAL: Final = frozenset(
    {"localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp", "onion", "alt"}
)
"""Last labels of names that never belong to the public internet, or that some networks answer for themselves."""
_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Target:
    """A judged URL. `host` is a lower-case name or the one spelling of an address, without brackets; `path` includes the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """As it stands in the `Host` header (RFC 9110, section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def literal(self) -> Address | None:
        """The host where it is an address and no name."""
        return _address(self.host)


def parse(url: str, *, loopback: bool = False) -> Target:
    """Judges a URL as it is written. `loopback` also lets plain HTTP to this machine through: for tests and trials only.

    Raises `AddressRefused` with a sentence that says what is wrong and repeats nothing of the URL.
    """
    if not url or len(url) > MAX_URL:
        raise AddressRefused(f"the URL must have 1 to {MAX_URL} characters")
    if not _VISIBLE.fullmatch(url):
        raise AddressRefused("the URL may hold visible ASCII characters only, and no backslash")
    parts = _URL.fullmatch(url)
    if parts is None:
        raise AddressRefused("the URL must be https://host/path, without a fragment")
    authority = parts["authority"].lower()
    if "@" in authority:
        raise AddressRefused("the URL must hold no user and no password")
    written = _AUTHORITY.fullmatch(authority)
    if written is None:
        raise AddressRefused("the URL must name a host, and a port that is a number where it is not the usual one")
    host = _host(written["bracketed"], written["name"], loopback=loopback)
    scheme = parts["scheme"].lower()
    if scheme != "https" and not (loopback and _is_this_machine(host)):
        raise AddressRefused("the URL must begin with https://")
    port = _PORTS[scheme] if written["port"] is None else int(written["port"])
    if not 1 <= port <= 65535:
        raise AddressRefused("the port must be a number from 1 to 65535")
    return Target(scheme, host, port, (parts["path"] or "/") + (parts["query"] or ""))


def resolve(target: Target, resolver: Resolver, *, loopback: bool = False) -> tuple[Address, ...]:
    """The addresses that the target may be reached at now; one that is not public refuses them all.

    Raises `AddressRefused`, also when the name does not resolve: whether a name of our own network exists is nobody's business.
    """
    literal = target.literal
    if literal is not None:
        found: tuple[Address, ...] = (literal,)
    else:
        try:
            found = tuple(dict.fromkeys(ip_address(text) for text in resolver(target.host, target.port)))
        except (OSError, ValueError):
            found = ()
    permitted = [(loopback and one.is_loopback) or (target.scheme == "https" and is_public(one)) for one in found]
    if not found or len(found) > MAX_ADDRESSES or not all(permitted):
        raise AddressRefused("the host has no address, or one that is not public")
    return found


def is_public(address: Address) -> bool:
    """Whether a packet to this address leaves for the public internet."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
    return address in _GLOBAL_UNICAST and not any(address in network for network in _NOT_PUBLIC_6)


def from_system(host: str, port: int) -> list[str]:
    """What this machine's resolver answers. It cannot be interrupted: the caller bounds the wait."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _host(bracketed: str | None, name: str | None, *, loopback: bool) -> str:
    if name is None:
        return _literal(bracketed if bracketed and ":" in bracketed else "", loopback=loopback)
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _literal(name, loopback=loopback)
    if loopback and name == "localhost":
        return name
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressRefused("the host is no name of the internet: letters, digits and hyphens, in ASCII (xn--...)")
    if len(labels) < 2 or labels[-1] in _LOCAL or labels[-2:] == ["home", "arpa"]:
        raise AddressRefused("the host is a name of a local network")
    return name


def _literal(host: str, *, loopback: bool) -> str:
    address = _address(host)
    if address is None:
        raise AddressRefused("the host is an address in an unusual form: write four decimal numbers, or [IPv6]")
    if not (is_public(address) or (loopback and address.is_loopback)):
        raise AddressRefused("the host is an address that is not public")
    return str(address)


def _address(host: str) -> Address | None:
    """None for a name, and for an address with a zone, a leading zero, or in any form but the usual one."""
    try:
        return IPv6Address(host) if ":" in host and "%" not in host else IPv4Address(host)
    except AddressValueError:
        return None


def _is_this_machine(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)
