"""environment.json: what results depend on, and nothing of whose machine it was."""

import getpass
import json
import os
import socket
from pathlib import Path

import pytest

from zk_autograd.core.errors import VerificationError
from zk_autograd.run import environment

TOKEN = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz01234567"


def test_it_says_what_a_repetition_needs() -> None:
    found = json.loads(environment.current())
    assert found["python"]["version"].startswith("3.")
    assert found["packages"]["numpy"]
    assert found["machine"]["architecture"]
    assert found["blas"]


def test_it_names_neither_machine_nor_user_nor_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("A_SECRET_OF_MINE", "12345678")
    text = environment.current().decode()
    for private in (socket.gethostname(), os.getcwd(), str(Path.home()), str(tmp_path), "12345678", "A_SECRET"):
        assert private not in text
    assert "/" not in text.replace(environment.FORMAT, "")
    assert f'"{getpass.getuser()}"' not in text


def test_only_listed_variables_with_plain_values_are_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in environment.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.setenv("MKL_CBWR", TOKEN)
    monkeypatch.setenv("MKL_NUM_THREADS", "/home/somebody")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    found = json.loads(environment.current())
    assert found["variables"] == {"OMP_NUM_THREADS": "4", "MKL_CBWR": "other", "MKL_NUM_THREADS": "other"}


def test_differences_name_the_place_and_both_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    here = environment.current()
    assert environment.differences(here, here) == []
    version = json.loads(here)["packages"]["numpy"]
    there = here.replace(f'"numpy":"{version}"'.encode(), b'"numpy":"1.0"')
    assert environment.differences(there, here) == [f"packages.numpy: 1.0 there, {version} here"]
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    assert environment.differences(here, environment.current()) == ["variables.PYTHONHASHSEED: nothing there, 7 here"]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"format":"zk-autograd/environment/v9"}', b'{"format": 1}'])
def test_what_is_no_environment_is_refused(content: bytes) -> None:
    with pytest.raises(VerificationError):
        environment.parsed(content)
