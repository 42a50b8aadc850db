"""`zk-enclave measure` and `zk-enclave build`: what they print, write and refuse. What an image is
and measures, is tests/tee/eif's."""

import json
import os
import tomllib
from pathlib import Path

import pytest

from tests.enclave import images
from tests.tee.eif.golden import DATA, LINE, golden, packed, parts, registers
from zk_autograd.cli.enclave import main


def built(out: Path, *more: str) -> int:
    given = ["--kernel", f"{DATA}/kernel", "--cmdline", LINE, "--ramdisk", f"{DATA}/ramdisk1"]
    return main(["build", *given, "--ramdisk", f"{DATA}/ramdisk2", "--out", str(out), *more])


def test_measure_prints_registers_and_the_line_of_a_policy(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", str(DATA / "signed.eif")]) == 0
    shown = capsys.readouterr()
    *lines, line = shown.out.splitlines()
    assert lines == [
        *(f"{name}  {value}" for name, value in registers("signed").items()),
        f"kernel command line: {LINE}",
        "2 ramdisks, for x86-64",
        "",
        "for a policy, below [attestation.nitro]:",
    ]
    assert tomllib.loads(line) == {"measurements": [registers("signed")]}
    assert "pcr8 is its signer's certificate" in shown.err


@pytest.mark.parametrize("name", ["unsigned", "signed", "one"])
def test_json_has_the_registers_and_nothing_else(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", "--json", str(DATA / f"{name}.eif")]) == 0
    assert json.loads(capsys.readouterr().out) == registers(name)


def test_an_order_that_aws_measures_otherwise_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kernel, cmdline, *others = parts("one")
    (tmp_path / "image").write_bytes(packed([cmdline, kernel, *others]))
    assert main(["measure", "--json", str(tmp_path / "image")]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == registers("one")
    assert "are not in this order in the file" in shown.err


def test_what_is_no_image_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "image").write_bytes(golden("one")[:-1])
    assert main(["measure", str(tmp_path / "image")]) == 1
    assert "section 4 of the image ends beyond the file" in capsys.readouterr().err
    os.mkfifo(tmp_path / "pipe")
    for name, said in (("none", "No such file"), ("pipe", "it is a pipe"), (".", "it is a folder")):
        assert main(["measure", str(tmp_path / name)]) == 2
        assert said in capsys.readouterr().err


def test_a_command_line_sends_a_terminal_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kernel, (kind, _), *others = parts("one")
    (tmp_path / "image").write_bytes(packed([kernel, (kind, b"a\x1b[2J\nb"), *others]))
    assert main(["measure", str(tmp_path / "image")]) == 0
    assert "kernel command line: a\\x1b[2J\\nb\n" in capsys.readouterr().out


def test_build_writes_the_image_that_aws_s_crate_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert built(tmp_path / "image", "--metadata", str(DATA / "metadata.json"), "--json") == 0
    assert (tmp_path / "image").read_bytes() == golden("unsigned")
    assert json.loads(capsys.readouterr().out) == registers("unsigned")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_metadata_that_aws_s_tools_can_t_read_are_refused(
    data: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "metadata").write_bytes(data)
    assert built(tmp_path / "image", "--metadata", str(tmp_path / "metadata")) == 2
    assert "are no JSON object" in capsys.readouterr().err
    assert not (tmp_path / "image").exists()


def test_verify_image_says_nothing_of_a_policy_that_was_not_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = images.make(tmp_path, golden("unsigned"))
    (tmp_path / "images.pub").write_bytes(images.public(images.image_key()).pem)
    assert main(["verify-image", str(image), "--image-key", str(tmp_path / "images.pub"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["in_policy"] is None


def test_equal_parts_make_equal_images(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        assert built(tmp_path / name / f"{name}.eif") == 0
    assert (tmp_path / "a/a.eif").read_bytes() == (tmp_path / "b/b.eif").read_bytes()


def test_nothing_is_overwritten_or_left_half_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "image").write_bytes(b"mine")
    assert built(tmp_path / "image") == 2
    assert "exists, and is not overwritten" in capsys.readouterr().err
    assert (tmp_path / "image").read_bytes() == b"mine"
    (tmp_path / "empty").touch()
    assert built(tmp_path / "other", "--ramdisk", str(tmp_path / "empty")) == 2
    assert "ramdisk 3 is empty" in capsys.readouterr().err
    assert built(tmp_path / "other", "--ramdisk", str(tmp_path / "none")) == 2
    assert sorted(os.listdir(tmp_path)) == ["empty", "image"]
