"""A run is gone on with by whoever made it: nobody signs what a stranger recorded under their
public key."""

from hashlib import sha256
from pathlib import Path

import pytest

from tests.run.trainer import SIGNER, first_weights, hashed_backend, make_header, train
from zk_autograd.core.errors import RunError, UsageError
from zk_autograd.core.keys import Ed25519Signer, MlDsa44Signer
from zk_autograd.core.note import parse_unverified, sign
from zk_autograd.core.records import header_digest
from zk_autograd.run import private_file
from zk_autograd.run.files import Files
from zk_autograd.run.header_signature import PART, is_signed, signed
from zk_autograd.run.writer import RunWriter

STRANGER = Ed25519Signer(SIGNER.public_key.name, sha256(b"a stranger").digest())


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """An open run of three steps."""
    backend = hashed_backend()
    writer = RunWriter.create(
        tmp_path / "run", make_header(backend), backend, [SIGNER], first_weights(), files=Files(lambda _: None)
    )
    train(writer, 3)
    writer.abandon()
    return tmp_path / "run"


def resume(run: Path) -> RunWriter:
    return RunWriter.resume(run, lambda _: hashed_backend(), [SIGNER], files=Files(lambda _: None))


def leaf_of(run: Path) -> bytes:
    return private_file.read(run / "private" / "header", "header", None)[1]["leaf"]


def rewrite(run: Path, note: bytes | None) -> None:
    """The private header with another signature, or none."""
    leaf = leaf_of(run)
    parts = {"leaf": leaf} if note is None else {"leaf": leaf, PART: note}
    (run / "private" / "header").write_bytes(private_file.encode("header", header_digest(leaf), {}, parts))


def test_a_run_without_a_checkpoint_goes_on_by_its_header(run: Path) -> None:
    (run / "log" / "checkpoint").unlink()
    writer = resume(run)
    assert writer.step == 3
    writer.close()


def test_an_earlier_versions_run_goes_on_by_its_checkpoint(run: Path) -> None:
    rewrite(run, None)
    writer = resume(run)
    assert writer.step == 3
    writer.close()


@pytest.mark.parametrize("checkpoint", [True, False])
@pytest.mark.parametrize(
    "note",
    [
        pytest.param(lambda digest: signed(digest, [STRANGER]), id="another key of the same name"),
        pytest.param(lambda digest: signed(bytes(32), [SIGNER]), id="of another header"),
        pytest.param(lambda digest: sign(f"zk-autograd/x\n{digest.hex()}\n", [SIGNER]), id="of another meaning"),
        pytest.param(lambda digest: b"", id="empty"),
        pytest.param(lambda digest: b"\xff\n\n", id="no note"),
    ],
)
def test_a_header_that_the_key_did_not_sign_is_gone_on_with_by_nobody(
    run: Path, note: object, checkpoint: bool
) -> None:
    assert callable(note)
    rewrite(run, note(header_digest(leaf_of(run))))
    if not checkpoint:
        (run / "log" / "checkpoint").unlink()
    before = {path: path.read_bytes() for path in (run / "log").iterdir()}
    with pytest.raises(RunError, match=r"nothing says that .* is yours: its header .* is not signed by your key"):
        resume(run)
    assert {path: path.read_bytes() for path in (run / "log").iterdir()} == before


def test_a_run_that_nobody_signed_is_not_signed_by_going_on(run: Path) -> None:
    rewrite(run, None)
    (run / "log" / "checkpoint").unlink()
    with pytest.raises(RunError, match="is not signed, nor does its log say so"):
        resume(run)
    assert not (run / "log" / "checkpoint").exists()


def test_the_signature_is_of_all_keys() -> None:
    digest = sha256(b"a header").digest()
    both = signed(digest, [SIGNER, Ed25519Signer("second", bytes(32))])
    assert is_signed(both, digest, [SIGNER.public_key])
    assert is_signed(both, digest, [SIGNER.public_key, Ed25519Signer("second", bytes(32)).public_key])
    assert not is_signed(signed(digest, [SIGNER]), digest, [SIGNER.public_key, STRANGER.public_key])
    assert not is_signed(None, digest, [SIGNER.public_key])


def test_an_ml_dsa_key_signs_no_header_and_alone_vouches_for_none() -> None:
    digest = sha256(b"a header").digest()
    quantum = MlDsa44Signer(SIGNER.name, bytes(32))
    note = signed(digest, [quantum, SIGNER])
    assert [line.key_id for line in parse_unverified(note).lines] == [SIGNER.public_key.key_id]
    assert is_signed(note, digest, [SIGNER.public_key, quantum.public_key])
    assert not is_signed(note, digest, [quantum.public_key])
    assert not is_signed(note, digest, [STRANGER.public_key, quantum.public_key])
    with pytest.raises(UsageError, match="at least one key"):
        signed(digest, [quantum])
