"""The table [attestation] of a policy file: which code an auditor trusts, in which enclaves."""

from pathlib import Path

import pytest

from tests.verify.test_policy_file import HEAD, VKEY
from zk_autograd.anchor.kinds import verifiers as anchor_verifiers
from zk_autograd.core.attestation import LEAST_NONCE, MAX_NONCE
from zk_autograd.core.errors import UsageError
from zk_autograd.tee.kinds import KINDS
from zk_autograd.tee.kinds import verifiers as attestation_verifiers
from zk_autograd.verify.outcome import Level
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.policy_file import parse

PCRS = ", ".join(f'pcr{number} = "{number + 1}{number + 1}' + "00" * 47 + '"' for number in (0, 1, 2))
NITRO = f"[attestation.nitro]\nmeasurements = [{{{PCRS}}}]\n"
SNP = f'[attestation.snp]\nmeasurements = ["{"11" * 48}"]\n'
L2 = 'require = ["L1", "L2"]\n'


def read(text: str) -> Policy:
    return parse((HEAD + text).encode(), "the policy", None, anchor_verifiers(), attestation_verifiers())


def refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        read(text)
    assert str(caught.value).startswith("the policy")
    assert str(caught.value).isprintable()


def test_the_job_that_must_have_been_trained() -> None:
    assert read(f'{L2}{NITRO}[attestation]\njob = "{"0f" * 32}"\n').job == b"\x0f" * 32


@pytest.mark.parametrize("job", ['""', f'"{"00" * 31}"', f'"{"00" * 33}"', f'"{"0F" * 32}"', "1", '["00"]'])
def test_what_is_no_jobs_hash_is_refused(job: str) -> None:
    with pytest.raises(UsageError, match=r"policy\.attestation\.job"):
        read(f"{L2}{NITRO}[attestation]\njob = {job}\n")


@pytest.mark.parametrize("size", [LEAST_NONCE, MAX_NONCE])
def test_whom_it_trusts_and_the_auditors_nonce(size: int) -> None:
    policy = read(f'{L2}{NITRO}{SNP}[attestation]\nnonce = "{"0f" * size}"\n')
    assert policy.attestations.keys() == {"nitro", "snp"} == set(KINDS)
    assert policy.nonce == b"\x0f" * size
    assert policy.require == {Level.L1, Level.L2}
    assert policy.keys == ()


def test_of_what_it_says_nothing_nothing_is_trusted() -> None:
    policy = read(f'keys = ["{VKEY}"]\n')
    assert (policy.attestations, policy.nonce) == ({}, b"")


@pytest.mark.parametrize(
    "text", [NITRO, f'require = ["L1"]\n{NITRO}', f'require = ["L0"]\n{NITRO}', L2, 'require = ["L2"]']
)
def test_trust_and_the_level_that_rests_on_it_go_together(text: str) -> None:
    """Trust alone would look like a demand; and beside a key that a flag adds, what the file asks
    for would no longer be asked for."""
    refused(text, "a policy has both, or neither")


@pytest.mark.parametrize("accept", ["", "accept = true\n"])
def test_no_sample_goes_with_l2(accept: str) -> None:
    refused(f"{L2}{NITRO}[sample]\nproofs = 3\n{accept}", "L2 rests on L1, which no sample reaches")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("attestation = []", "policy.attestation is empty"),
        ("attestation = {}", "policy.attestation is empty"),
        ("attestation = true", "policy.attestation is invalid"),
        ('attestation = "nitro"', "policy.attestation is invalid"),
        ("[attestation.nitro]", "policy.attestation.nitro is empty"),
        ("[attestation]\nnitro = true", "policy.attestation.nitro is invalid"),
        ("[attestation.nitro]\nmeasurements = []", "policy.attestation.nitro.measurements is empty"),
        ("[attestation.nitro]\nemulated = true", "measurements is missing"),
        ("[attestation.snp]\nmeasurements = []", "policy.attestation.snp.measurements is empty"),
        (f"{NITRO}debug = true", "unknown fields"),
        ("[attestation.sgx]\nmrenclave = '00'", "this version knows no attestation 'sgx', and can't check one"),
        (f"{NITRO}[attestation.sgx]\nmrenclave = '00'", "this version knows no attestation 'sgx'"),
        ("[attestation]\nmax_age_hours = 24", "this version knows no attestation 'max_age_hours'"),
        (f"[attestation]\nnonce = '{'00' * 16}'", "no .attestation.KIND. that says what is trusted"),
        *(
            (f"{NITRO}[attestation]\nnonce = {nonce}", "policy.attestation.nonce is no nonce")
            for nonce in (
                "''",
                f"'{'00' * 15}'",
                f"'{'00' * 65}'",
                f"'{'0' * 33}'",
                f"'{'0A' * 16}'",
                f"'{'zz' * 16}'",
                f"'0x{'00' * 16}'",
                "16",
                "true",
                "['00112233445566778899aabbccddeeff']",
            )
        ),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(text: str, message: str) -> None:
    refused(f"{L2}{text}\n", message)


def test_without_any_verifier_no_table_is_taken(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="knows no attestation 'nitro'"):
        parse((HEAD + L2 + NITRO).encode(), "the policy")
