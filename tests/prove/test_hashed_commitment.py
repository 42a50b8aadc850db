"""The commitments of the backend `none`."""

import tracemalloc
from hashlib import sha256

import numpy as np
import pytest
from numpy.typing import NDArray

from zk_autograd.prove.hashed.commitment import commit

SALT = bytes(range(32))


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 5), (2**16,), (3, 2**15 + 1)])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_a_commitment_is_the_hash_of_domain_salt_count_and_values(shape: tuple[int, ...], dtype: type) -> None:
    drawn: NDArray[np.int64] = np.random.default_rng(0).integers(-(2**31), 2**31, shape)
    values: NDArray[np.signedinteger] = np.asarray(drawn).astype(dtype)
    whole = b"zk-autograd/vector/v0\n" + SALT + values.size.to_bytes(8, "big") + values.astype("<i8").tobytes()
    assert commit(values, SALT) == sha256(whole).digest()
    assert commit(values.T, SALT) == commit(np.ascontiguousarray(values.T), SALT)


def test_it_takes_no_memory_of_the_values_size() -> None:
    """A hostile run's segment may have 2^28 of them, nearly all padding."""
    values = np.zeros((64, 2**16), np.int32)
    tracemalloc.start()
    commit(values, SALT)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < values.nbytes / 8
