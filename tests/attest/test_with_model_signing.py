"""Both directions with the real package: it accepts what we sign, we accept what it signs, and each
refuses what the other must not have signed."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from tests.attest.conftest import Theirs
from tests.attest.signed_runs import OTHER, SIGNER, signed, written
from tests.verify.run_builder import LOG_POLICY, refused
from tests.verify.test_model_signature import judged, not_shown, said
from zk_autograd.credentials.model_key import ModelSigner

pytestmark = pytest.mark.slow
PINNED = replace(LOG_POLICY, model_key=SIGNER.public_key)

GOOD, BAD = "Verification succeeded", "Verification failed"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return written(tmp_path / "run")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder with key.pem, key.pub, other.pem and other.pub."""
    folder = tmp_path / "keys"
    folder.mkdir()
    for name, signer in (("key", SIGNER), ("other", OTHER)):
        (folder / f"{name}.pem").write_bytes(secret(signer))
        (folder / f"{name}.pub").write_bytes(signer.public_key.pem)
    return folder


def secret(signer: ModelSigner) -> bytes:
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return signer._key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def verify(folder: object, signature: Path, public: Path, *flags: object) -> list[object]:
    return ["verify", "key", folder, "--signature", signature, "--public_key", public, *flags]


def sign(folder: object, signature: Path, private: Path, *flags: object) -> list[object]:
    return ["sign", "key", folder, "--signature", signature, "--private_key", private, *flags]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


CHANGES: dict[str, Callable[[Path], object]] = {
    "one bit": lambda m: flip(m / "weights.f32.safetensors"),
    "one file more": lambda m: (m / "extra.bin").write_bytes(b"x"),
    "one file less": lambda m: (m / "opening.json").unlink(),
    "a file renamed": lambda m: (m / "opening.json").rename(m / "Opening.json"),
    "two files exchanged": lambda m: exchange(m / "weights.f32.safetensors", m / "weights.i64.safetensors"),
}


def exchange(one: Path, two: Path) -> None:
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)


def test_they_accept_what_we_sign_wherever_the_folder_is_and_however_it_is_named(
    run: Path, keys: Path, theirs: Theirs, tmp_path: Path
) -> None:
    signed(run)
    signature, public, model = run / "model.sig", keys / "key.pub", run / "model"
    moved = Path(shutil.copytree(model, tmp_path / "moved"))
    (tmp_path / "linked").symlink_to(run)
    git = Path(shutil.copytree(model, tmp_path / "git"))
    (git / ".git").mkdir()
    (git / ".git" / "config").write_text("x")  # which they leave out by default
    inside = Path(shutil.copytree(model, tmp_path / "inside"))
    shutil.copy(signature, inside / "model.sig")
    answers = theirs(
        (tmp_path, verify(model, signature, public)),
        (model, verify(".", signature, public)),
        (run, verify("model/", signature, public)),
        (tmp_path, verify("linked/model", signature, public)),
        (tmp_path, verify(moved, signature, public)),
        (tmp_path, verify(git, signature, public)),
        (tmp_path, verify(inside, inside / "model.sig", public)),
    )
    assert [(status, output.strip()) for status, output in answers] == [(0, GOOD)] * 7


def test_they_refuse_another_key_and_each_changed_folder(run: Path, keys: Path, theirs: Theirs, tmp_path: Path) -> None:
    signed(run)
    signature = run / "model.sig"
    commands = [(tmp_path, verify(run / "model", signature, keys / "other.pub"))]
    for name, change in CHANGES.items():
        model = Path(shutil.copytree(run / "model", tmp_path / name))
        change(model)
        commands.append((tmp_path, verify(model, signature, keys / "key.pub")))
    deep = Path(shutil.copytree(run / "model", tmp_path / "deep"))
    (deep / "subdir" / ".git").mkdir(parents=True)
    (deep / "subdir" / ".git" / "config").write_text("x")  # not at the top: not left out
    commands.append((tmp_path, verify(deep, signature, keys / "key.pub")))
    commands.append((tmp_path, verify(run / "model", signature, keys / "key.pub")))
    answers = theirs(*commands)
    assert [status for status, _ in answers] == [1] * 7 + [0]
    assert all(BAD in output for _, output in answers[:7])


