"""Where a token comes from, which place wins, and that no refusal repeats it."""

import os
from pathlib import Path

import pytest

from zk_autograd.core.errors import UsageError
from zk_autograd.credentials import tokens
from zk_autograd.credentials.redaction import MARK, Redactor
from zk_autograd.credentials.tokens import HUGGING_FACE, SERVICE, Source, resolve

FLAG, VARIABLE, FILE = "flag-token-1234", "variable-token-1234", "file-token-1234"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The variables of a user with both cache files."""
    for path in (tmp_path / "hf/token", tmp_path / "cache/token"):
        path.parent.mkdir()
        path.write_text(FILE + "\n")
        path.chmod(0o600)
    return {"HF_HOME": str(tmp_path / "hf"), "ZK_AUTOGRAD_CACHE": str(tmp_path / "cache")}


@pytest.mark.parametrize("source", [HUGGING_FACE, SERVICE], ids=lambda s: s.variable)
def test_the_flag_wins_over_the_variable_and_that_over_the_file(source: Source, environ: dict[str, str]) -> None:
    redactor = Redactor()
    assert resolve(source, None, environ, redactor) == FILE
    environ[source.variable] = VARIABLE
    assert resolve(source, None, environ, redactor) == VARIABLE
    assert resolve(source, FLAG, environ, redactor) == FLAG
    for token in (FLAG, VARIABLE, FILE):
        assert redactor.text(f"a {token} b") == f"a {MARK} b"


def test_files_lie_where_the_owners_tools_keep_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert HUGGING_FACE.file({}) == tmp_path / ".cache/huggingface/token"
    assert HUGGING_FACE.file({"XDG_CACHE_HOME": "/c"}) == Path("/c/huggingface/token")
    assert HUGGING_FACE.file({"XDG_CACHE_HOME": "/c", "HF_HOME": "/h"}) == Path("/h/token")
    assert SERVICE.file({}) == tmp_path / ".cache/zk-autograd/token"
    assert SERVICE.file({"XDG_CACHE_HOME": "/c"}) == Path("/c/zk-autograd/token")


def test_without_any_there_is_none(tmp_path: Path) -> None:
    environ = {"HF_HOME": str(tmp_path / "nowhere"), "HF_TOKEN": ""}
    assert resolve(HUGGING_FACE, None, environ, Redactor()) is None
    (tmp_path / "file").touch()
    assert resolve(HUGGING_FACE, None, {"HF_HOME": str(tmp_path / "file")}, Redactor()) is None


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_of_ours_that_others_can_read_is_refused(mode: int, environ: dict[str, str]) -> None:
    for source in (SERVICE, HUGGING_FACE):
        source.file(environ).chmod(mode)
    with pytest.raises(UsageError, match=rf"token can be read by others \(mode 0{mode:o}\): `chmod 600 .*`, and renew"):
        resolve(SERVICE, None, environ, Redactor())
    assert resolve(SERVICE, FLAG, environ, Redactor()) == FLAG
    assert resolve(HUGGING_FACE, None, environ, Redactor()) == FILE


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
    HUGGING_FACE.file(environ).write_text(content, encoding="utf-8")
    redactor = Redactor()
    for flag in (None, content):
        with pytest.raises(UsageError, match="holds no token: it must be one word of 4 to 4096") as refused:
            resolve(HUGGING_FACE, flag, environ, redactor)
        assert not any(word[:8] in str(refused.value) for word in content.split() if len(word) > 3)
    for word in content.split():
        assert len(word) < 4 or word not in redactor.text(f"the {word} was wrong")


def test_a_pipe_or_folder_in_the_files_place_is_refused_at_once(environ: dict[str, str]) -> None:
    path = HUGGING_FACE.file(environ)
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(UsageError, match="is no file; give the Hugging Face token by HF_TOKEN"):
        resolve(HUGGING_FACE, None, environ, Redactor())
    path.unlink()
    path.mkdir(0o700)
    with pytest.raises(UsageError, match=r"is no file|can't read the Hugging Face token"):
        resolve(HUGGING_FACE, None, environ, Redactor())


def test_code_of_the_user_finds_it_as_a_variable() -> None:
    environ: dict[str, str] = {}
    tokens.provide(HUGGING_FACE, None, environ)
    assert environ == {}
    tokens.provide(HUGGING_FACE, FLAG, environ)
    assert environ == {"HF_TOKEN": FLAG}


def test_variables_are_redacted_though_nobody_asked_for_them() -> None:
    redactor = Redactor()
    tokens.remember({"HF_TOKEN": VARIABLE, "ZK_AUTOGRAD_TOKEN": f"{FLAG} {FILE}", "PATH": "/usr/bin"}, redactor)
    assert redactor.known == {VARIABLE, FLAG, FILE}


def test_no_token_is_taken_from_where_the_caller_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for place in ("token", "huggingface/token"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text("hf_SomebodyPutItThere42")
        (tmp_path / place).chmod(0o600)
    for environ in ({"HF_HOME": "."}, {"XDG_CACHE_HOME": "."}):
        assert resolve(HUGGING_FACE, None, environ, Redactor()) is None


def test_without_a_home_folder_there_is_no_cached_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("Could not determine home directory."))
    )
    for source in (HUGGING_FACE, SERVICE):
        assert resolve(source, None, {}) is None
    with pytest.raises(UsageError, match="ZK_AUTOGRAD_CACHE is 'here'"):
        resolve(SERVICE, None, {"ZK_AUTOGRAD_CACHE": "here"})
