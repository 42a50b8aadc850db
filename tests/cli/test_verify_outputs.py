"""What zk-verify writes: pages, signed verdicts, Annex XI; and what it refuses before it judges."""

import json
import os
import re
import shutil
import subprocess
import sys
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from tests.another_user import UID, as_another, public_folder
from tests.credentials.test_auditor_key import write
from tests.test_docs import DOCS, VERIFICATION, consoles, section
from tests.verify.kinds import GOLDEN
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
        verdict = capsys.readouterr().out.splitlines()[0].removeprefix("verdict: ")
        assert f'<body class="{standing}">' in html.read_text("ascii")
        assert f"<title>{verdict}" in html.read_text("ascii")
        assert predicate(svr)["properties"] == properties
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".tmp")]


def test_a_run_that_can_t_be_read_here_is_not_judged_in_any_form() -> None:
    with public_folder() as folder:
        honest("none").write(folder / "run")
        (folder / "run/model").chmod(0)
        write(folder / "key", ed25519.Ed25519PrivateKey.generate())
        (folder / "mine").mkdir()
        for path in (folder / "key", folder / "mine"):
            os.chown(path, UID, UID)
        flags = ("--report", "page.html", "--svr", "svr.json", "--svr-key", str(folder / "key"), "--json", "--annex-xi")
        done = as_another("verify", str(folder / "run"), *PINNED, *flags, cwd=folder / "mine")
        assert done.returncode == 4, done.stderr
        value = json.loads(done.stdout)
        assert (value["verdict"], value["levels"]) == ("NOT JUDGED", [])
        assert {fact["source"] for heading in value["annex_xi"] for fact in heading["facts"]} == {"absent"}
        assert '<body class="unjudged">' in (folder / "mine/page.html").read_text("ascii")
        found = predicate(folder / "mine/svr.json")
        assert found["properties"] == [] and "NOT JUDGED" in str(found["zkAutograd"])


def test_json_has_annex_xi_where_it_is_asked_for(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run), *PINNED, "--json"]) == 3
    plain = json.loads(capsys.readouterr().out)
    assert main([str(run), *PINNED, "--json", "--annex-xi"]) == 3
    value = json.loads(capsys.readouterr().out)
    assert len(value.pop("annex_xi")) == 14 and value == plain


def test_annex_xi_stands_beside_the_report(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run), *PINNED, "--annex-xi"]) == 3
    shown = capsys.readouterr().out
    assert shown.startswith("verdict: L0\n") and "\n\nAnnex XI of the EU AI Act\n" in shown
    assert main([str(run), *PINNED, "--annex-xi", "--long"]) == 3
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
    assert "was not written" in shown.err and shown.out.startswith("verdict: FAILED\n")
    assert not (tmp_path / "svr").exists()


@pytest.mark.skipif(not (shutil.which("jq") and shutil.which("openssl")), reason="jq or openssl is not on this machine")
@pytest.mark.parametrize("algorithm", ["ed25519", "p256"])
def test_the_commands_of_the_documentation_make_and_check_a_signed_verdict(algorithm: str, tmp_path: Path) -> None:
    """To the letter, but for the time."""
    text = section(VERIFICATION, "A signed verdict")
    script, expected = "", ""
    for line in "\n".join(consoles(text)[1:]).splitlines():
        if line.startswith("$ "):
            script += line[2:] + "\n"
        else:
            expected += line + "\n"
    if algorithm == "p256":
        (verify,) = re.findall(r"`(openssl dgst [^`]*)`", text)
        script = re.sub("(?m)^openssl pkeyutl .*$", verify, script)
        script = script.replace("-algorithm ed25519", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256")
        expected = expected.replace("Signature Verified Successfully", "Verified OK")
    shutil.copytree(GOLDEN, tmp_path / "runs/20261121T193244Z")
    shutil.copy(GOLDEN.parent / "test.key.pub", tmp_path / "trainer.pub")
    start = f'set -e\nzk-verify() {{ "{sys.executable}" -m zk_autograd.cli.verify "$@"; }}\n'

    def shell(script: str) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.run(
            ["bash", "-c", start + script],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    done = shell(script)
    time = r'(?<="timeCreated": ")[0-9T:Z-]{20}'
    assert re.sub(time, "", done.stdout) == re.sub(time, "", expected), done.stderr
    assert (
        abs(datetime.fromisoformat(re.findall(time, done.stdout)[0]).timestamp() - datetime.now(UTC).timestamp()) < 60
    )

    _, again = script.split("zk-verify", 1)[1].split("\n", 1)  # what checks it
    envelope = json.loads((tmp_path / "svr.json").read_bytes())
    payload = b64decode(envelope["payload"]).replace(b"ZK_AUTOGRAD_L0", b"ZK_AUTOGRAD_L9")
    (tmp_path / "svr.json").write_text(json.dumps({**envelope, "payload": b64encode(payload).decode()}))
    assert shell(again).returncode != 0


def test_the_documentation_shows_the_end_of_annex_xi(capsys: pytest.CaptureFixture[str]) -> None:
    (shown,) = consoles(section((DOCS / "annex-xi.md").read_text("utf-8"), "What you see"))
    assert main([str(GOLDEN), "--key", str(GOLDEN.parent / "test.key.pub"), "--annex-xi"]) == 0
    told = capsys.readouterr().out
    command, piece = shown.split("\n...\n")
    assert command.startswith("$ zk-verify ") and told.endswith(f"\n{piece}\n")
