"""Where a token comes from, which place wins, and that no refusal repeats it."""

import os
from pathlib import Path

import pytest

from zk_autograd.core.errors import UsageError
from zk_autograd.credentials import tokens
from zk_autograd.credentials.redaction import MARK, Redactor
from zk_autograd.credentials.tokens import cache_file, resolve

FLAG, VARIABLE, FILE = "flag-token-1234", "variable-token-1234", "file-token-1234"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The variables of a user with a cache file."""
    (tmp_path / "token").write_text(FILE + "\n")
    return {"HF_HOME": str(tmp_path)}


def test_the_flag_wins_over_the_variable_and_that_over_the_file(environ: dict[str, str]) -> None:
    redactor = Redactor()
    assert resolve(None, environ, redactor) == FILE
    environ["HF_TOKEN"] = VARIABLE
    assert resolve(None, environ, redactor) == VARIABLE
    assert resolve(FLAG, environ, redactor) == FLAG
    for token in (FLAG, VARIABLE, FILE):
        assert redactor.text(f"a {token} b") == f"a {MARK} b"


def test_the_file_lies_where_its_owners_tools_keep_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_file({}) == tmp_path / ".cache/huggingface/token"
    assert cache_file({"XDG_CACHE_HOME": "/c"}) == Path("/c/huggingface/token")
    assert cache_file({"XDG_CACHE_HOME": "/c", "HF_HOME": "/h"}) == Path("/h/token")


def test_without_any_there_is_none(tmp_path: Path) -> None:
    environ = {"HF_HOME": str(tmp_path / "nowhere"), "HF_TOKEN": ""}
    assert resolve(None, environ, Redactor()) is None
    (tmp_path / "file").touch()
    assert resolve(None, {"HF_HOME": str(tmp_path / "file")}, Redactor()) is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\n",
        "two-words here-1234",
        "one-line\ntwo-lines\n",
        "token-1234\n\n",
        "t\u00f6ken-1234",
        "abc",
        "x" * 4097,
        "a\0bcdefg",
    ],
)
def test_what_is_no_token_is_refused_and_not_repeated(content: str, environ: dict[str, str]) -> None:
    cache_file(environ).write_text(content, encoding="utf-8")
    redactor = Redactor()
    for flag in (None, content):
        with pytest.raises(UsageError, match="holds no token: it must be one word of 4 to 4096") as refused:
            resolve(flag, environ, redactor)
        assert not any(word[:8] in str(refused.value) for word in content.split() if len(word) > 3)
    for word in content.split():
        assert len(word) < 4 or word not in redactor.text(f"the {word} was wrong")


def test_a_pipe_or_folder_in_the_files_place_is_refused_at_once(environ: dict[str, str]) -> None:
    path = cache_file(environ)
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(UsageError, match="is no file; give the Hugging Face token by HF_TOKEN"):
        resolve(None, environ, Redactor())
    path.unlink()
    path.mkdir(0o700)
    with pytest.raises(UsageError, match=r"is no file|can't read the Hugging Face token"):
        resolve(None, environ, Redactor())


def test_code_of_the_user_finds_it_as_a_variable() -> None:
    environ: dict[str, str] = {}
    tokens.provide(None, environ)
    assert environ == {}
    tokens.provide(FLAG, environ)
    assert environ == {"HF_TOKEN": FLAG}


def test_variable_and_file_are_redacted_though_nobody_asked_for_them(environ: dict[str, str]) -> None:
    redactor = Redactor()
    tokens.remember(environ | {"HF_TOKEN": f"{VARIABLE} {FLAG}", "PATH": "/usr/bin"}, redactor)
    assert redactor.text(f"{VARIABLE} {FLAG} {FILE} /usr/bin") == f"{MARK} {MARK} {MARK} /usr/bin"


def test_a_file_that_holds_no_token_hides_nothing_unless_it_is_wanted(environ: dict[str, str]) -> None:
    cache_file(environ).write_text("<html> an error </html>")
    redactor = Redactor()
    tokens.remember(environ, redactor)
    assert redactor.text("an error") == "an error"
    cache_file(environ).unlink()
    cache_file(environ).mkdir()
    tokens.remember(environ, redactor)


def test_no_token_is_taken_from_where_the_caller_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for place in ("token", "huggingface/token"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text("hf_SomebodyPutItThere42")
    for environ in ({"HF_HOME": "."}, {"XDG_CACHE_HOME": "."}):
        assert resolve(None, environ, Redactor()) is None


def test_without_a_home_folder_there_is_no_cached_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("Could not determine home directory."))
    )
    assert resolve(None, {}) is None
    tokens.remember({}, Redactor())
