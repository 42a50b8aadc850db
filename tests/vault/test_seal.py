"""Sealed bytes: what was changed, cut, appended to or exchanged does not open."""

import io
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from zk_autograd.core.errors import StorageError, UsageError
from zk_autograd.vault.context import Context
from zk_autograd.vault.errors import VaultError
from zk_autograd.vault.seal import CHUNK, HEADER, TAG, Sealed, described, seal, sealed, sealed_size, unseal, unsealed

CONTEXT = Context("acme", "8c1f" * 8, 40, "checkpoint")
DEK = bytes(range(32))
STORED = CHUNK + TAG
SIZES = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5)


def message(size: int) -> bytes:
    """Bytes of which no two chunks are equal."""
    return b"".join(n.to_bytes(8, "big") for n in range(size // 8 + 1))[:size]


@pytest.mark.parametrize("size", SIZES)
def test_sealed_and_opened(tmp_path: Path, size: int) -> None:
    target, opened = tmp_path / "a.enc", tmp_path / "a"
    found = seal(io.BytesIO(message(size)), target, CONTEXT, DEK)
    data = target.read_bytes()
    assert found == described(data) and len(data) == sealed_size(size)
    with target.open("rb") as source:
        assert unseal(source, opened, CONTEXT, DEK, found) == size
    assert opened.read_bytes() == message(size) == unsealed(data, CONTEXT, DEK)
    assert opened.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "a.enc"]


def test_no_two_ciphertexts_are_alike() -> None:
    assert sealed(b"x" * 64, CONTEXT, DEK)[:HEADER] != sealed(b"x" * 64, CONTEXT, DEK)[:HEADER]


@pytest.mark.slow
def test_every_byte_of_header_and_chunks_counts() -> None:
    """First, middle and last chunk: a flipped bit would be a flipped weight."""
    data = sealed(message(2 * CHUNK + 100), CONTEXT, DEK)
    flipped = [*range(HEADER + 64), *range(HEADER + 64, len(data), 131), *range(HEADER + STORED - TAG, HEADER + STORED)]
    flipped += range(HEADER + 2 * STORED, len(data))
    for place in flipped:
        changed = bytearray(data)
        changed[place] ^= 1 << (place % 8)
        with pytest.raises(VaultError, match="does not open with its key"):
            unsealed(bytes(changed), CONTEXT, DEK)


def test_every_byte_of_a_short_message_counts() -> None:
    data = sealed(message(50), CONTEXT, DEK)
    for place in range(len(data)):
        for mask in (1, 0x80, 0xFF):
            changed = bytearray(data)
            changed[place] ^= mask
            with pytest.raises(VaultError, match="does not open with its key"):
                unsealed(bytes(changed), CONTEXT, DEK)


@pytest.mark.parametrize("size", SIZES)
def test_what_was_cut_does_not_open(size: int) -> None:
    """At each chunk, and beside it: a cut checkpoint must not pass for a smaller one."""
    data = sealed(message(size), CONTEXT, DEK)
    borders = [HEADER + n * STORED for n in range(size // CHUNK + 1)]
    cuts = {0, 1, 24, *(b + d for b in borders for d in (-1, 0, 1, TAG - 1, TAG, TAG + 1)), len(data) - 1}
    for cut in sorted(cut for cut in cuts if 0 <= cut < len(data)):
        with pytest.raises(VaultError, match=r"ends early|does not open with its key"):
            unsealed(data[:cut], CONTEXT, DEK)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("more", [b"\x00", bytes(TAG), bytes(STORED), bytes(STORED + TAG)])
def test_what_has_something_appended_does_not_open(size: int, more: bytes) -> None:
    """Others ignored bytes after a last chunk that was full: here no last chunk is."""
    with pytest.raises(VaultError, match=r"ends early|does not open with its key"):
        unsealed(sealed(message(size), CONTEXT, DEK) + more, CONTEXT, DEK)


def test_chunks_in_another_order_do_not_open() -> None:
    data = sealed(message(3 * CHUNK), CONTEXT, DEK)
    chunks = [data[HEADER + n * STORED : HEADER + (n + 1) * STORED] for n in range(3)]
    end = data[HEADER + 3 * STORED :]
    for order in permutations(range(3)):
        put = data[:HEADER] + b"".join(chunks[n] for n in order) + end
        if order == (0, 1, 2):
            assert unsealed(put, CONTEXT, DEK) == message(3 * CHUNK)
            continue
        with pytest.raises(VaultError, match="does not open with its key"):
            unsealed(put, CONTEXT, DEK)


def test_chunks_of_two_files_under_one_key_do_not_mix() -> None:
    one, other = sealed(message(CHUNK + 9), CONTEXT, DEK), sealed(message(CHUNK + 9), CONTEXT, DEK)
    for cut in (24, HEADER, HEADER + STORED):
        with pytest.raises(VaultError, match="does not open with its key"):
            unsealed(one[:cut] + other[cut:], CONTEXT, DEK)


@pytest.mark.parametrize(
    "change", [{"tenant": "acme2"}, {"run": "8c1e" * 8}, {"step": 4}, {"kind": "model"}, {"tenant": "enclave"}]
)
def test_opened_in_its_own_context_alone(change: dict[str, object]) -> None:
    """Even with the right key: a checkpoint of step 4 in the place of step 40's undoes training."""
    data = sealed(b"weights", CONTEXT, DEK)
    with pytest.raises(VaultError, match="another tenant, run, step or kind"):
        unsealed(data, replace(CONTEXT, **change), DEK)  # type: ignore[arg-type]


def test_contexts_that_run_together_are_told_apart() -> None:
    data = sealed(b"weights", Context("a", "bc", 1, "model"), DEK)
    for tenant, run in (("ab", "c"), ("abc", "1"), ("a", "b")):
        with pytest.raises(VaultError):
            unsealed(data, Context(tenant, run, 1, "model"), DEK)


def test_one_ciphertext_opens_under_one_key_alone() -> None:
    """With AES-GCM alone, two keys and a ciphertext that opens under both take a second to make
    (github.com/tink-crypto/tink/issues/648): two parties would open two models. Here the header
    commits to the key, and that of another key is refused before any chunk is looked at."""
    other = bytes(reversed(DEK))
    one, two = sealed(message(100), CONTEXT, DEK), sealed(message(100), CONTEXT, other)
    for data in (one, two[:24] + one[24:], one[:24] + two[24:HEADER] + one[HEADER:], two[:HEADER] + one[HEADER:]):
        opened = 0
        for key in (DEK, other):
            try:
                unsealed(data, CONTEXT, key)
                opened += 1
            except VaultError:
                pass
        assert opened == (1 if data == one else 0)


def test_a_gcm_ciphertext_for_two_keys_is_refused_by_the_commitment() -> None:
    """Made as the attack makes it: chunk 0 is a valid GCM ciphertext under both derived keys. The
    header can hold the commitment of one of them only."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    keys = [DEK, bytes(reversed(DEK))]
    salt = bytes(24)
    derived = [_derived(key, salt) for key in keys]
    chunk = _for_two_keys([(key, nonce) for key, nonce, _ in derived])
    for key, nonce, _ in derived:
        assert len(AESGCM(key).decrypt(nonce, chunk, None)) == len(chunk) - TAG  # GCM itself takes it
    for n, key in enumerate(keys):
        data = salt + derived[n][2] + chunk
        assert len(unsealed(data, CONTEXT, key)) == len(chunk) - TAG
        with pytest.raises(VaultError, match="does not open with its key"):
            unsealed(data, CONTEXT, keys[1 - n])


def _derived(key: bytes, salt: bytes) -> tuple[bytes, bytes, bytes]:
    """Key, base nonce and commitment, as the specification derives them: an independent peer."""
    from cryptography.hazmat.primitives.hashes import SHA512
    from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

    info = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00" + salt + bytes(CONTEXT)
    made = HKDFExpand(SHA512(), 76, info).derive(key)
    return made[:32], made[32:44], made[44:]


def _for_two_keys(keys: list[tuple[bytes, bytes]]) -> bytes:
    """Two blocks of ciphertext and a tag that GCM accepts under both keys: for a fixed tag and
    first block, the second block solves one linear equation in GF(2^128)."""
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES256
    from cryptography.hazmat.primitives.ciphers.modes import ECB

    def block(key: bytes, data: bytes) -> int:
        return int.from_bytes(Cipher(AES256(key), ECB()).encryptor().update(data), "big")

    # tag = c1 H^3 + c2 H^2 + L H + S. Equal for both keys: c2 is solved for.
    c1 = int.from_bytes(b"sixteen bytes..!", "big")
    length = 256
    (h1, s1), (h2, s2) = ((block(k, bytes(16)), block(k, n + b"\x00\x00\x00\x01")) for k, n in keys)

    def rest(h: int, s: int) -> int:
        return _times(c1, _times(h, _times(h, h))) ^ _times(length, h) ^ s

    c2 = _times(rest(h1, s1) ^ rest(h2, s2), _inverse(_times(h1, h1) ^ _times(h2, h2)))
    tag = rest(h1, s1) ^ _times(c2, _times(h1, h1))
    return b"".join(n.to_bytes(16, "big") for n in (c1, c2, tag))


def _times(a: int, b: int) -> int:
    """The product in GCM's field (NIST SP 800-38D section 6.3)."""
    product = 0
    for bit in range(127, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = (b >> 1) ^ (0xE1 << 120 if b & 1 else 0)
    return product


def _inverse(a: int) -> int:
    result, power = 1 << 127, a
    for _ in range(127):  # a^(2^128 - 2)
        power = _times(power, power)
        result = _times(result, power)
    return result


def test_the_format_is_the_specifications() -> None:
    """Opened by an independent reading of C2SP chunked-encryption."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    data = sealed(message(CHUNK + 77), CONTEXT, DEK)
    key, nonce, commitment = _derived(DEK, data[:24])
    assert commitment == data[24:HEADER]
    opened = b""
    for n, start in enumerate(range(HEADER, len(data), STORED)):
        number = (int.from_bytes(nonce, "big") ^ n).to_bytes(12, "big")
        opened += AESGCM(key).decrypt(number, data[start : start + STORED], None)
    assert opened == message(CHUNK + 77)


def _cut(data: bytes) -> bytes:
    return data[:-1]


def _flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("change", [_cut, _flipped])
def test_nothing_is_there_until_the_end_was_checked(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    """The first chunks are authentic, and many MB of them: none of it is left on the disk."""
    bad = change(sealed(message(40 * CHUNK + 3), CONTEXT, DEK))
    with pytest.raises(VaultError):
        unseal(io.BytesIO(bad), tmp_path / "opened", CONTEXT, DEK)
    assert list(tmp_path.iterdir()) == []


def test_no_name_before_the_end(tmp_path: Path) -> None:
    """Whoever looks while it is being opened sees no file of that name."""
    data = sealed(message(40 * CHUNK), CONTEXT, DEK)

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            assert not (tmp_path / "opened").exists()
            return super().read(size)

    unseal(Watched(data), tmp_path / "opened", CONTEXT, DEK)
    assert (tmp_path / "opened").exists()


_KILLED = """
import io, os, signal, sys
from pathlib import Path
from zk_autograd.vault.context import Context
from zk_autograd.vault.seal import seal, sealed, unseal

class Killing(io.BytesIO):
    def read(self, size=-1):
        if self.tell() > 2**20:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(size)

context, key, text = Context("acme", "a", 1, "model"), bytes(32), b"plain text" * 2**18
if sys.argv[1] == "seal":
    seal(Killing(text), Path("a.enc"), context, key)
else:
    unseal(Killing(sealed(text, context, key)), Path("a"), context, key)
"""


@pytest.mark.parametrize("what", ["seal", "unseal"])
def test_killed_in_the_middle(tmp_path: Path, what: str) -> None:
    """No file by its name, and of what was opened nothing at all."""
    done = subprocess.run([sys.executable, "-c", _KILLED, what], cwd=tmp_path, check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = list(tmp_path.iterdir())
    assert not any(path.name in ("a", "a.enc") for path in left)
    assert not any(b"plain text" in path.read_bytes() for path in left)
    if what == "unseal":
        assert left == []


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    data = sealed(b"other", CONTEXT, DEK)
    with pytest.raises(UsageError, match="File exists"):
        seal(io.BytesIO(b"other"), tmp_path / "mine", CONTEXT, DEK)
    with pytest.raises(UsageError, match="File exists"):
        unseal(io.BytesIO(data), tmp_path / "mine", CONTEXT, DEK)
    assert (tmp_path / "mine").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


def test_a_key_file_of_another_ciphertext_is_told() -> None:
    data = sealed(b"weights", CONTEXT, DEK)
    with pytest.raises(VaultError, match=r"is not the one that its key file names .* restore both from one backup"):
        unsealed(data, CONTEXT, DEK, Sealed("0" * 64, len(data)))
    with pytest.raises(VaultError, match="is not the one that its key file names"):
        unsealed(data, CONTEXT, DEK, Sealed(described(data).sha256, len(data) + 1))


def test_sizes_are_bounded(tmp_path: Path) -> None:
    data = sealed(message(CHUNK), CONTEXT, DEK)
    assert unsealed(data, CONTEXT, DEK, limit=len(data))
    with pytest.raises(VaultError, match="more than"):
        unsealed(data, CONTEXT, DEK, limit=len(data) - 1)

    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return bytes(size)

    with pytest.raises(UsageError, match="more bytes than"):
        seal(Endless(), tmp_path / "a.enc", CONTEXT, DEK, limit=2**22)  # type: ignore[arg-type]
    with pytest.raises(VaultError, match=r"more than|does not open"):
        unseal(Endless(), tmp_path / "a", CONTEXT, DEK, limit=2**22)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_keys_have_their_size(size: int) -> None:
    with pytest.raises(VaultError, match="32 bytes"):
        sealed(b"", CONTEXT, bytes(size))
    with pytest.raises(VaultError, match="32 bytes"):
        unsealed(sealed(b"", CONTEXT, DEK), CONTEXT, bytes(size))


def test_a_full_disk_leaves_nothing(small_disk: Path) -> None:
    big = message(2**21)
    with pytest.raises(StorageError, match="No space left"):
        seal(io.BytesIO(big), small_disk / "a.enc", CONTEXT, DEK)
    assert os.listdir(small_disk) == []
    with pytest.raises(StorageError, match="No space left"):
        unseal(io.BytesIO(sealed(big, CONTEXT, DEK)), small_disk / "a", CONTEXT, DEK)
    assert os.listdir(small_disk) == []


def _failures() -> Iterator[Callable[[], object]]:
    data = sealed(b"the plain text of weights", CONTEXT, DEK)
    yield lambda: unsealed(_flipped(data), CONTEXT, DEK)
    yield lambda: unsealed(data[:70], CONTEXT, DEK)
    yield lambda: unsealed(data, CONTEXT, DEK, limit=60)
    yield lambda: unsealed(data, replace(CONTEXT, step=1), DEK)
    yield lambda: unsealed(data, CONTEXT, DEK, Sealed("0" * 64, 1))


def test_neither_key_nor_text_in_any_message() -> None:
    for fail in _failures():
        with pytest.raises(VaultError) as error:
            fail()
        told = "".join(traceback.format_exception(error.value)) + repr(error.value)
        assert "plain text of" not in told and repr(DEK)[2:-1] not in told and DEK.hex() not in told
        assert error.value.__cause__ is None
