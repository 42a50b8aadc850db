"""Keys wrapped by AWS KMS, as their owner asks for it."""

import os
import sys
import traceback
from collections.abc import Iterator
from dataclasses import replace

import pytest

pytest.importorskip("boto3", reason="AWS KMS needs the [aws] extra")
pytest.importorskip("cbor2", reason="the stand-in for AWS KMS needs the [tee] extra")

from tests.enclave.aws import configure, kms_client
from tests.enclave.kms_double import Key, KmsDouble, serving
from zk_autograd.core.errors import UsageError
from zk_autograd.vault.context import Context
from zk_autograd.vault.errors import KeyServiceDown, VaultError
from zk_autograd.vault.holder.kms import KmsKey, client

CONTEXT = Context("acme", "8c1f" * 8, 40, "checkpoint")
DEK = bytes(range(100, 132))
ALL: dict[str, dict[str, list[str]]] = {"Encrypt": {}, "Decrypt": {}, "GenerateDataKey": {}}


@pytest.fixture(autouse=True)
def configured(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch)


@pytest.fixture(scope="module")
def server() -> Iterator[KmsDouble]:
    with serving(KmsDouble()) as double:
        yield double


@pytest.fixture
def kms(server: KmsDouble) -> KmsDouble:
    """With no key, and honest."""
    server.reset()
    return server


@pytest.fixture
def key(kms: KmsDouble) -> Key:
    return kms.create(ALL)


def holder(kms: KmsDouble, key: Key) -> KmsKey:
    return KmsKey(kms_client(kms.endpoint), key.arn)


def test_opened_by_the_same_key(kms: KmsDouble, key: Key) -> None:
    wrapped = holder(kms, key).wrap(DEK, CONTEXT)
    assert holder(kms, key).unwrap(wrapped, CONTEXT) == DEK
    by_id = KmsKey(kms_client(kms.endpoint), key.arn.rpartition("/")[2])
    assert by_id.unwrap(wrapped, CONTEXT) == DEK
    with pytest.raises(VaultError, match=r"AWS KMS refused \(InvalidCiphertextException\)"):
        holder(kms, kms.create(ALL)).unwrap(wrapped, CONTEXT)


def test_a_refusal_repeats_nothing_of_the_request(kms: KmsDouble, key: Key) -> None:
    """Not in the errors behind it either: a traceback would show them, and botocore's text may have
    the request in it."""
    key.enabled = False
    with pytest.raises(VaultError) as caught:
        holder(kms, key).wrap(DEK, CONTEXT)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    assert "ClientError" not in "".join(traceback.format_exception(caught.value))


def test_a_key_that_kms_made(kms: KmsDouble, key: Key) -> None:
    dek, wrapped = holder(kms, key).generate(CONTEXT)
    assert holder(kms, key).unwrap(wrapped, CONTEXT) == dek and len(dek) == 32


@pytest.mark.parametrize(
    "change", [{"tenant": "acme2"}, {"run": "8c1e" * 8}, {"step": 41}, {"kind": "model"}, {"tenant": "enclave"}]
)
def test_opened_in_its_own_context_alone(kms: KmsDouble, key: Key, change: dict[str, object]) -> None:
    wrapped = holder(kms, key).wrap(DEK, CONTEXT)
    with pytest.raises(VaultError, match="InvalidCiphertextException"):
        holder(kms, key).unwrap(wrapped, replace(CONTEXT, **change))  # type: ignore[arg-type]


def test_a_disabled_key_wraps_nothing(kms: KmsDouble, key: Key) -> None:
    key.enabled = False
    with pytest.raises(VaultError, match=r"AWS KMS refused \(DisabledException\): key .*; nothing was opened"):
        holder(kms, key).wrap(DEK, CONTEXT)


def test_a_service_that_fails_is_worth_another_try(kms: KmsDouble, key: Key) -> None:
    kms.spoil = lambda operation, answer: b"<html>"
    with pytest.raises(KeyServiceDown):
        holder(kms, key).wrap(DEK, CONTEXT)


def test_answers_without_a_whole_key_are_refused(kms: KmsDouble, key: Key) -> None:
    wrapped = holder(kms, key).wrap(DEK, CONTEXT)
    for short in ("", "AAAA", None):
        kms.spoil = lambda operation, answer, short=short: {**answer, "Plaintext": short}  # type: ignore[misc]
        with pytest.raises(VaultError, match="without a Plaintext of 32 to 32 bytes"):
            holder(kms, key).unwrap(wrapped, CONTEXT)


def test_credentials_are_asked_for(kms: KmsDouble, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    without = KmsKey(client("us-east-1", kms.endpoint), key.arn)
    with pytest.raises(UsageError, match="needs credentials"):
        without.wrap(DEK, CONTEXT)


def test_without_boto3_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(UsageError, match=r"pip install 'zk-autograd\[aws\]'"):
        client()


def test_a_region_is_asked_for() -> None:
    assert "AWS_DEFAULT_REGION" not in os.environ
    with pytest.raises(UsageError, match="name the region"):
        client()
    with pytest.raises(UsageError, match="no client of AWS KMS"):
        client("us-east-1", "no URL")
