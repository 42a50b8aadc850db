"""A broker's policy file: what it allows, and that it never allows by silence."""

from pathlib import Path

import pytest

from tests.broker.brokers import policy_text
from zk_autograd.broker.policy import load
from zk_autograd.core.errors import UsageError
from zk_autograd.tee.kinds import verifiers

HEAD = 'format = "zk-autograd/policy/v1"\nrequire = ["L2"]\n'


def read(tmp_path: Path, text: str | bytes) -> object:
    path = tmp_path / "policy.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(path, verifiers())


def test_a_policy(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(policy_text())
    found = load(path, verifiers())
    assert (list(found.trust), found.emulated) == (["nitro"], True)
    path.write_text(policy_text(emulated=False))
    assert not load(path, verifiers()).emulated


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "no format": ("", "format is not one"),
    "another format": ('format = "zk-autograd/policy/v9"\n', "format is not one"),
    "no table": (HEAD, "has both, or neither"),
    "none that allows an enclave": ('format = "zk-autograd/policy/v1"\nrequire = ["L1"]\n', "allows no enclave"),
    "an empty table": (f"{HEAD}[attestation]\n", "empty"),
    "an auditor's nonce": (
        policy_text().replace("[att", f'[attestation]\nnonce = "{"ab" * 16}"\n[att', 1),
        "draws its own",
    ),
    "no measurements": (f"{HEAD}[attestation.nitro]\nemulated = true\n", "measurements is missing"),
    "an empty list of measurements": (f"{HEAD}[attestation.nitro]\nmeasurements = []\n", "empty"),
    "zero measurements": (
        policy_text({0: bytes(48), 1: bytes(48), 2: bytes(48)}),
        "is zero, which measures nothing",
    ),
    "an unknown kind": (f"{HEAD}[attestation.sgx]\nmeasurements = [1]\n", "knows no attestation 'sgx'"),
    "no table of a kind": (f"{HEAD}[attestation]\nnitro = true\n", "nitro is invalid"),
    "an unknown field": (f'kees = ["a"]\n{policy_text()}', "unknown fields"),
    "an unknown field of a kind": (f"{policy_text()}all = true\n", "unknown fields"),
    "no TOML": ("[", "is not TOML"),
    "no UTF-8": (b"\xff", "is not UTF-8"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_policy_is_refused(name: str, tmp_path: Path) -> None:
    text, message = REFUSED[name]
    with pytest.raises(UsageError, match=message):
        read(tmp_path, text)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the policy"):
        load(tmp_path / "none", verifiers())
