"""`zk-enclave run`: the host's command, from a sealed job to a verdict of L2."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.anchor.rfc3161.authority import OpenSsl, holder, served
from tests.enclave import images
from tests.enclave.hosting import Bench, bench, measurements, records, secret_job
from tests.enclave.instances import NATIVE, NONE
from tests.tee.eif.golden import golden
from tests.verify.attested_runs import EMULATED
from zk_autograd import verify_run
from zk_autograd.cli import enclave, verify
from zk_autograd.core.anchors import Receipt
from zk_autograd.core.errors import RunError
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.register import View
from zk_autograd.enclave.stamping import anchors_of
from zk_autograd.enclave.starting import Nitro
from zk_autograd.tee.eif import default_metadata, write_image
from zk_autograd.verify.policy_file import FORMAT

KEY = Ed25519Signer("a.broker", bytes(32)).public_key.encode()
ROOT = holder("a root", ca=True)
AUTHORITY = holder("an authority", ROOT)
POLICY = f'format = "{FORMAT}"\nrequire = ["L1", "L2"]\n[anchors.rfc3161]\nroots = ["root.pem"]\n'


def flags(table: Bench, job: Path, out: str = "out") -> list[str]:
    place, key = f"127.0.0.1:{table.broker.port}", table.broker.broker.key.encode()
    device = ["--process", "--measurements", str(measurements(table.path / "m.json"))]
    return ["run", "--job", str(job), "--out", str(table.path / out), *device, "--broker", place, "--broker-key", key]


def policy(folder: Path, attestation: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "root.pem").write_bytes(ROOT.pem)
    (folder / "policy.toml").write_text(POLICY + attestation)
    return folder / "policy.toml"


@pytest.mark.slow
def test_a_sealed_job_becomes_a_run_of_l2_whose_log_key_nobody_pins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nonce = bytes(range(16)).hex()
    with bench(tmp_path) as table, served(OpenSsl(tmp_path / "tsa", AUTHORITY)) as url:
        words = flags(table, table.sealed(secret_job(NATIVE)))
        assert enclave.main([*words, "--anchor", f"rfc3161:{url}", "--nonce", nonce, "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {
        "run": str(tmp_path / "out"), "complete": True, "emulated": True, "not_anchored": []
    }  # fmt: skip
    assert printed.err.startswith("emulated: this shows nothing about where it ran")
    run = tmp_path / "out"
    stamped = [
        r.size for line in _lines(run / "anchors/receipts.jsonl") if (r := Receipt.parse(line)).kind == "rfc3161"
    ]
    views = [View.parse(line) for line in _lines(run / "register/views.jsonl")]
    first = next(view for view in views if view.entry.size >= 2)
    assert (min(stamped), max(stamped)) == (first.head.size, views[-1].head.size)
    asked = policy(tmp_path / "own", f'[attestation]\nnonce = "{nonce}"\n{EMULATED}')
    assert verify.main([str(run), "--policy", str(asked)]) == 0, capsys.readouterr().out
    assert "verdict: L0, L1, L2 (the enclave is emulated, and shows nothing)" in capsys.readouterr().out
    production = policy(tmp_path / "production", EMULATED.replace("emulated = true\n", ""))
    report = verify_run(run, policy=production)
    assert (report.failure, report.exit_status) == (None, 3)
    assert any("emulated" in why for why in report.missing), report.missing
    _flip(run / "attestation/document.json")
    assert verify_run(run, policy=asked).exit_status == 1


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[300] ^= 1
    path.write_bytes(data)


@pytest.mark.long
def test_an_authority_that_is_down_leaves_a_run_that_is_not_stamped(tmp_path: Path) -> None:
    with bench(tmp_path) as table, served(lambda query: b"", status=503) as url:
        found = table.host(table.sealed(secret_job()), anchors=anchors_of([f"rfc3161:{url}"]), last_wait=1.0)
    assert found.complete
    [sentence] = found.unstamped
    assert f"{url}: it answers 503" in sentence
    assert (tmp_path / "out/log/checkpoint").exists()


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_a_stopped_host_stops_the_enclave_and_leaves_an_unfinished_run(number: signal.Signals, tmp_path: Path) -> None:
    """With the signal for the host alone, twice; no temporary folder stays."""
    (tmp_path / "tmp").mkdir()
    with bench(tmp_path) as table:
        job = table.sealed(secret_job({**NONE, "steps": 1_000_000, "batch-size": 8}))
        command = [sys.executable, "-m", "zk_autograd.cli.enclave", *flags(table, job), "--json"]
        own = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=own) as host:
            deadline = time.monotonic() + 60
            while len(records(tmp_path / "out")) < 4:
                assert host.poll() is None and time.monotonic() < deadline
                time.sleep(0.05)
            [child] = Path(f"/proc/{host.pid}/task/{host.pid}/children").read_text().split()
            host.send_signal(number)
            time.sleep(0.2)
            host.send_signal(number)
            out, err = host.communicate(timeout=60)
    assert host.returncode == 130, err
    assert json.loads(out) == {"interrupted": True, "run": str(tmp_path / "out"), "resumable": False}
    assert "Nobody can resume it: its key is gone" in err
    with pytest.raises(ProcessLookupError):
        os.kill(int(child), 0)
    assert not list((tmp_path / "tmp").iterdir())
    report = verify_run(tmp_path / "out", require=["L0"])
    assert report.failure is None
    assert report.summary is not None
    assert not report.summary.finished


@pytest.mark.long
def test_an_enclave_that_is_killed_leaves_an_unfinished_run(tmp_path: Path) -> None:
    with bench(tmp_path) as table:
        job = table.sealed(secret_job({**NONE, "steps": 1_000_000}))
        command = [sys.executable, "-m", "zk_autograd.cli.enclave", *flags(table, job)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as host:
            deadline = time.monotonic() + 60
            while len(records(tmp_path / "out")) < 3:
                assert host.poll() is None and time.monotonic() < deadline
                time.sleep(0.05)
            [child] = Path(f"/proc/{host.pid}/task/{host.pid}/children").read_text().split()
            os.kill(int(child), signal.SIGKILL)
            _, err = host.communicate(timeout=60)
    assert host.returncode == 1
    assert "the enclave ended without a word" in err
    assert "holds an unfinished run" in err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--broker"], "--broker-key and --broker-cert are for --broker"),
        (["--broker", "--broker-key"], "--broker or --kms-region says who releases"),
        (["--broker-key"], "--broker-key is needed beside --broker"),
        (["--measurements"], "--measurements is needed beside --process"),
        (["--process"], "--image starts an enclave, --process a process"),
        (["--policy=p.toml"], "--image-key and --policy are for --image"),
        (["--process", "--measurements", "--image=x.eif"], "--image-key is needed beside --image"),
        (["--image=x.eif"], "--image starts an enclave, --process a process"),
        (["--nonce=abcd"], "--nonce has 16 to 64 bytes"),
        (["--tunnel=x"], "is no tunnel"),
        (["--anchor=file:x"], "an enclave's host can have time stamps only"),
        (["--anchor=nowhere"], "names no kind of anchor"),
        (["--kms-endpoint=http://127.0.0.1:1"], "--kms-endpoint is for --kms-region"),
        (
            ["--kms-region=r", "--kms-endpoint=http://127.0.0.1:1", "--process", "--image=x.eif"],
            "--kms-endpoint is for --process",
        ),
        (["--out=."], "exists, and is not overwritten"),
        (["--job=none"], "no folder that can be read"),
        (["--broker=nowhere"], "is no tunnel"),
        (["--broker-key=none"], "the broker's key none can't be read"),
        (["--broker-key=b+1+A"], "--broker-key is no key as"),
        (["--process", "--measurements", "--image=x", "--image-key=y", "--enclave-cid=3"], "--enclave-cid is a number"),
        (["--process", "--measurements", "--image=x", "--image-key=y", "--enclave-cid=4294967295"], "above 3"),
        (["--process", "--measurements", "--image=x", "--image-key=y", "--port=0"], "--port one above 0"),
        (["--process", "--measurements", "--image=x", "--image-key=y", "--cpus=0"], "--cpus is a number from 1"),
        (["--process", "--measurements", "--image=x", "--image-key=y", "--memory=63"], "--memory one from 64"),
    ],
)
def test_flags_that_make_no_sense_are_one_sentence_and_leave_nothing(
    tmp_path: Path, change: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An option without a value is left out."""
    (tmp_path / "job").mkdir()
    given = {
        "--job": str(tmp_path / "job"), "--out": str(tmp_path / "out"), "--process": None,
        "--measurements": str(measurements(tmp_path / "m.json")), "--broker": "127.0.0.1:9", "--broker-key": KEY,
    }  # fmt: skip
    for one in change:
        name, _, value = one.partition("=")
        if value:
            given[name] = value
        else:
            del given[name]
    words = [word for name, value in given.items() for word in ([name] if value is None else [name, value])]
    assert enclave.main(["run", *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.startswith("error: ") and error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job", "m.json"]


def test_a_folder_without_a_job_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "job").mkdir()
    words = [
        "--process",
        "--measurements",
        str(measurements(tmp_path / "m.json")),
        "--broker",
        "h:1",
        "--broker-key",
        KEY,
    ]
    assert enclave.main(["run", "--job", str(tmp_path / "job"), "--out", str(tmp_path / "out"), *words]) == 2
    assert "has 0 key files NAME.key.json, and must have one" in capsys.readouterr().err


def test_an_unsigned_image_is_not_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that starts whatever lies there would run a stranger's code under its own name."""
    monkeypatch.setattr(
        "zk_autograd.enclave.starting.subprocess.run", lambda *words, **options: pytest.fail("it was started")
    )
    (tmp_path / "job").mkdir()
    image, key = tmp_path / "image.eif", tmp_path / "key.pem"
    with image.open("wb") as file:
        write_image(file, io.BytesIO(b"kernel"), "", [io.BytesIO(b"ramdisk")], default_metadata("image", "0"))
    pem = AUTHORITY.certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key.write_bytes(pem)
    words = ["--image", str(image), "--image-key", str(key), "--broker", "h:1", "--broker-key", KEY]
    status = enclave.main(["run", "--job", str(tmp_path / "job"), "--out", str(tmp_path / "out"), *words])
    assert status in (1, 2)
    assert "image.eif.sig" in capsys.readouterr().err


class NitroCli:
    """A stand-in of AWS's tool: it writes down how it was called and the SHA-256 of the image that
    it was given, after `before` (of the shell); `describe` is its answer to that word."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, before: str = ":", describe: str = "echo []"
    ) -> None:
        folder.mkdir()
        self._log = folder / "log"
        self._log.touch()
        program = folder / "nitro-cli"
        program.write_text(
            f"""#!/bin/sh
echo "$@" >> '{self._log}'
case $1 in
run-enclave) {before}; sha256sum < "$3" >> '{self._log}'; echo '{{"EnclaveID":"i-1"}}' ;;
describe-enclaves) {describe} ;;
*) echo '{{}}' ;;
esac
"""
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    @property
    def calls(self) -> list[list[str]]:
        return [line.split() for line in self._log.read_text().splitlines()]


def test_the_image_that_is_started_is_the_one_that_was_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody exchanges the file between the check and the start: their code would run with the
    blessing of the signature."""
    try:
        socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
    except OSError:
        pytest.skip("this kernel has no vsock, over which an enclave's host listens")
    pytest.importorskip("cbor2", reason="attestation documents need the [tee] extra")
    image = images.make(tmp_path, golden("unsigned"))
    (tmp_path / "images.pub").write_bytes(images.public(images.image_key()).pem)
    tool = NitroCli(tmp_path / "bin", monkeypatch, f"echo another > '{image}'")
    job = tmp_path / "job"
    job.mkdir()
    for name in ("job.enc", "job.key.json"):
        (job / name).write_bytes(b"{}")
    words = ["--image", str(image), "--image-key", str(tmp_path / "images.pub"), "--broker", "h:1", "--broker-key", KEY]
    words += ["--enclave-cid", "16", "--port", "5713"]
    assert enclave.main(["run", "--job", str(job), "--out", str(tmp_path / "out"), *words]) == 1
    assert "the enclave ended without a word" in capsys.readouterr().err
    assert image.read_bytes() == b"another\n"
    started, digest, *_ = tool.calls
    assert digest[0] == sha256(golden("unsigned")).hexdigest()
    assert started[1:2] + started[3:] == [
        "--eif-path", "--enclave-cid", "16", "--cpu-count", "2", "--memory", "4096"
    ]  # fmt: skip
    assert not Path(started[2]).exists()


