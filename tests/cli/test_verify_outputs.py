"""What zk-verify writes: pages, signed verdicts, Annex XI; and what it refuses before it judges."""

import json
import os
import shutil
import subprocess
from base64 import b64decode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.credentials.test_auditor_key import write
from tests.verify.run_builder import KEY, honest
from zk_autograd.cli.verify import main
from zk_autograd.verify.verifier import Verifier

PINNED = ["--key", KEY.encode()]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of the backend none."""
    return honest("none").write(tmp_path / "run")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """An auditor's key."""
    return write(tmp_path / "auditor.pem", ed25519.Ed25519PrivateKey.generate())


def predicate(path: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(b64decode(json.loads(path.read_bytes())["payload"]))["predicate"]
    return found


def test_all_outputs_go_with_the_status(
    run: Path, key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = {
        "shown": ([*PINNED, "--require", "L0"], 0, ["ZK_AUTOGRAD_L0"]),
        "less": (PINNED, 3, ["ZK_AUTOGRAD_L0"]),
        "unpinned": ([], 3, []),
        "failed": (PINNED, 1, []),
    }
    for standing, (flags, status, properties) in cases.items():
        if standing == "failed":
            (run / "log/records.jsonl").write_bytes((run / "log/records.jsonl").read_bytes().replace(b"0.5", b"0.4"))
        html, svr = tmp_path / f"{standing}.html", tmp_path / f"{standing}.json"
        capsys.readouterr()
        assert main([str(run), *flags, "--report", str(html), "--svr", str(svr), "--svr-key", str(key)]) == status
        verdict = capsys.readouterr().out.rsplit("verdict: ", 1)[1].strip()
        assert f'<body class="{standing}">' in html.read_text("ascii")
        assert f"<title>{verdict}" in html.read_text("ascii")
        assert predicate(svr)["properties"] == properties
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".tmp")]


def test_json_has_annex_xi_where_it_is_asked_for(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run), *PINNED, "--json"]) == 3
    plain = json.loads(capsys.readouterr().out)
    assert main([str(run), *PINNED, "--json", "--annex-xi"]) == 3
    value = json.loads(capsys.readouterr().out)
    assert len(value.pop("annex_xi")) == 14 and value == plain


def test_annex_xi_stands_before_the_report(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run), *PINNED, "--annex-xi"]) == 3
    shown = capsys.readouterr().out
    assert shown.startswith("Annex XI of the EU AI Act\n") and shown.endswith("\nverdict: L0\n")


def test_what_can_t_be_written_is_refused_before_the_run_is_judged(
    run: Path, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def judged(*_: object) -> None:
        raise AssertionError("the run was judged")

    monkeypatch.setattr(Verifier, "verify", judged)
    open_key = tmp_path / "open.pem"
    shutil.copy(key, open_key)
    open_key.chmod(0o644)
    there, new = str(run / "log/checkpoint"), str(tmp_path / "new")
    for flags, words in (
        (["--report", there], "exists, and is not overwritten"),
        (["--report", str(run / "report.html")], "would lie in"),
        (["--report", str(run / "model" / "report.html")], "would lie in"),
        (["--report", str(tmp_path / "none" / "x.html")], "there is no folder"),
        (["--svr", new], "--svr-key FILE"),
        (["--svr-key", str(key)], "without --svr"),
        (["--svr", new, "--svr-key", str(open_key)], "can be read by others"),
        (["--svr", new, "--svr-key", str(tmp_path / "none")], "--svr-key"),
        (["--svr", str(run / "svr.json"), "--svr-key", str(key)], "would lie in"),
        (["--svr", new, "--report", new, "--svr-key", str(key)], "name the same file"),
    ):
        assert main([str(run), *PINNED, *flags]) == 2
        shown = capsys.readouterr()
        assert (shown.out, shown.err.count("\n")) == ("", 1)
        assert words in shown.err
    assert not (tmp_path / "new").exists()


def test_the_place_of_the_run_counts_however_it_is_named(run: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(run)
    assert main([str(run), *PINNED, "--report", str(link / "report.html")]) == 2
    assert main([str(link), *PINNED, "--report", str(run / "report.html")]) == 2
    root = f"{honest('none').root().hex()}@6"
    assert main([root, "--from", str(run), *PINNED, "--report", str(run / "report.html")]) == 2
    assert not (run / "report.html").exists()


def test_a_page_that_can_t_be_written_is_status_4_and_no_verdict(
    run: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (small_disk / "full").write_bytes(bytes(2**20 - 2**14))
    assert main([str(run), *PINNED, "--report", str(small_disk / "report.html")]) == 4
    shown = capsys.readouterr()
    assert (shown.out, "can't be written" in shown.err) == ("", True)
    assert os.listdir(small_disk) == ["full"]


def test_a_run_of_which_nothing_could_be_read_has_no_signed_verdict(
    run: Path, key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "log/checkpoint").unlink()
    assert main([str(run), *PINNED, "--svr", str(tmp_path / "svr"), "--svr-key", str(key)]) == 1
    shown = capsys.readouterr()
    assert "was not written" in shown.err and shown.out.endswith("verdict: FAILED\n")
    assert not (tmp_path / "svr").exists()


CHECK = """\
jq -r .payload svr.json | base64 -d > payload
jq -r '.signatures[0].sig' svr.json | base64 -d > signature
printf 'DSSEv1 28 application/vnd.in-toto+json %d ' "$(wc -c < payload)" | cat - payload > signed
openssl {verify}
"""
"""What docs/verification.md tells a reader of a signed verdict to run."""

ED25519 = "pkeyutl -verify -pubin -inkey auditor.pub -rawin -in signed -sigfile signature"
P256 = "dgst -sha256 -verify auditor.pub -signature signature signed"


@pytest.mark.skipif(not (shutil.which("jq") and shutil.which("openssl")), reason="jq or openssl is not on this machine")
@pytest.mark.parametrize("verify", [ED25519, P256], ids=["Ed25519", "P-256"])
def test_the_command_of_the_documentation_checks_a_signed_verdict(verify: str, run: Path, tmp_path: Path) -> None:
    private = ed25519.Ed25519PrivateKey.generate() if verify is ED25519 else ec.generate_private_key(ec.SECP256R1())
    key = write(tmp_path / "key", private)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "auditor.pub").write_bytes(public)
    assert main([str(run), *PINNED, "--svr", str(tmp_path / "svr.json"), "--svr-key", str(key)]) == 3

    def check() -> int:
        script = "set -e\n" + CHECK.format(verify=verify)
        return subprocess.run(
            ["sh", "-c", script], cwd=tmp_path, capture_output=True, timeout=60, check=False
        ).returncode

    assert check() == 0
    envelope = json.loads((tmp_path / "svr.json").read_bytes())
    envelope["payload"] = envelope["payload"][:-8] + "fX19fQ=="
    (tmp_path / "svr.json").write_text(json.dumps(envelope))
    assert check() != 0
