"""`zk-enclave seal`, `open` and `new-recipient`: an owner's job, and what comes back sealed."""

import io
import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from zk_autograd.cli.enclave import main
from zk_autograd.enclave.job import Job
from zk_autograd.vault.context import of_enclave
from zk_autograd.vault.holder.keyfile import FileKey
from zk_autograd.vault.holder.recipient import Recipient, RecipientKey
from zk_autograd.vault.keys import KeyFile
from zk_autograd.vault.pairs import Holding, seal_pair
from zk_autograd.vault.seal import unsealed

KEK = bytes(range(32))
JOB = 'steps = 20\nmodel = "logistic"\nlr = 0.05\nbetas = [0.9, 0.99]\nlabel = "sold"\nseed = 7\n'
TABLE = "rooms,age,sold\n" + "".join(f"{n % 7},{n}.25,{'yes' if n % 3 else 'no'}\n" for n in range(40))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a job, a table and a key, and the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("job.toml").write_text(JOB)
    Path("table.csv").write_text(TABLE)
    Path("kek").touch(0o600)
    Path("kek").write_bytes(KEK)
    return tmp_path


def seal(*more: str, job: str = "job.toml", data: str = "table.csv", out: str = "out") -> int:
    return main(["seal", "--job", job, "--data", data, "--out", out, *more])


def opened(folder: Path, dek: bytes) -> Job:
    key_file = KeyFile.parse((folder / "job.key.json").read_bytes())
    return Job.parse(unsealed((folder / "job.enc").read_bytes(), key_file.context, dek, key_file.ciphertext))


def wrapped(folder: Path, by: str) -> bytes:
    return KeyFile.parse((folder / "job.key.json").read_bytes()).wrap(by).wrapped


def new_recipient(name: str) -> RecipientKey:
    assert main(["new-recipient", "--out", name]) == 0
    return RecipientKey.parse(Path(name).read_bytes())


