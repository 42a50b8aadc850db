"""Pinned packages: what isn't the pinned one goes into no image, and what has gone is named."""

import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from enclave import packages
from enclave.commands import BuildError
from enclave.packages import LISTS, Package, fetch, main, read_list, update

DEB = b"a package"
PINNED = Package("libexample1", "1.2-3", sha256(DEB).hexdigest())


def mirror(folder: Path, content: bytes | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """apt-get and apt-cache of a mirror that has libexample1 with this content, or has it not."""
    folder.mkdir()
    (folder / "deb").write_bytes(content or b"")
    get = f'cp {folder}/deb "$(echo "$3" | tr = _)_amd64.deb"'
    show = f"echo 'Package: libexample1'; echo 'Version: 1.2-4'; echo 'SHA256: {'c' * 64}'"
    gone = "echo \"E: Version '1.2-3' for 'libexample1' was not found\" >&2; exit 100"
    for name, line in (("apt-get", get), ("apt-cache", show)):
        (folder / name).write_text(f"#!/bin/sh\n{line if content is not None else gone}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_the_lists_are_of_this_form_and_name_no_shell() -> None:
    for path in LISTS:
        names = [package.name for package in read_list(path)]
        assert names == sorted(names) and len(set(names)) == len(names) > 0
        assert not {"dash", "bash", "busybox", "busybox-static", "coreutils", "dpkg", "apt", "perl-base"} & set(names)


def test_the_pinned_package_is_taken_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror(tmp_path / "bin", DEB, monkeypatch)
    path = fetch(PINNED, tmp_path / "cache")
    assert path.read_bytes() == DEB
    mirror(tmp_path / "none", None, monkeypatch)
    assert fetch(PINNED, tmp_path / "cache") == path


def test_another_package_of_the_same_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mirror that lies puts nothing into the image; nor does a file in the cache."""
    mirror(tmp_path / "bin", b"another", monkeypatch)
    for _ in range(2):
        with pytest.raises(BuildError, match=r"libexample1 1.2-3 is not the package that is pinned: its SHA-256 is"):
            fetch(PINNED, tmp_path / "cache")
    mirror(tmp_path / "right", DEB, monkeypatch)
    path = fetch(PINNED, tmp_path / "cache")
    path.write_bytes(b"changed in the cache")
    with pytest.raises(BuildError, match="not the package that is pinned"):
        fetch(PINNED, tmp_path / "cache")


def test_a_package_that_has_gone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror(tmp_path / "bin", None, monkeypatch)
    with pytest.raises(BuildError) as caught:
        fetch(PINNED, tmp_path / "cache")
    text = str(caught.value)
    assert text.startswith("libexample1 1.2-3 can't be had from this machine's Debian mirror (Version '1.2-3' for")
    assert "it has gone: put the file with SHA-256" in text and "python -m enclave.packages update" in text


@pytest.mark.slow  # of apt
def test_apt_itself_says_that_a_version_is_not_there(tmp_path: Path) -> None:
    if shutil.which("apt-get") is None:
        pytest.skip("there is no apt-get here: this is no Debian")
    with pytest.raises(BuildError, match=r"libc6 0.0-none can't be had from this machine's Debian mirror \("):
        fetch(Package("libc6", "0.0-none", "0" * 64), tmp_path / "cache")


def test_update_takes_the_mirror_s_versions_and_keeps_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror(tmp_path / "bin", DEB, monkeypatch)
    path = tmp_path / "base.list"
    path.write_text(f"# for readers\n\n{PINNED}\n")
    update(path)
    assert path.read_text() == f"# for readers\n\nlibexample1 1.2-4 {'c' * 64}\n"
    mirror(tmp_path / "none", None, monkeypatch)
    with pytest.raises(BuildError, match="libexample1 is no package of this machine's Debian mirror"):
        update(path)


def test_a_list_of_another_form_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "base.list"
    for line in ("libc6 1", "libc6 1 abc", f"libc6 1 {'a' * 64} more"):
        path.write_text(f"# a list\n{line}\n")
        with pytest.raises(BuildError, match=r"base\.list line 2 isn't NAME VERSION SHA-256"):
            read_list(path)


def test_the_command_knows_one_word(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(packages, "LISTS", ())
    assert main(["update"]) == 0
    assert main([]) == 2 and "usage" in capsys.readouterr().err
