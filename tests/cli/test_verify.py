"""`zk-verify` as a process and as a function: flags, output, exit status."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from tests.another_user import as_another, public_folder
from tests.verify.run_builder import KEY, SECOND, honest
from zk_autograd.cli import run as zk_run
from zk_autograd.cli.verify import main
from zk_autograd.evidence.bundle import END, header
from zk_autograd.verify.verifier import Verifier

VKEY = KEY.encode()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZK_AUTOGRAD_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return honest("none").write(tmp_path / "run")


def test_all_shown_exits_0(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run), "--key", VKEY, "--require", "L0"]) == 0
    shown = capsys.readouterr()
    assert "verdict: L0\n" in shown.out
    assert "\x1b" not in shown.out
    assert shown.err == ""


def test_less_shown_exits_3(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run), "--key", VKEY]) == 3
    assert "L1 was not reached" in capsys.readouterr().out


def test_nothing_pinned_exits_3(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run), "--require", "L0"]) == 3
    assert "verdict: UNPINNED\n" in capsys.readouterr().out


def test_failed_exits_1(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "log/checkpoint").unlink()
    assert main([str(run), "--key", VKEY, "--long"]) == 1
    shown = capsys.readouterr().out
    assert "verdict: FAILED\n" in shown
    assert " 1  Parse                failed" in shown
    assert " 2  Signatures           not reached" in shown


def test_json_is_one_object(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run), "--key", VKEY, "--require", "L0,L1", "--json"]) == 3
    shown = capsys.readouterr()
    value = json.loads(shown.out)
    assert (value["verdict"], value["exit_status"], value["required"]) == ("L0", 3, ["L0", "L1"])
    assert shown.out.isascii()


def test_root_at_size_from_a_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = honest("none")
    head = f"{whole.root(4).hex()}@4"
    shutil.rmtree(run / "model")  # published later, and nothing covers it in this view (step 10)
    assert main([head, "--from", str(run), "--key", VKEY, "--require", "L0", "--long"]) == 0
    assert f"root {head}" in capsys.readouterr().out
    assert main([f"{whole.root(5).hex()}@4", "--from", str(run), "--key", VKEY, "--require", "L0"]) == 1


def test_a_bundle_is_judged_as_the_run_is(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tmp_path / "run.tar"
    assert zk_run.main(["bundle", str(run), "--out", str(bundle)]) == 0
    capsys.readouterr()
    head = f"{honest('none').root().hex()}@6"
    shown = []
    for target in ([str(run)], [str(bundle)], [head, "--from", str(run)], [head, "--from", str(bundle)]):
        assert main([*target, "--key", VKEY, "--require", "L0", "--long"]) == 0
        shown.append(capsys.readouterr().out.partition("\nrun ")[2])  # before it: where the evidence was
    assert shown[0] == shown[1]
    assert shown[2] == shown[3]


def test_a_malformed_bundle_fails_in_step_1(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tmp_path / "run.tar"
    assert zk_run.main(["bundle", str(run), "--out", str(bundle)]) == 0
    whole = bundle.read_bytes()
    for data in (whole[:-1], whole + bytes(512), whole[:600]):
        bundle.write_bytes(data)
        capsys.readouterr()
        assert main([str(bundle), "--key", VKEY, "--require", "L0", "--json"]) == 1
        report = json.loads(capsys.readouterr().out)
        assert (report["verdict"], report["failure"]["step"]) == ("FAILED", 1)


def test_what_no_record_names_exits_3_until_it_is_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("model.safetensors", "model/extra.bin", "model/.DS_Store", "README.md"):
        (run / name).write_bytes(b"x")
    flags = [str(run), "--key", VKEY, "--require", "L0", "--long"]
    assert main(flags) == 3
    shown = capsys.readouterr().out
    assert "no record in this view names 'model.safetensors', 'model/extra.bin': nothing covers" in shown
    assert "verdict: L0\n" in shown
    named = [*flags, "--accept-uncovered", "model/extra.bin"]
    assert main(named) == 3
    named += ["--accept-uncovered", "model.safetensors"]
    capsys.readouterr()
    assert main(named) == 0
    assert "\nverdict: L0 (uncovered files accepted: 2)\n" in capsys.readouterr().out
    assert main([*named, "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert (value["verdict"], value["exit_status"], value["uncovered_more"]) == ("L0", 0, False)
    assert [(f["name"], f["harmless"], f["accepted"]) for f in value["uncovered"]] == [
        ("README.md", True, False),
        ("model.safetensors", False, True),
        ("model/.DS_Store", True, False),
        ("model/extra.bin", False, True),
    ]


def test_key_in_a_file(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "key.pub"
    path.write_text(VKEY + "\n")
    assert main([str(run), "--key", str(path), "--require", "L0"]) == 0


def test_all_keys_that_are_given_must_have_signed(run: Path) -> None:
    assert main([str(run), "--key", VKEY, "--key", SECOND.public_key.encode(), "--require", "L0"]) == 1


def test_sample_flags_reach_the_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = honest("ezkl").write(
        tmp_path / "run"
    )  # its circuit is no one's: refused in step 5, after the flags were read
    flags = ["--key", VKEY, "--sample", "3", "--beacon", "noon", "--accept-sample", "--srs-digest", "00" * 32]
    assert main([str(run), *flags]) == 1
    assert "not in the catalogue" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--key", "no key"], "neither a file nor a public key"),
        (["--key", "trainer+00000000+AAAA"], "neither a file nor a public key"),
        (["--key", VKEY, "--key", VKEY], "given twice"),
        (["--srs-digest", "00"], "64 hexadecimal digits"),
        (["--srs-digest", "zz" * 32], "64 hexadecimal digits"),
        (["--srs", "nowhere.srs"], "can't be read"),
        (["--require", "L4"], "no level 'L4'"),
        (["--require", ""], "no level ''"),
        (["--require", "L1-sampled"], "L0, L1, L2 and L3"),
        (["--sample", "1"], "at least 2"),
        (["--beacon", "x"], "--sample K"),
        (["--accept-sample"], "--sample K"),
        (["--from", "elsewhere"], "is a run: with --from, name a published file or a ROOT@SIZE"),
        (["--accept-uncovered", "model/"], "is not a path in a run"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_wrong_flags_exit_2_and_say_why(
    run: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    assert main([str(run), *flags]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert message in shown.err
    assert shown.err.count("\n") == 1


def test_wrong_flags_with_json_are_an_object_too(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run), "--require", "L4", "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["kind"], error["exit_status"]) == ("UsageError", 2)


def test_no_such_run_exits_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nowhere")]) == 2
    assert "is not a run" in capsys.readouterr().err
    os.mkfifo(tmp_path / "pipe")
    assert main([str(tmp_path / "pipe")]) == 2


def test_what_is_no_run_is_not_judged(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert zk_run.main(["bundle", str(run), "--out", str(tmp_path / "run.tar")]) == 0
    (tmp_path / "run.tar.gz").write_bytes(gzip.compress((tmp_path / "run.tar").read_bytes()))
    (tmp_path / "table.csv").write_bytes(b"a,b\n" + b"1,2\n" * 999)
    (tmp_path / "project" / "log").mkdir(parents=True)
    (tmp_path / "project" / "log" / "notes.txt").write_bytes(b"x")
    for target, words in {
        "run.tar.gz": "it is gzip-compressed: unpack it with gunzip",
        "table.csv": "it is not a tar archive",
        "project": "it has no log/",
        ".": "it has no log/",
    }.items():
        capsys.readouterr()
        assert main([str(tmp_path / target), "--key", VKEY]) == 2
        shown = capsys.readouterr()
        assert (shown.out, words in shown.err) == ("", True)
        assert shown.err.count("\n") == 1
        assert main([str(tmp_path / target), "--key", VKEY, "--json"]) == 2
        error = json.loads(capsys.readouterr().out)["error"]
        assert (error["kind"], error["exit_status"], words in error["message"]) == ("UsageError", 2, True)


def test_a_run_without_a_part_of_its_log_is_judged(run: Path, tmp_path: Path) -> None:
    (run / "log" / "records.jsonl").rename(tmp_path / "records")
    assert main([str(run), "--key", VKEY]) == 1
    (run / "log").rename(tmp_path / "elsewhere")
    (run / "log").symlink_to(tmp_path / "elsewhere")
    assert main([str(run), "--key", VKEY]) == 1


def test_root_without_a_run_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"{'00' * 32}@5"]) == 2
    assert "--from RUN" in capsys.readouterr().err


def test_secret_key_given_by_mistake_is_not_repeated(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log.key"
    path.write_text("zk-autograd/log-key/v0\nname: trainer\ned25519: c2VjcmV0\n")
    assert main([str(run), "--key", str(path)]) == 2
    path.write_text("c2VjcmV0")
    assert main([str(run), "--key", str(path)]) == 2
    assert "c2VjcmV0" not in "".join(capsys.readouterr())


def test_interrupt_exits_130(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Verifier, "verify", interrupted)
    assert main([str(run), "--key", VKEY]) == 130
    assert capsys.readouterr().err == "error: interrupted\n"


# ---- as a process


def command(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, "-m", "zk_autograd.cli.verify", *arguments],
        capture_output=True,
        text=True,
        env=env,
        timeout=60,
        check=False,
    )


def test_help_starts_without_loading_anything() -> None:
    script = (
        "import sys\nfrom zk_autograd.cli.verify import main\n"
        "try: main(['--help'])\nexcept SystemExit as end: assert end.code == 0\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'numpy', 'cryptography', 'rich', 'safetensors', 'torch', 'ezkl', 'onnx'}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.endswith("[]\n")
    assert "--srs-digest" in done.stdout


def test_verification_loads_nothing_that_it_does_not_need(run: Path) -> None:
    script = (
        f"import sys\nfrom zk_autograd.cli.verify import main\nassert main([{str(run)!r}, '--key', {VKEY!r}, '--require', 'L0']) == 0\n"
        "assert not {'torch', 'ezkl', 'onnx', 'sklearn', 'rich'} & set(sys.modules)"  # rich is for terminals
    )
    subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, check=True)


def test_flags_that_argparse_refuses_exit_2() -> None:
    assert command().returncode == 2
    assert command("run", "--no-such-flag").returncode == 2
    assert command("run", "--sample", "many").returncode == 2


def test_output_survives_an_ascii_terminal(run: Path) -> None:
    done = command(str(run), PYTHONIOENCODING="ascii")
    assert done.returncode == 3
    assert done.stdout.isascii()


def test_reader_that_goes_away_is_no_traceback(run: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "zk_autograd.cli.verify", str(run)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 4
    assert errors == b""


@pytest.mark.parametrize("end", ["\r", "\r\n", " ", "\t\n"])
def test_a_key_that_was_copied_with_the_end_of_its_line_is_taken(run: Path, tmp_path: Path, end: str) -> None:
    assert main([str(run), "--key", VKEY + end, "--require", "L0"]) == 0
    (tmp_path / "key.pub").write_bytes((VKEY + end).encode())
    assert main([str(run), "--key", str(tmp_path / "key.pub"), "--require", "L0"]) == 0


def test_a_key_that_no_file_could_be_called_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("x" * 5000, "a\0b", ""):
        assert main([str(tmp_path), "--key", text]) == 2
        assert "is neither a file nor a public key" in capsys.readouterr().err


def test_a_bundle_without_a_log_is_no_run(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a folder without one."""
    zeros, proof, cut = tmp_path / "zeros.tar", tmp_path / "proof.tar", tmp_path / "cut.tar"
    zeros.write_bytes(END)
    proof.write_bytes(header("proofs/0-0", 0) + END)
    cut.write_bytes(header("proofs/0-0", 0) + END[:600])
    for path in (zeros, proof):
        assert main([str(path), "--key", KEY.encode()]) == 2
        assert "is not a run: it has no log/records.jsonl" in capsys.readouterr().err
    assert main([str(cut), "--key", KEY.encode()]) == 1