def test_a_job_sealed_for_a_broker_that_has_the_key(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipient = new_recipient("me.key")
    more = ["--recipient", "me.key.pub", "--checkpoint-every", "10", "--proving", "outside", "--json"]
    capsys.readouterr()
    assert seal("--kek-file", "kek", *more) == 0
    told = json.loads(capsys.readouterr().out)
    run = bytes.fromhex(told["run"])
    job = opened(folder / "out", FileKey(KEK).unwrap(wrapped(folder / "out", "keyfile"), of_enclave(run)))
    assert job.run == run and job.table == TABLE.encode()
    exact = {"lr": "0.05", "betas": ["0.9", "0.99"]}
    assert job.settings == {"steps": 20, "model": "logistic", "label": "sold", "seed": 7, **exact}
    assert job.recipient == recipient.public and job.checkpoint_every == 10 and job.proving == "outside"
    assert told["kek"] == FileKey(KEK).name and told["by"] == "keyfile"


def test_a_seed_that_nobody_set_is_drawn(folder: Path) -> None:
    """With the rows' order and the first weights known, a guess at the table could be trained."""
    Path("job.toml").write_text(JOB.replace("seed = 7\n", ""))
    seeds = []
    for name in ("one", "two"):
        assert seal("--kek-file", "kek", out=name) == 0
        context = KeyFile.parse((folder / name / "job.key.json").read_bytes()).context
        seeds.append(
            opened(folder / name, FileKey(KEK).unwrap(wrapped(folder / name, "keyfile"), context)).settings["seed"]
        )
    assert all(isinstance(seed, int) and 2**20 < seed < 2**53 for seed in seeds) and len(set(seeds)) == 2


def test_nothing_of_the_job_lies_in_the_sealed_files(folder: Path) -> None:
    assert seal("--kek-file", "kek") == 0
    for path in (folder / "out").iterdir():
        data = path.read_bytes()
        for secret in (b"rooms", b"logistic", b"sold", KEK, KEK.hex().encode(), TABLE.encode()[20:60]):
            assert secret not in data


def test_each_job_is_another_run(folder: Path) -> None:
    assert seal("--kek-file", "kek") == 0 and seal("--kek-file", "kek", out="other") == 0
    one, two = (KeyFile.parse((folder / name / "job.key.json").read_bytes()) for name in ("out", "other"))
    assert one.context != two.context


def test_a_job_sealed_for_a_brokers_public_key(folder: Path) -> None:
    broker = new_recipient("broker.key")
    assert seal("--broker", "broker.key.pub") == 0
    context = KeyFile.parse((folder / "out" / "job.key.json").read_bytes()).context
    job = opened(folder / "out", broker.unwrap(wrapped(folder / "out", "recipient"), context))
    assert job.table == TABLE.encode() and job.recipient == b""


def test_settings_that_no_enclave_follows_are_told_to_the_owner(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Inside, the same refusal would say nothing: there it would tell the host."""
    for text, said in {
        "out = 'runs/1'\n": "can't be set for an enclave",
        "stepz = 3\n": "is not a setting",
        "steps = 0\n": "must be at least 1",
        "prover = 'ezkl'\n": "in an enclave it is native or none",
        "model = 'my.models:net'\n": "in an enclave it is logistic",
        f"seed = {2**60}\n": "can't be sealed as a job",
        "label = 'none'\n": "none",
        "lr = 2026-01-01\n": "must be a finite number",
        "steps = [": "not TOML",
    }.items():
        Path("job.toml").write_text(text)
        assert seal("--kek-file", "kek") != 0
        assert said in capsys.readouterr().err, text
        assert not (folder / "out").exists()


def test_a_table_that_can_t_be_trained_on_is_told_to_the_owner(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("table.csv").write_text(TABLE + "1,x,no\n")
    assert seal("--kek-file", "kek") == 2
    error = capsys.readouterr().err
    assert "table.csv" in error and "row 42" in error and not (folder / "out").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "one of the arguments --kms --kek-file --broker is required"),
        (["--kek-file", "kek", "--kms", "k"], "not allowed with"),
        (["--kek-file", "kek", "--region", "eu-west-1"], "--region and --endpoint are of --kms"),
        (["--kek-file", "none"], "no key that wraps keys at none"),
        (["--kek-file", "kek", "--checkpoint-every", "5"], "needs --recipient"),
        (["--kek-file", "kek", "--checkpoint-every", "-1"], "--checkpoint-every is -1"),
        (["--kek-file", "kek", "--recipient", "table.csv"], "no recipient's public key"),
        (["--broker", "kek"], "no recipient's public key"),
        (["--kms", "a key"], "named by its ARN"),
    ],
)
def test_wrong_usage_writes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    try:
        status = seal(*more)
    except SystemExit as ended:  # argparse's
        status = int(ended.code or 0)
    assert status == 2 and said in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_a_key_that_others_can_read_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("kek").chmod(0o640)
    assert seal("--kek-file", "kek") == 2
    assert "can be read by others" in capsys.readouterr().err and not (folder / "out").exists()


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_key_of_another_size_is_refused_and_not_shown(
    folder: Path, capsys: pytest.CaptureFixture[str], size: int
) -> None:
    Path("kek").write_bytes(b"secret" * 11 + b"secret")
    os.truncate("kek", size)
    assert seal("--kek-file", "kek") == 2
    error = capsys.readouterr().err
    assert "has to have 32 random bytes" in error and "secretsecret" not in error


def test_nothing_is_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert seal("--kek-file", "kek") == 0
    before = (folder / "out" / "job.enc").read_bytes()
    assert seal("--kek-file", "kek") == 2
    assert "exists" in capsys.readouterr().err and (folder / "out" / "job.enc").read_bytes() == before
    new_recipient("me.key")
    assert main(["new-recipient", "--out", "me.key"]) == 2


def test_a_recipients_files(folder: Path) -> None:
    key = new_recipient("me.key")
    assert stat.S_IMODE(Path("me.key").stat().st_mode) == 0o600
    assert Recipient.parse(Path("me.key.pub").read_bytes()) == key.recipient


@pytest.fixture
def checkpoint(folder: Path) -> Path:
    """A checkpoint as an enclave seals it for me.key."""
    recipient = new_recipient("me.key").recipient
    context = of_enclave(bytes(16), 40, "checkpoint")
    seal_pair(io.BytesIO(b"weights"), folder, "40-checkpoint", context, (Holding(recipient, "me", "recipient"),))
    return folder / "40-checkpoint.enc"


def open_it(path: Path, *more: str, identity: str = "me.key") -> int:
    return main(["open", str(path), "--identity", identity, "--out", "opened", *more])


def test_a_checkpoint_is_opened_by_its_recipient(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert open_it(checkpoint, "--run", "0" * 32, "--json") == 0
    assert Path("opened").read_bytes() == b"weights"
    assert stat.S_IMODE(Path("opened").stat().st_mode) == 0o600
    told = json.loads(capsys.readouterr().out)
    assert told == {"out": "opened", "size": 7, "tenant": "enclave", "run": "0" * 32, "step": 40, "kind": "checkpoint"}


def test_nobody_else_opens_it(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new_recipient("other.key")
    assert open_it(checkpoint, identity="other.key") == 1
    assert "does not open under the recipient's key" in capsys.readouterr().err and not Path("opened").exists()


def test_a_checkpoint_in_anothers_place_is_refused(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The host hands out another run's, renames step 40's to step 41's, or exchanges the sealed
    bytes."""
    assert open_it(checkpoint, "--run", "1" * 32) == 1
    assert "is of the run 0000" in capsys.readouterr().err
    key_file = checkpoint.with_name("40-checkpoint.key.json")
    honest = key_file.read_bytes()
    key_file.write_bytes(honest.replace(b'"step":40', b'"step":41'))
    assert open_it(checkpoint) == 1
    assert "wrapped for another tenant, run, step or kind" in capsys.readouterr().err
    key_file.write_bytes(honest)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1])
    assert open_it(checkpoint) == 1
    assert "is not the one that its key file names" in capsys.readouterr().err
    assert not Path("opened").exists()


