"""A sealed file with its key file."""

import io
import os
from dataclasses import replace
from pathlib import Path

import pytest

from zk_autograd.core.errors import StorageError, UsageError
from zk_autograd.vault.context import Context
from zk_autograd.vault.errors import VaultError
from zk_autograd.vault.holder import KeyHolder
from zk_autograd.vault.holder.keyfile import FileKey
from zk_autograd.vault.holder.recipient import RecipientKey
from zk_autograd.vault.keys import KeyFile
from zk_autograd.vault.pairs import Holding, open_pair, read_key_file, seal_pair, sealed_pair
from zk_autograd.vault.seal import sealed_size, unsealed

CONTEXT = Context("acme", "8c1f" * 8, 40, "checkpoint")
KEK = FileKey(bytes(range(32)))
RECIPIENT = RecipientKey(bytes(range(32)))
HOLDERS: dict[str, KeyHolder] = {"keyfile": KEK, "recipient": RECIPIENT}
HOLDINGS = (
    Holding(KEK, "acme/1", "keyfile"),
    Holding(RECIPIENT.recipient, RECIPIENT.recipient.fingerprint, "recipient"),
)
TEXT = b"weights, weights, weights" * 100


def test_each_holder_opens_the_file(tmp_path: Path) -> None:
    made = seal_pair(io.BytesIO(TEXT), tmp_path, "40-checkpoint", CONTEXT, HOLDINGS)
    assert sorted(os.listdir(tmp_path)) == ["40-checkpoint.enc", "40-checkpoint.key.json"]
    path = tmp_path / "40-checkpoint.enc"
    key_file = read_key_file(path)
    assert key_file == made
    for by, holder in HOLDERS.items():
        target = tmp_path / by
        dek = holder.unwrap(key_file.wrap(by).wrapped, key_file.context)
        assert open_pair(path, target, key_file, dek) == len(TEXT)
        assert target.read_bytes() == TEXT


def test_neither_text_nor_key_lies_in_any_file(tmp_path: Path) -> None:
    seal_pair(io.BytesIO(TEXT), tmp_path, "a", CONTEXT, HOLDINGS)
    dek = KEK.unwrap(read_key_file(tmp_path / "a.enc").wrap("keyfile").wrapped, CONTEXT)
    for path in tmp_path.iterdir():
        data = path.read_bytes()
        for secret in (b"weights", dek, dek.hex().encode(), bytes(range(32)), bytes(range(32)).hex().encode()):
            assert secret not in data


def test_each_file_has_its_own_key() -> None:
    deks = {KEK.unwrap(sealed_pair(TEXT, CONTEXT, HOLDINGS)[1].wrap("keyfile").wrapped, CONTEXT) for _ in range(4)}
    assert len(deks) == 4


@pytest.mark.parametrize("by", ["keyfile", "recipient"])
@pytest.mark.parametrize(
    "change", [{"tenant": "acme2"}, {"run": "8c1e" * 8}, {"step": 41}, {"kind": "model"}, {"tenant": "enclave"}]
)
def test_a_key_file_that_was_moved_opens_nothing(change: dict[str, object], by: str) -> None:
    """Whoever writes to the disk renames step 40's files to step 41's, context and all: neither the
    wrap nor, with the right key, the ciphertext opens there."""
    data, key_file = sealed_pair(TEXT, CONTEXT, HOLDINGS)
    holder = HOLDERS[by]
    dek = holder.unwrap(key_file.wrap(by).wrapped, CONTEXT)
    moved = replace(CONTEXT, **change)  # type: ignore[arg-type]
    with pytest.raises(VaultError, match=r"the key of tenant .* does not open under"):
        holder.unwrap(key_file.wrap(by).wrapped, moved)
    with pytest.raises(VaultError, match="does not open with its key"):
        unsealed(data, moved, dek)


def test_ciphertexts_that_were_exchanged_do_not_open() -> None:
    """Two files of one context, or of two: the key is of one file."""
    one, key_file = sealed_pair(TEXT, CONTEXT, HOLDINGS)
    two, other = sealed_pair(TEXT, CONTEXT, HOLDINGS)
    dek = KEK.unwrap(key_file.wrap("keyfile").wrapped, CONTEXT)
    with pytest.raises(VaultError, match="not the one that its key file names"):
        unsealed(two, CONTEXT, dek, key_file.ciphertext)
    forged = KeyFile(CONTEXT, other.ciphertext, key_file.wraps)
    with pytest.raises(VaultError, match="does not open with its key"):
        unsealed(two, CONTEXT, dek, forged.ciphertext)
    assert unsealed(one, CONTEXT, dek, key_file.ciphertext) == TEXT


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.key.json").write_text("mine")
    with pytest.raises(UsageError, match="exists"):
        seal_pair(io.BytesIO(TEXT), tmp_path, "a", CONTEXT, HOLDINGS)
    assert os.listdir(tmp_path) == ["a.key.json"]


def test_a_holder_that_refuses_leaves_nothing(tmp_path: Path) -> None:
    class Refuses:
        def wrap(self, dek: bytes, context: Context) -> bytes:
            raise VaultError("AWS KMS refused")

        def unwrap(self, wrapped: bytes, context: Context) -> bytes:
            raise AssertionError

    with pytest.raises(VaultError, match="refused"):
        seal_pair(io.BytesIO(TEXT), tmp_path, "a", CONTEXT, (*HOLDINGS, Holding(Refuses(), "k", "kms")))
    assert os.listdir(tmp_path) == []


def test_no_ciphertext_stays_without_its_key_file(small_disk: Path) -> None:
    """A disk that is full by the time of the key file: what can't be opened is not left either."""
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    size = next(size for size in range(free, 0, -1) if sealed_size(size) <= free)
    with pytest.raises(StorageError, match="No space left"):
        seal_pair(io.BytesIO(bytes(size)), small_disk, "a", CONTEXT, HOLDINGS)
    assert os.listdir(small_disk) == []


@pytest.mark.parametrize("name", ["a", "a.key.json", "a.enc.tmp", ".encx"])
def test_only_sealed_files_have_key_files(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="no sealed file"):
        read_key_file(tmp_path / name)


def test_a_key_file_that_is_malformed_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a\.key\.json can't be read"):
        read_key_file(tmp_path / "a.enc")
    (tmp_path / "a.key.json").write_text("{}")
    with pytest.raises(VaultError, match=r"a\.key\.json: the key file is malformed"):
        read_key_file(tmp_path / "a.enc")
