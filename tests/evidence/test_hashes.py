"""hashes.json: defined to the byte, each hash of its own domain, and read strictly."""

import json
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.records import Data, Exact
from zk_autograd.evidence.hashes import Hashes, config_hash, data_hash, weights_hash

DATA = Data(bytes(range(32)), 1437, "philox-permutation/v0", 64, bytes(range(32, 64)))
WEIGHTS = np.array([-1, 2**40, 0], np.int64)


def digest(name: str, content: bytes) -> bytes:
    return sha256(f"zk-autograd/hash/{name}/v0\n".encode() + content).digest()


def test_each_hash_is_what_the_format_says() -> None:
    hashes = Hashes.of(b"steps = 3\n", DATA, b"{}", weights_hash(WEIGHTS))
    data = b'{"batch_size":64,"count":1437,"root":"%s","sampler":"philox-permutation/v0","seed":"%s"}' % (
        DATA.root.hex().encode(),
        DATA.seed.hex().encode(),
    )
    config, environment = digest("config", b"steps = 3\n"), digest("environment", b"{}")
    assert hashes.config == config
    assert hashes.data == digest("data", data)
    assert hashes.environment == environment
    seed = (32).to_bytes(8, "big") + DATA.seed
    assert hashes.reproducibility == digest("reproducibility", config + digest("data", data) + environment + seed)
    assert hashes.weights == digest("weights", b"".join(int(w).to_bytes(8, "little", signed=True) for w in WEIGHTS))


def test_what_is_not_there_is_left_out() -> None:
    hashes = Hashes.of(None, replace(DATA, seed=b""), b"{}", None)
    assert set(hashes.named()) == {"data", "environment", "reproducibility"}
    parts = bytes(32) + data_hash(replace(DATA, seed=b"")) + digest("environment", b"{}") + bytes(8)
    assert hashes.reproducibility == digest("reproducibility", parts)


@pytest.mark.parametrize("config", [b"", None])
@pytest.mark.parametrize("weights", [weights_hash(WEIGHTS), None])
def test_what_is_written_is_read(config: bytes | None, weights: bytes | None) -> None:
    hashes = Hashes.of(config, DATA, b"{}", weights)
    assert Hashes.parse(hashes.encode()) == hashes
    assert hashes.encode() == json.dumps(json.loads(hashes.encode()), sort_keys=True, separators=(",", ":")).encode()


def test_reproducibility_changes_with_all_that_it_is_over() -> None:
    base = Hashes.of(b"c", DATA, b"e", None)
    others = (
        Hashes.of(b"C", DATA, b"e", None),
        Hashes.of(None, DATA, b"e", None),
        Hashes.of(b"c", replace(DATA, root=bytes(32)), b"e", None),
        Hashes.of(b"c", replace(DATA, seed=bytes(32)), b"e", None),
        Hashes.of(b"c", DATA, b"E", None),
    )
    assert len({h.reproducibility for h in (base, *others)}) == 6
    assert Hashes.of(b"c", DATA, b"e", bytes(32)).reproducibility == base.reproducibility


def test_a_hash_of_one_kind_is_none_of_another() -> None:
    assert config_hash(b"") != weights_hash(np.zeros(0, np.int64))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"hashes/v0", b"hashes/v9", r"hashes.json.format"),
        (b'"data":', b'"date":', "hashes.json.data is missing"),
        (b'{"config"', b'{"aonfig"', "has unknown fields"),
        (b'"data":"', b'"data": "', "not canonical"),
        (b'"data":"', b'"data":"0', "is invalid"),
    ],
)
def test_anything_else_is_refused(old: bytes, new: bytes, message: str) -> None:
    with pytest.raises(VerificationError, match=message):
        Hashes.parse(Hashes.of(b"c", DATA, b"e", None).encode().replace(old, new))


def test_exact_gradients_are_in_the_hash_of_the_data() -> None:
    """Data that are committed to by shards have no root, and the seed stands in clear."""
    data, exact = (
        replace(DATA, root=b"", sampler="order/v1", seed=b""),
        Exact(bytes(32), 6, 65, 17, "private", (), b"", 7),
    )
    content = (
        b'{"batch_size":64,"count":1437,"exact":{"cells":"","graph":"%s","log_batch":6,"log_cells":17,"seed":"7",'
        b'"shards":[],"stride":65,"visibility":"private"},"root":"","sampler":"order/v1","seed":""}' % (b"00" * 32)
    )
    hashes = Hashes.of(None, data, b"e", None, exact)
    assert hashes.data == digest("data", content)
    parts = bytes(32) + hashes.data + digest("environment", b"e") + bytes(8)
    assert hashes.reproducibility == digest("reproducibility", parts)
    for other in (None, replace(exact, seed=8), replace(exact, shards=(bytes(56),))):
        assert Hashes.of(None, data, b"e", None, other).data != hashes.data
