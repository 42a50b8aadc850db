"""Checkpoints and roots that a stranger wrote, or that an auditor mistyped: what is judged under
them, and what isn't."""

import base64
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.verify.hostile import FAILED, FLAGS, LESS, SHOWN, USAGE, VKEY, said, step_of
from tests.verify.run_builder import KEY, SECOND, SIGNER, Run, honest
from zk_autograd.core.keys import KEY_ID_BYTES, Ed25519Signer, Signer
from zk_autograd.core.note import checkpoint_text, sign
from zk_autograd.core.text import encode_base64

DASH = "\u2014 "


@pytest.fixture
def run() -> Run:
    return honest("none")


def line(name: str, value: bytes) -> str:
    return f"{DASH}{name} {encode_base64(value)}\n"


def noted(text: str, *signers: Signer) -> str:
    """The text with true signatures over it, whatever it is."""
    return f"{text}\n" + "".join(
        line(s.public_key.name, s.public_key.key_id + s.sign(text)) for s in signers or (SIGNER,)
    )


def true_text(run: Run) -> str:
    return checkpoint_text(run.header.origin, len(run.leaves()), run.root())


def of_size(size: str) -> Callable[[Run], str]:
    return lambda run: noted(true_text(run).replace("\n6\n", f"\n{size}\n"))


def of_root(change: Callable[[str], str]) -> Callable[[Run], str]:
    def make(run: Run) -> str:
        origin, size, root, _ = true_text(run).split("\n")
        return noted(f"{origin}\n{size}\n{change(root)}\n")

    return make


def of_origin(change: Callable[[str], str]) -> Callable[[Run], str]:
    def make(run: Run) -> str:
        origin, rest = true_text(run).split("\n", 1)
        return noted(f"{change(origin)}\n{rest}")

    return make


def beside(extra: str) -> Callable[[Run], str]:
    """The true note with a line more."""
    return lambda run: noted(true_text(run)) + extra


def as_a_line(name: str, signature: bytes = bytes(64)) -> str:
    return line(name, bytes(KEY_ID_BYTES) + signature)


NAMESAKE = Ed25519Signer(SIGNER.name, bytes(32))

