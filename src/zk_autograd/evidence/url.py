"""Addresses of runs: which URLs are taken, and whom they lead to.

    https://HOST/PATH/   a run's folder: each public file lies below it, under its path in the run
    https://HOST/PATH    a bundle

http:// leads to this machine alone, and only if that is what is written: localhost, 127.0.0.0/8 or
[::1], not a name that happens to resolve there. A user name, a password, a query and a fragment are
refused, and not repeated, because they may be secret. So is a path with ".", ".." or a character
that RFC 3986 doesn't have in a path: what is asked for is what was written, to the byte.
"""

import ipaddress
import re
from dataclasses import dataclass, replace

from zk_autograd.core.errors import UsageError
from zk_autograd.core.text import quoted

MAX_URL = 2000
"""Characters of a URL. Servers refuse longer ones."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_PATH = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*")
_PORTS = {"https": 443, "http": 80}
_LOCALHOST = ("127.0.0.1", "::1")
_LOOPBACK_4, _LOOPBACK_6 = ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_address("::1")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a run lies. `host` has no brackets; `path` begins with a slash; `loopback` are the only
    addresses that may be connected to, empty where the host's name decides."""

    scheme: str
    host: str
    port: int
    path: str
    loopback: tuple[str, ...] = ()

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder's: those of bundles have no slash at their end."""
        return self.path.endswith("/")

    @property
    def origin(self) -> str:
        """Scheme, host, and port where it isn't the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == _PORTS[self.scheme] else f":{self.port}")

    def __str__(self) -> str:
        return self.origin + self.path


def is_url(text: str) -> bool:
    """Whether it begins as URLs do. A local path that does can be written as ./ and itself."""
    return _SCHEME.match(text) is not None


def parse_url(text: str) -> Address:
    """The address that a URL writes. UsageError for one that isn't taken."""
    address = parse_service_url(text)
    return replace(address, loopback=_loopback(address.host)) if address.scheme == "http" else address


def parse_service_url(text: str) -> Address:
    """The address of a service whose answers are signed, so that http:// to any host will do.
    UsageError for one that isn't taken."""
    scheme, _, rest = text.partition("://")
    scheme = scheme.lower()
    if scheme not in _PORTS:
        raise UsageError(f"a run is read from https:// (or http:// on this machine), not from {quoted(scheme)}://")
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        raise UsageError("the URL holds a user name or a password: give it without; zk-verify sends none")
    if "?" in text or "#" in text:
        raise UsageError(
            "the URL has a query or a fragment, and the files of a run have none: give it without, or fetch a bundle and give that file"
        )
    if len(text) > MAX_URL:
        raise UsageError(f"the URL has {len(text)} characters, and at most {MAX_URL} are taken")
    path = slash + path or "/"
    if not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise UsageError(
            f"the URL's path, {quoted(path)}, has a part . or .., or a character that is written as % and two digits in a URL"
        )
    host, port = _authority(authority, scheme)
    return Address(scheme, host, port, path)


def _authority(authority: str, scheme: str) -> tuple[str, int]:
    """Host and port."""
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]*)(?::([0-9]{1,5}))?", authority)
    host = match[1].lower() if match else ""
    port = int(match[2]) if match and match[2] else _PORTS[scheme]
    if not 1 <= port <= 65535 or not _is_host(host):
        raise UsageError(
            f"{quoted(authority)} in the URL is not a host and a port: a name of ASCII characters (xn-- for others), an IPv4 address or an "
            "IPv6 address in brackets; a port is 1 to 65535"
        )
    return host.strip("[]"), port


def _is_host(host: str) -> bool:
    if host.startswith("["):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            return False
        return True
    return len(host) <= 253 and _HOST.fullmatch(host) is not None


def _loopback(host: str) -> tuple[str, ...]:
    if host == "localhost":
        return _LOCALHOST
    # Not `is_loopback`: what it says of IPv4 in IPv6 depends on Python's version.
    if (address := _literal(host)) and (address in _LOOPBACK_4 or address == _LOOPBACK_6):
        return (str(address),)
    raise UsageError(
        f"http:// is taken for this machine alone (localhost, 127.0.0.0/8, [::1]), not for {quoted(host)}: give its https:// address"
    )


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
