"""The account's key: read only where nobody else can, and never shown."""

from pathlib import Path

import pytest

from tests.anchor.evm.chain import FUNDED
from zk_autograd.anchor.evm.account import load_signer
from zk_autograd.core.errors import UsageError, ZkError

KEY = FUNDED[0]


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "key"
    path.touch(mode)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


@pytest.mark.parametrize("text", [KEY, KEY + "\n", "0x" + KEY[2:].upper()])
def test_a_key_is_read(tmp_path: Path, text: str) -> None:
    assert load_signer(written(tmp_path, text)).address == "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(UsageError, match=r"can be read by others .*chmod 600"):
        load_signer(written(tmp_path, KEY, mode))


@pytest.mark.parametrize(
    "text",
    [
        "",
        KEY[2:],
        KEY[:-1],
        KEY + "0",
        KEY + "\n\n",
        " " + KEY,
        "0x" + "0" * 64,
        "0x" + "f" * 64,
        "\u0660" * 66,
        "x" * 200,
    ],
)
def test_what_is_no_key_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_signer(written(tmp_path, text))
    assert not text or text not in str(caught.value)
    assert KEY[2:20] not in str(caught.value)


def test_a_folder_or_nothing_is_no_key(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(ZkError, match="the account's key"):
            load_signer(path)
