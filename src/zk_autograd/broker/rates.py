"""How often somebody may ask: a bucket for each name, which fills at an even pace."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

MOST = 10_000
"""Names that are remembered. The one that asked longest ago is forgotten first."""

_IPV6_PREFIX = 8
"""Bytes of an address that one subscriber can't choose."""


class Rates:
    """At most `per_minute` requests of each name, which may come at once; it may be used by several
    threads."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = float(per_minute)
        self._clock = clock
        self._lock = threading.Lock()
        self._left: OrderedDict[object, tuple[float, float]] = OrderedDict()

    def wait(self, name: object) -> float:
        """0.0, and the request counts; or in how many seconds the next one will be let through."""
        with self._lock:
            now = self._clock()
            left, since = self._left.pop(name, (self._most, now))
            left = min(self._most, left + (now - since) * self._most / 60)
            waiting = left < 1
            self._left[name] = (left if waiting else left - 1, now)
            if len(self._left) > MOST:
                self._left.popitem(last=False)
            return (1 - left) * 60 / self._most if waiting else 0.0


def subscriber(host: str) -> object:
    """Who is counted as one: an address, of IPv6 its network of 64 bits."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host[:100]
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return address.packed[:_IPV6_PREFIX]
    return str(address.ipv4_mapped if isinstance(address, IPv6Address) else address)
