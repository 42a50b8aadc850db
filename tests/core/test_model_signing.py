"""The root digest: in order of name, whatever the order given."""

import hashlib
from itertools import permutations

from zk_autograd.core.model_signing import root_digest

FILES = [("b", bytes([2]) * 32), ("a-c", bytes([1]) * 32), ("a.b", bytes([3]) * 32)]


def test_the_root_is_over_the_digests_by_name() -> None:
    expected = hashlib.sha256(bytes([1]) * 32 + bytes([3]) * 32 + bytes([2]) * 32).digest()
    assert {root_digest(order) for order in permutations(FILES)} == {expected}
    assert root_digest([]) == hashlib.sha256(b"").digest()