CHECKPOINTS: dict[str, tuple[Callable[[Run], str], int]] = {
    "true": (lambda run: noted(true_text(run)), 0),
    "of two signers": (lambda run: noted(true_text(run), SIGNER, SECOND), 0),
    "of another signer alone": (lambda run: noted(true_text(run), SECOND), 2),
    "of a namesake alone": (lambda run: noted(true_text(run), NAMESAKE), 2),
    "of a namesake too": (lambda run: noted(true_text(run), NAMESAKE, SIGNER), 0),
    "of one signer twice": (lambda run: noted(true_text(run), SIGNER, SIGNER), 1),
    "of one signer twice, once wrong": (beside(line(KEY.name, KEY.key_id + bytes(64))), 1),
    "of another's key under the name and ID": (
        lambda run: true_text(run) + "\n" + line(KEY.name, KEY.key_id + SECOND.sign(true_text(run))),
        2,
    ),
    "with 32 signatures": (beside("".join(as_a_line(f"s{i}") for i in range(31))), 0),
    "with 33 signatures": (beside("".join(as_a_line(f"s{i}") for i in range(32))), 1),
    "with a signature of 0 bytes": (beside(as_a_line("s", b"")), 1),
    "with a signature of 1 byte": (beside(as_a_line("s", b"x")), 0),
    "with our signature of 63 bytes": (
        lambda run: true_text(run) + "\n" + line(KEY.name, KEY.key_id + SIGNER.sign(true_text(run))[:63]),
        2,
    ),
    "with a signature that is no base64": (beside(f"{DASH}s !!!!\n"), 1),
    "with a signature of blanks": (beside(f"{DASH}s  \n"), 1),
    "with a line without a dash": (beside("s AAAAAAAA\n"), 1),
    "with a hyphen for the dash": (lambda run: noted(true_text(run)).replace(DASH, "- "), 1),
    "without signatures": (lambda run: true_text(run) + "\n", 1),
    "without a blank line": (lambda run: noted(true_text(run)).replace("\n\n", "\n"), 1),
    "without its last newline": (lambda run: noted(true_text(run))[:-1], 1),
    "with another extension line": (lambda run: noted(true_text(run) + "extension\n"), 1),
    "with an empty extension line": (lambda run: noted(true_text(run) + "\n"), 1),
    "with blank lines before": (lambda run: noted("\n" + true_text(run)), 1),
    "with blank lines within": (lambda run: noted(true_text(run).replace("\n", "\n\n", 1)), 1),
    "with CRLF": (lambda run: noted(true_text(run)).replace("\n", "\r\n"), 1),
    "with CRLF under the signature": (lambda run: noted(true_text(run).replace("\n", "\r\n")), 1),
    "with NUL": (of_origin(lambda origin: origin + "\0"), 1),
    "with a C1 control": (of_origin(lambda origin: origin + "\x9b31m"), 1),
    "with an escape": (of_origin(lambda origin: origin + "\x1b[31m"), 1),
    "of an empty origin": (of_origin(lambda origin: ""), 1),
    "of a long origin": (of_origin(lambda origin: origin + "x" * 300), 1),
    "of an origin written from the right": (of_origin(lambda origin: "\u202e" + origin), 3),
    "of an origin in capitals": (of_origin(str.upper), 3),
    "of an origin with a blank": (of_origin(lambda origin: origin + " "), 3),
    "of size 05": (of_size("05"), 1),
    "of size 06": (of_size("06"), 1),
    "of size +6": (of_size("+6"), 1),
    "of size -1": (of_size("-1"), 1),
    "of no size": (of_size(""), 1),
    "of size 0": (of_size("0"), 1),
    "of size 6.0": (of_size("6.0"), 1),
    "of size 6 in Arabic": (of_size("\u0666"), 1),
    "of size 2^63 - 1": (of_size(str(2**63 - 1)), 3),
    "of size 2^63": (of_size(str(2**63)), 1),
    "of size 2^64": (of_size(str(2**64)), 1),
    "of a size of 60,000 digits": (of_size("9" * 60_000), 1),
    "of size 5": (of_size("5"), 3),
    "of size 7": (of_size("7"), 3),
    "of a root without padding": (of_root(lambda root: root.rstrip("=")), 1),
    "of a root with more padding": (of_root(lambda root: root + "="), 1),
    "of a root for addresses": (of_root(lambda root: base64.urlsafe_b64encode(b"\xfb" * 32).decode()), 1),
    "of a root in hexadecimal": (of_root(lambda root: base64.b64decode(root).hex()), 1),
    "of a root of 31 bytes": (of_root(lambda root: encode_base64(bytes(31))), 1),
    "of a root of 33 bytes": (of_root(lambda root: encode_base64(bytes(33))), 1),
    "of a root of 0 bytes": (of_root(lambda root: ""), 1),
    "of a root of 1 byte": (of_root(lambda root: encode_base64(b"x")), 1),
    "of a root with bits to spare": (of_root(lambda root: encode_base64(bytes(32))[:-2] + "B="), 1),
    "of another root": (of_root(lambda root: encode_base64(bytes(32))), 3),
    "with a name written from the right": (beside(as_a_line("\u202e\u05d0")), 0),
    "with a name with a line separator": (beside(as_a_line("a\u2028b")), 1),
    "with a name of 256 bytes": (beside(as_a_line("n" * 256)), 1),
    "of 64 KiB and more": (beside(as_a_line("s", bytes(49_000))), 1),
    "torn in a character": (lambda run: noted(true_text(run))[:-1] + "\udce2\n", 1),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_has_one_form_and_says_what_was_signed(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    make, step = CHECKPOINTS[name]
    folder = run.write(tmp_path)
    (folder / "log/checkpoint").write_bytes(make(run).encode("utf-8", "surrogateescape"))
    status, report = said(capsys, folder)
    assert (status, step_of(report)) == (FAILED if step else SHOWN, step), report["failure"]
    if not step:
        assert report["verdict"] == "L0"
        assert report["run"]["size"] == 6


def test_the_notes_above_are_signed_as_the_writer_signs(run: Run) -> None:
    assert noted(true_text(run)).encode() == run.note() == sign(true_text(run), [SIGNER])


# ---- ROOT@SIZE

MISTYPED: dict[str, Callable[[str], str]] = {
    "in capitals": lambda root: f"{root.upper()}@6",
    "with a leading zero": lambda root: f"{root}@06",
    "of size 0": lambda root: f"{root}@0",
    "of size -1": lambda root: f"{root}@-1",
    "of size +6": lambda root: f"{root}@+6",
    "of size 6 in Arabic": lambda root: f"{root}@\u0666",
    "of a superscript": lambda root: f"{root}@\u2076",
    "with a newline": lambda root: f"{root}@6\n",
    "with a blank": lambda root: f"{root} @6",
    "of no size": lambda root: f"{root}@",
    "of two sizes": lambda root: f"{root}@6@6",
    "of 20 digits": lambda root: f"{root}@{'9' * 20}",
    "of a short root": lambda root: f"{root[:-1]}@6",
    "of a long root": lambda root: f"{root}0@6",
    "of base64": lambda root: f"{encode_base64(bytes.fromhex(root))}@6",
    "with 0x": lambda root: f"0x{root}@6",
}


@pytest.mark.parametrize("name", MISTYPED)
def test_a_root_that_is_mistyped_is_wrong_usage(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    folder, text = run.write(tmp_path), MISTYPED[name](run.root().hex())
    assert said(capsys, text, "--from", str(folder), *FLAGS)[0] == USAGE
    assert said(capsys, text, *FLAGS)[0] == USAGE


def test_a_root_beyond_the_log_or_of_another_is_refused(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, root = run.write(tmp_path), run.root().hex()
    for head in (f"{root}@7", f"{root}@5", f"{root}@{2**63 - 1}", f"{root}@{10**18}", f"{'00' * 32}@6"):
        status, report = said(capsys, head, "--from", str(folder), *FLAGS)
        assert (status, step_of(report)) == (FAILED, 3), head
    # A root that was true, of a log that lost its end; and one that the checkpoint doesn't cover.
    run.signed = 4
    status, report = said(capsys, f"{root}@6", "--from", str(run.write(tmp_path / "short")), *FLAGS)
    assert (status, step_of(report)) == (FAILED, 3)


@pytest.mark.parametrize("size", range(1, 6))
def test_a_root_from_before_the_end_is_no_finished_run(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], size: int
) -> None:
    """The model beside it is not that of the view, and no step is shown that comes after it."""
    folder = run.write(tmp_path / "run")
    head = f"{run.root(size).hex()}@{size}"
    status, report = said(capsys, head, "--from", str(folder), *FLAGS)
    assert (status, step_of(report)) == (LESS, 0)
    shutil.rmtree(folder / "model")
    status, report = said(capsys, head, "--from", str(folder), *FLAGS)
    assert (status, report["verdict"]) == (SHOWN, "L0")
    assert (report["run"]["size"], report["run"]["finished"], report["run"]["segments"]) == (
        size,
        False,
        max(size - 2, 0),
    )
    assert said(capsys, head, "--from", str(folder), "--key", VKEY)[0] == LESS
