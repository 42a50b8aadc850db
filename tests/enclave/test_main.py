"""The enclave's main program: what it says of itself, and what it doesn't say."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from tests.enclave.hosting import bench, measurements, secret_job
from tests.enclave.instances import NONE
from zk_autograd.core.errors import GradientError, ProverError, RangeError, RunError, VerificationError, ZkError
from zk_autograd.enclave import main as main_module
from zk_autograd.enclave.main import NITRO_SOURCE, UNOPENED, main, require_entropy, said_of
from zk_autograd.enclave.relay.client import Outlet, Relay
from zk_autograd.vault.errors import KeyRefused, KeyServiceDown, VaultError


def program(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "zk_autograd.enclave.main", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
def test_the_self_test_names_the_device_and_loads_no_torch(tmp_path: Path) -> None:
    done = program("--device", f"emulated:{measurements(tmp_path / 'm.json')}", "--self-test")
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    assert said["torch"] is False
    assert said["device"] == "emulated, which shows nothing"


@pytest.mark.slow
def test_a_host_that_does_not_listen_is_waited_for_by_nobody(tmp_path: Path) -> None:
    relay = ["--relay", f"unix:{tmp_path / 'none'}"]
    done = program(*relay, "--device", f"emulated:{measurements(tmp_path / 'm.json')}")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


@pytest.mark.parametrize(("found", "accepted"), [(NITRO_SOURCE, True), ("virtio_rng.0", False), ("", False)])
def test_a_nitro_enclave_takes_randomness_of_its_secure_module_alone(
    tmp_path: Path, found: str, accepted: bool
) -> None:
    source = tmp_path / "rng_current"
    source.write_text(found + "\n")
    if accepted:
        require_entropy(source)
        return
    with pytest.raises(RunError, match="is not from the Nitro secure module"):
        require_entropy(source)


def test_a_machine_without_the_source_is_no_nitro_enclave(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="can't be read"):
        require_entropy(tmp_path / "none")


def test_a_nitro_enclave_asks_for_that_before_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key drawn from randomness that the host chose is the host's."""
    monkeypatch.setattr(main_module, "open_device", lambda spec: pytest.fail("the device was opened first"))
    monkeypatch.setattr(main_module, "require_entropy", partial(require_entropy, Path("/dev/null")))
    with pytest.raises(RunError, match="is not from the Nitro secure module"):
        main_module._status(cast(Relay, None), cast(Outlet, None), "nitro")


@pytest.mark.parametrize(
    ("error", "hidden"),
    [
        (RangeError("weight", "layer.sesame", 3, 123456789, 2**45, "lower lr"), ["sesame", "123456789"]),
        (GradientError("layer.sesame has NaN at 3"), ["sesame", "3"]),
        (ProverError("element 3 is 123456789"), ["123456789"]),
        (VerificationError("job.settings is invalid", found="sesame"), ["sesame", "settings"]),
    ],
)
def test_what_the_host_is_told_of_an_error_has_no_data_in_it(error: ZkError, hidden: list[str]) -> None:
    said = said_of(error)
    assert not any(word in said for word in hidden)
    assert said_of(RunError("the host says nothing")) == "the host says nothing"


def test_whatever_a_secret_does_not_open_is_one_sentence_outside() -> None:
    """The host can't tell a key's failure from the sealed job's; what a key's holder refuses in its
    own words, with nothing decrypted, is said."""
    failures = [
        VaultError("a key of 15 bytes"),
        VaultError("the sealed file does not open with its key"),
        VaultError(""),
    ]
    assert {said_of(error) for error in failures} == {UNOPENED}
    for error in (KeyRefused("AWS KMS refused"), KeyServiceDown("AWS KMS can't be asked")):
        assert said_of(error) == str(error)


@pytest.mark.long
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rule": "sgd", "lr": "4000", "steps": 100}, "a step can't be taken"),
        ({"sesame": 1}, "a setting can't be followed, or is none"),
        ({"lr": "sesame"}, "its setting lr can't be followed"),
        ({"label": "sesame"}, "can't be trained on"),
    ],
)
def test_a_job_that_cant_be_trained_says_nothing_of_its_data(
    tmp_path: Path, settings: dict[str, object], said: str
) -> None:
    with bench(tmp_path) as table:
        found = table.host(table.sealed(secret_job({**NONE, **settings})))
    assert not found.complete
    assert said in found.reason
    assert "column" not in found.reason and "sesame" not in found.reason


def test_flags_of_no_sense(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--device", "snp"])
    assert "--relay says where the host is" in capsys.readouterr().err