@pytest.mark.parametrize(
    ("identity", "said"),
    [
        ("none", "no recipient's private key at none"),
        ("me.key.pub", "can be read by others"),
        ("kek", "is no recipient's"),
    ],
)
def test_an_identity_is_a_private_key(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], identity: str, said: str
) -> None:
    assert open_it(checkpoint, identity=identity) == 2
    assert said in capsys.readouterr().err and not Path("opened").exists()


def test_sealing_loads_no_torch(folder: Path) -> None:
    import subprocess

    code = "import sys; from zk_autograd.cli.enclave import main; s = main(sys.argv[1:]); assert 'torch' not in sys.modules; sys.exit(s)"
    arguments = ["seal", "--job", "job.toml", "--data", "table.csv", "--out", "out", "--kek-file", "kek"]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)


class TestKms:
    """By AWS KMS: the stand-in of tests/enclave."""

    @pytest.fixture
    def server(self, monkeypatch: pytest.MonkeyPatch) -> "Iterator[object]":
        pytest.importorskip("boto3", reason="AWS KMS needs the [aws] extra")
        pytest.importorskip("cbor2", reason="attestation documents need the [tee] extra")
        from tests.enclave.aws import configure
        from tests.enclave.kms_double import KmsDouble, serving

        configure(monkeypatch)
        with serving(KmsDouble()) as double:
            yield double

    def test_the_measured_enclave_opens_the_job(self, folder: Path, server: "object") -> None:
        """From the owner's command to the job inside, over boto3 and the device's document."""
        from tests.enclave.aws import kms_client
        from tests.enclave.kms_double import KmsDouble
        from zk_autograd.core.attestation import release_digest
        from zk_autograd.enclave.release.kms import ReleaseKey, decrypt
        from zk_autograd.tee.device.emulated import EmulatedDevice
        from zk_autograd.vault.errors import VaultError

        assert isinstance(server, KmsDouble)
        pcrs = {0: b"\x10" * 48}
        policy = {"Encrypt": {}, "Decrypt": {"kms:RecipientAttestation:PCR0": [pcrs[0].hex()]}}
        arn = server.create(policy).arn
        assert seal("--kms", arn, "--region", "us-east-1", "--endpoint", server.endpoint) == 0
        key_file = KeyFile.parse((folder / "out" / "job.key.json").read_bytes())
        assert key_file.wrap("kms").kek == arn
        release = ReleaseKey.generate()
        bound = release_digest(bytes.fromhex(key_file.context.run), release.public, b"")
        client, blob = kms_client(server.endpoint), key_file.wrap("kms").wrapped
        document = EmulatedDevice(pcrs).attest(bound, public_key=release.public)
        dek = decrypt(client, arn, blob, key_file.context, release, document)
        assert opened(folder / "out", dek).table == TABLE.encode()
        other = EmulatedDevice({0: b"\x11" * 48}).attest(bound, public_key=release.public)
        with pytest.raises(VaultError, match="AccessDeniedException"):
            decrypt(client, arn, blob, key_file.context, release, other)

    def test_a_key_that_kms_refuses_leaves_nothing(
        self, folder: Path, server: "object", capsys: pytest.CaptureFixture[str]
    ) -> None:
        from tests.enclave.kms_double import KmsDouble

        assert isinstance(server, KmsDouble)
        assert seal("--kms", "alias/none", "--region", "us-east-1", "--endpoint", server.endpoint) == 1
        assert "AWS KMS refused (NotFoundException)" in capsys.readouterr().err
        assert not (folder / "out").exists()