def test_a_nitro_enclave_is_ended_also_if_nobody_can_say_whether_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = NitroCli(tmp_path / "bin", monkeypatch, describe="exit 1")
    (tmp_path / "image.eif").touch()
    instance = Nitro(tmp_path / "image.eif", 16, 2, 512)
    instance.stop()
    instance.stop()
    assert [call[0] for call in tool.calls].count("terminate-enclave") == 1
    assert tool.calls[-1] == ["terminate-enclave", "--enclave-id", "i-1"]


def test_the_tool_is_not_asked_ten_times_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = NitroCli(tmp_path / "bin", monkeypatch, describe="""echo '[{"EnclaveID":"i-1"}]'""")
    (tmp_path / "image.eif").touch()
    instance = Nitro(tmp_path / "image.eif", 16, 2, 512)
    assert not any(instance.ended() for _ in range(20))
    assert [call[0] for call in tool.calls].count("describe-enclaves") == 1
    monkeypatch.setattr("zk_autograd.enclave.starting.LOOK", 0.0)
    assert not instance.ended()
    assert [call[0] for call in tool.calls].count("describe-enclaves") == 2


def test_a_nitro_enclave_without_its_tool_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """vsock and nitro-cli are of machines that the tests don't have."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunError, match="nitro-cli can't be started"):
        Nitro(tmp_path / "image.eif", 16, 2, 512)
