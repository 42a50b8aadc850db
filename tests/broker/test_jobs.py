"""The key files that a broker reads, and the key that opens them."""

import os
from pathlib import Path

import pytest

from tests.broker.brokers import OTHER_RUN, RUN, add_job
from zk_autograd.broker import jobs
from zk_autograd.broker.jobs import JobFolder, load_kek
from zk_autograd.core.errors import UsageError
from zk_autograd.vault.context import CHECKPOINT, Context, of_enclave
from zk_autograd.vault.errors import VaultError
from zk_autograd.vault.holder import KeyHolder
from zk_autograd.vault.holder.keyfile import FileKey
from zk_autograd.vault.holder.recipient import RecipientKey
from zk_autograd.vault.keys import KEYFILE, RECIPIENT, KeyFile
from zk_autograd.vault.pairs import Holding, sealed_pair


def secret(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.touch(0o600)
    path.write_bytes(data)
    path.chmod(mode)
    return path


def key_file(kek: RecipientKey, context: Context) -> KeyFile:
    return sealed_pair(b"", context, [Holding(kek.recipient, "its name", RECIPIENT)])[1]


def test_both_kinds_of_key(tmp_path: Path) -> None:
    raw, pair = os.urandom(32), RecipientKey.generate()
    kinds: list[tuple[bytes, KeyHolder, str]] = [(raw, FileKey(raw), KEYFILE), (b"", pair, RECIPIENT)]
    for number, (data, holder, by) in enumerate(kinds):
        folder = tmp_path / str(number)
        folder.mkdir()
        _, made = sealed_pair(b"a job", of_enclave(RUN), [Holding(holder, "its name", by)])
        (folder / "a.key.json").write_bytes(made.encode())
        kek = load_kek(secret(tmp_path / f"{number}.kek", data or pair.secret_text.encode()))
        found = JobFolder(folder, kek)
        assert found.runs == [RUN]
        assert found.holds(RUN)
        assert not found.holds(OTHER_RUN)
        assert found.key(RUN) == holder.unwrap(made.wraps[0].wrapped, of_enclave(RUN))


@pytest.mark.parametrize("data", [b"", b"x" * 31, b"x" * 33, b"zk-autograd/recipient-key/v0\nAAAA\n"])
def test_a_key_that_is_none_is_refused_and_not_repeated(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither a recipient's private key nor a key of 32 bytes") as caught:
        load_kek(secret(tmp_path / "kek", data))
    assert "AAAA" not in str(caught.value)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can be read by others"):
        load_kek(secret(tmp_path / "kek", os.urandom(32), 0o640))
    with pytest.raises(UsageError, match="there is no"):
        load_kek(tmp_path / "none")


def test_key_files_of_no_use_are_told_at_the_start(tmp_path: Path) -> None:
    kek = RecipientKey.generate()
    path = tmp_path / "a.key.json"
    bad = {
        b"{}": "malformed",
        key_file(RecipientKey.generate(), of_enclave(RUN)).encode(): "does not open",
        key_file(kek, of_enclave(RUN, 3, CHECKPOINT)).encode(): "no job of an enclave",
        key_file(kek, Context("acme", RUN.hex(), 0, "model")).encode(): "no job of an enclave",
        key_file(kek, Context("enclave", "abc", 0, "enclave")).encode(): "no job of an enclave",
    }
    for data, message in bad.items():
        path.write_bytes(data)
        with pytest.raises(UsageError, match=message):
            JobFolder(tmp_path, kek)
    with pytest.raises(UsageError, match="--jobs"):
        JobFolder(tmp_path / "none", kek)


def test_two_key_files_of_one_run_are_refused(tmp_path: Path) -> None:
    kek = RecipientKey.generate()
    add_job(tmp_path, kek, RUN, "a")
    add_job(tmp_path, kek, RUN, "b")
    with pytest.raises(UsageError, match="are of one run"):
        JobFolder(tmp_path, kek)


def test_jobs_come_and_go(tmp_path: Path) -> None:
    kek = RecipientKey.generate()
    found = JobFolder(tmp_path, kek)
    assert not found.holds(RUN)
    (tmp_path / "bad.key.json").write_bytes(b"{}")
    dek = add_job(tmp_path, kek, RUN)
    assert found.holds(RUN)
    assert found.key(RUN) == dek
    path = tmp_path / f"{RUN.hex()}.key.json"
    path.write_bytes(key_file(kek, of_enclave(OTHER_RUN)).encode())  # exchanged: another run's key
    with pytest.raises(VaultError, match="and not of"):
        found.key(RUN)
    path.unlink()
    assert not found.holds(RUN)
    with pytest.raises(VaultError):
        found.key(RUN)
    dek = add_job(tmp_path, kek, RUN, "again")
    (tmp_path / "again.key.json").rename(path)
    assert found.holds(RUN)
    assert found.key(RUN) == dek


def test_jobs_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MAX_JOBS", 1)
    kek = RecipientKey.generate()
    add_job(tmp_path, kek, RUN)
    add_job(tmp_path, kek, OTHER_RUN)
    with pytest.raises(UsageError, match="more than 1 key files"):
        JobFolder(tmp_path, kek)