def test_we_accept_what_they_sign_however_the_folder_is_named(
    run: Path, keys: Path, theirs: Theirs, tmp_path: Path
) -> None:
    model, private = run / "model", keys / "key.pem"
    names = ["plain", "dot", "slash", "above", "own-paths", "links-allowed"]
    (tmp_path / "linked").symlink_to(run)
    answers = theirs(
        (tmp_path, sign(model, tmp_path / "plain", private)),
        (model, sign(".", tmp_path / "dot", private)),
        (run, sign("model/", tmp_path / "slash", private)),
        (tmp_path, sign("linked/model", tmp_path / "above", private)),
        (
            tmp_path,
            sign(model, tmp_path / "own-paths", private, "--ignore-paths", model / "cache", "--ignore-git-paths"),
        ),
        (tmp_path, sign(model, tmp_path / "links-allowed", private, "--allow_symlinks")),
        (run, sign("model", run / "model.sig", private)),
    )
    assert [status for status, _ in answers] == [0] * 7, answers
    reports = [judged(run, replace(PINNED, model_signature=(tmp_path / name).read_bytes())) for name in names]
    for report in (*reports, judged(run)):
        assert report.exit_status == 0, report.text()
        assert f"by the pinned model key, fingerprint {SIGNER.public_key.fingerprint}" in said(report)
    data = (tmp_path / "plain").read_bytes()
    other = replace(LOG_POLICY, model_key=OTHER.public_key, model_signature=data)
    refused(judged(run, other), 10, "names another key than the pinned model key")


def test_we_refuse_their_signature_over_each_changed_folder(
    run: Path, keys: Path, theirs: Theirs, tmp_path: Path
) -> None:
    commands = []
    for name, change in CHANGES.items():
        model = Path(shutil.copytree(run / "model", tmp_path / name))
        change(model)
        commands.append((tmp_path, sign(model, tmp_path / f"{name}.sig", keys / "key.pem")))
    deep = Path(shutil.copytree(run / "model", tmp_path / "deep"))
    (deep / "subdir" / ".git").mkdir(parents=True)
    (deep / "subdir" / ".git" / "config").write_text("x")
    commands.append((tmp_path, sign(deep, tmp_path / "deep.sig", keys / "key.pem")))
    linked = Path(shutil.copytree(run / "model", tmp_path / "link"))
    (linked / "again.json").symlink_to("opening.json")
    commands.append((tmp_path, sign(linked, tmp_path / "link.sig", keys / "key.pem", "--allow_symlinks")))
    less = sign(run / "model", tmp_path / "less.sig", keys / "key.pem", "--ignore-paths", run / "model/opening.json")
    commands.append((tmp_path, less))
    answers = theirs(*commands)
    assert [status for status, _ in answers] == [0] * len(commands), answers
    for name in [*CHANGES, "deep", "link", "less"]:
        data = (tmp_path / f"{name}.sig").read_bytes()
        report = judged(run, replace(PINNED, model_signature=data))
        message = (
            "has another digest for" if name in ("one bit", "two files exchanged") else "not over exactly the files"
        )
        refused(report, 10, message)


def test_git_files_that_they_leave_out_are_never_taken_for_signed(
    run: Path, keys: Path, theirs: Theirs, tmp_path: Path
) -> None:
    (run / "model" / ".git").mkdir()
    (run / "model" / ".git" / "config").write_text("x")
    ((status, _),) = theirs((tmp_path, sign(run / "model", tmp_path / "sig", keys / "key.pem")))
    assert status == 0
    report = judged(run, replace(PINNED, model_signature=(tmp_path / "sig").read_bytes()))
    assert report.exit_status == 3
    assert "not signed, though in model/: 'model/.git'" in said(report)


SHARDS = """
import sys
from model_signing import hashing, signing
config = hashing.Config()
getattr(config, sys.argv[1])(hashing_algorithm=sys.argv[2])
signer = signing.Config().use_elliptic_key_signer(private_key=sys.argv[3]).set_hashing_config(config)
signer.sign(sys.argv[4], sys.argv[5])
"""


@pytest.mark.parametrize(
    ("method", "hashed", "why"),
    [
        ("use_shard_serialization", "sha256", "it is over 'shards' of files"),
        ("use_file_serialization", "blake2", "its digests are 'blake2b'"),
        ("use_file_serialization", "blake3", "its digests are 'blake3'"),
    ],
)
def test_what_they_sign_in_another_way_is_not_shown(
    method: str, hashed: str, why: str, run: Path, keys: Path, their_python: Path, tmp_path: Path
) -> None:
    words = [method, hashed, str(keys / "key.pem"), str(run / "model"), str(tmp_path / "sig")]
    status = os.spawnv(os.P_WAIT, their_python, [str(their_python), "-c", SHARDS, *words])
    assert status == 0
    not_shown(judged(run, replace(PINNED, model_signature=(tmp_path / "sig").read_bytes())), why)
