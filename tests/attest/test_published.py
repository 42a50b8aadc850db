"""What a statement may be about: the files of a finished run, as its records name them."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.attest.signed_runs import written
from tests.verify.run_builder import KEY, SECOND, SIGNER, honest
from tests.verify.test_artefacts import contents_of
from tests.verify.test_artefacts import name as name_files
from zk_autograd.attest.provenance import statement
from zk_autograd.attest.published import published
from zk_autograd.core.canonical import encode
from zk_autograd.core.errors import RunError, UsageError, VerificationError
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.run.files import Files
from zk_autograd.run.packing import pack


def test_an_honest_run_has_its_three_files(tmp_path: Path) -> None:
    run = honest("none")
    found = published(run.write(tmp_path / "run"))
    assert [name for name, _ in found.model] == ["opening.json", "weights.f32.safetensors", "weights.i64.safetensors"]
    assert dict(found.model) == dict(run.close.model if run.close else ())
    pack(tmp_path / "run", tmp_path / "run.tar", Files(), lambda *_: None)
    assert published(tmp_path / "run.tar") == found


def test_an_unfinished_run_and_one_without_a_model_are_refused(tmp_path: Path) -> None:
    run = honest("none")
    assert run.close is not None
    run.close = replace(run.close, model=())
    with pytest.raises(RunError, match="publishes no model"):
        published(run.write(tmp_path / "none"))
    run.close = None
    with pytest.raises(RunError, match="is unfinished"):
        published(run.write(tmp_path / "open"))
    with pytest.raises(UsageError, match="is not a run"):
        published(tmp_path)


@pytest.mark.parametrize("name", ["weights.f32.safetensors", "weights.i64.safetensors", "opening.json"])
def test_a_file_that_is_not_the_recorded_one_is_refused(name: str, tmp_path: Path) -> None:
    run = written(tmp_path / "run")
    path = run / "model" / name
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(VerificationError, match=f"{name} does not match the close record"):
        published(run)
    path.unlink()
    with pytest.raises(VerificationError, match=f"{name} can't be read"):
        published(run)


def test_the_trainers_own_files_are_compared_too(tmp_path: Path) -> None:
    run = honest("none")
    contents = contents_of(run)
    name_files(run, contents)
    folder = run.write(tmp_path / "run")
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    assert published(folder).close == run.close
    (folder / "config.toml").write_bytes(b"steps = 9\n")
    with pytest.raises(VerificationError, match=r"config\.toml does not match the close record"):
        published(folder)


def test_a_close_record_that_names_other_files_is_refused(tmp_path: Path) -> None:
    run = honest("none")
    run.model["extra.bin"] = b"x"
    run.name_model()
    with pytest.raises(RunError, match="does not name exactly"):
        published(run.write(tmp_path / "run"))


def test_a_log_that_is_not_the_signed_one_is_refused(tmp_path: Path) -> None:
    run = honest("none")
    run.head_root = bytes(32)
    with pytest.raises(VerificationError, match="the checkpoint's root is not that of the log"):
        published(run.write(tmp_path / "run"))


def test_only_keys_that_signed_are_named(tmp_path: Path) -> None:
    """The header names two. Whose they are, they vouch for nothing that they did not sign."""
    run = honest("none")
    assert published(run.write(tmp_path / "one")).signers == (KEY.encode(),)
    run.signers = (SECOND, SIGNER)
    assert published(run.write(tmp_path / "both")).signers == (KEY.encode(), SECOND.public_key.encode())
    run.signers = (Ed25519Signer("trainer", bytes(32)),)
    with pytest.raises(VerificationError, match="is signed by no key that the header names"):
        published(run.write(tmp_path / "none"))


def test_provenance_does_not_name_a_key_that_did_not_sign(tmp_path: Path) -> None:
    model = published(written(tmp_path / "run"))
    assert len(model.log.header.keys) == 2
    assert SECOND.public_key.encode() not in encode(statement(model)).decode()


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [Path.touch, a_folder, lambda p: p.symlink_to("opening.json"), os.mkfifo])
@pytest.mark.parametrize("name", ["pytorch_model.bin", ".git", ".gitignore", "README.md", "model.sig"])
def test_a_name_that_no_record_names_is_refused(name: str, make: Callable[[Path], None], tmp_path: Path) -> None:
    run = written(tmp_path / "run")
    make(run / "model" / name)
    with pytest.raises(RunError, match=f"holds what no record names: '{name}'"):
        published(run)