def test_a_key_that_is_a_loop_of_links_is_wrong_usage(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert main([str(run), "--key", str(loop)]) == 2
    assert "--key" in capsys.readouterr().err


def test_a_key_behind_a_closed_folder_is_status_4() -> None:
    with public_folder() as folder:
        honest().write(folder / "run")
        (folder / "closed").mkdir(mode=0)
        done = as_another("verify", str(folder / "run"), "--key", str(folder / "closed/key"), cwd=folder)
        assert done.returncode == 4, done.stderr


# ---- a policy file -------------------------------------------------------------------------------

HEAD = f'format = "zk-autograd/policy/v1"\nkeys = ["{VKEY}"]\nrequire = ["L0"]\n'


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(HEAD)
    return path


def test_a_policy_file_decides(run: Path, policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run), "--policy", str(policy)]) == 0
    assert "verdict: L0\n" in capsys.readouterr().out
    policy.write_text(HEAD + "[run]\nmin_steps = 9\n")
    assert main([str(run), "--policy", str(policy)]) == 3
    shown = capsys.readouterr().out
    assert "verdict: L0\n" in shown
    assert "policy, run.min_steps: asked for at least 9 steps, found 8" in shown
    assert "Fix: this run is not what your policy asks for (run.min_steps): take another run\n" in shown
    assert main([str(run), "--policy", str(policy), "--json"]) == 3
    value = json.loads(capsys.readouterr().out)
    assert value["policy"]["sha256"] == sha256(policy.read_bytes()).hexdigest()
    assert [(d["name"], d["met"]) for d in value["policy"]["demands"]] == [
        ("require", True),
        ("keys", True),
        ("run.min_steps", False),
    ]


def test_a_pinned_key_of_the_policy_that_did_not_sign_is_a_failure(
    run: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy.write_text(HEAD.replace(f'"{VKEY}"', f'"{VKEY}", "{SECOND.public_key.encode()}"'))
    assert main([str(run), "--policy", str(policy), "--json"]) == 1
    value = json.loads(capsys.readouterr().out)
    assert (value["verdict"], value["failure"]["step"]) == ("FAILED", 2)
    assert [d["met"] for d in value["policy"]["demands"]] == [None]


def test_flags_beside_a_policy_file(run: Path, policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [str(run), "--policy", str(policy)]
    assert main([*command, "--require", "L1"]) == 3  # more
    assert main([*command, "--key", SECOND.public_key.encode()]) == 1  # more
    policy.write_text(HEAD.replace("L0", "L1"))
    capsys.readouterr()
    for flags, named in (
        (["--require", "L0"], "--require"),
        (["--sample", "3"], "--sample"),
        (["--target-detection", "0.9", "--bad", "1"], "--target-detection"),
        (["--beacon", "noon"], "--beacon"),
        (["--accept-sample"], "--accept-sample"),
        (["--accept-uncovered", "model/x"], "--accept-uncovered"),
        (["--srs-digest", "00" * 32], "--srs-digest"),
    ):
        assert main([*command, *flags]) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err.startswith(f"error: {named} would loosen the policy's ")


def test_one_policy_file_counts(run: Path, policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise the last one would, and a flag at the end of a command would loosen what stands
    before it."""
    assert main([str(run), "--policy", str(policy), "--policy", str(policy)]) == 2
    assert "--policy is given twice" in capsys.readouterr().err


def test_a_policy_that_is_none_is_wrong_usage(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "fifo")
    inside = run / "policy.toml"
    inside.write_text(HEAD)
    for path in (
        tmp_path / "missing",
        tmp_path / "fifo",
        inside,
        tmp_path,
        Path("/dev/null"),
        run / "log/records.jsonl",
    ):
        assert main([str(run), "--policy", str(path)]) == 2
        shown = capsys.readouterr()
        assert (shown.out, shown.err.count("\n")) == ("", 1)
        assert shown.err.startswith("error: the policy ")


def test_a_policy_that_this_user_cannot_read_gives_4() -> None:
    with public_folder() as folder:
        honest("none").write(folder / "run")
        (folder / "policy.toml").write_text(HEAD)
        (folder / "policy.toml").chmod(0)
        flags = ("--policy", str(folder / "policy.toml"))
        done = as_another("verify", str(folder / "run"), *flags, cwd=folder)
        assert (done.returncode, "Permission denied" in done.stderr) == (4, True), done.stderr
