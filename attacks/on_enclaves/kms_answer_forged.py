"""Attack: answer an enclave in the place of AWS KMS, or change KMS's answer on its way.

Gain: the job's key in the clear, in the host's hands; or an enclave that trains under a key that
the host knows.

Why it fails: an answer with a Plaintext is refused, whatever stands beside it; the key has to be
CMS for the one RSA key that this request's document attests, in the one form that KMS gives; and
KMS gives it to measured images alone (enclave.release.kms, enclave.release.cms).
"""

import base64
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

from attacks.tools.enclaves import Attempt, said
from attacks.tools.enclaves import outcome as outcome_of
from attacks.tools.outcome import Outcome
from zk_autograd.core.attestation import release_digest
from zk_autograd.tee.device.emulated import EmulatedDevice
from zk_autograd.vault.context import of_enclave
from zk_autograd.vault.errors import VaultError

NAME = "an answer of KMS forged"
GAIN = "the job's key in the host's hands, or a key of the host's in the enclave"
RUN = bytes(range(16))
DEK = bytes(range(200, 232))
PCRS = {number: bytes([number + 1]) * 48 for number in (0, 1, 2)}
_SETTINGS = {
    "AWS_ACCESS_KEY_ID": "attack",
    "AWS_SECRET_ACCESS_KEY": "attack",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}

Spoil = Callable[[str, dict[str, Any]], dict[str, Any] | bytes]


def missing() -> str:
    """What isn't here; "" if nothing is."""
    lacking = [name for name in ("boto3", "asn1crypto", "cbor2") if find_spec(name) is None]
    return f"not installed: {', '.join(lacking)}" if lacking else ""


@contextmanager
def _configured() -> Iterator[None]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with patch.dict(os.environ, own | _SETTINGS, clear=True):
        yield


@cache
def _keys() -> tuple[Any, Any]:
    """The enclave's release key, and one whose private half the host has."""
    from zk_autograd.enclave.release.kms import ReleaseKey

    return ReleaseKey.generate(), ReleaseKey.generate()


def _asked(spoil: Spoil | None = None, pcrs: dict[int, bytes] = PCRS, public: bytes = b"") -> str:
    """What an enclave says to the answer, or KMS to the enclave. `public`: the key that the
    document attests, if another than the enclave's."""
    from tests.enclave.aws import kms_client
    from tests.enclave.kms_double import KmsDouble, serving
    from zk_autograd.enclave.release.kms import decrypt
    from zk_autograd.vault.holder.kms import KmsKey

    own = _keys()[0]
    image = {"kms:RecipientAttestation:PCR0": [PCRS[0].hex()]}
    with serving(KmsDouble()) as kms, _configured():
        key, client = kms.create({"Encrypt": {}, "Decrypt": image}), kms_client(kms.endpoint)
        wrapped = KmsKey(client, key.arn).wrap(DEK, of_enclave(RUN))
        attested = public or own.public
        document = EmulatedDevice(pcrs).attest(release_digest(RUN, attested, b""), public_key=attested)
        kms.spoil = spoil or kms.spoil
        return said(lambda: decrypt(client, key.arn, wrapped, of_enclave(RUN), own, document), VaultError)


def _enveloped(public: bytes, dek: bytes) -> str:
    from tests.enclave.release.enveloped import enveloped

    return base64.b64encode(enveloped(public, dek)).decode()


def in_the_clear(folder: Path) -> str:
    """With the right ciphertext beside it: the host has seen the key all the same."""
    return _asked(lambda _, answer: {**answer, "Plaintext": base64.b64encode(DEK).decode()})


def for_another_recipient(folder: Path) -> str:
    """The true key, encrypted for the host's RSA key."""
    return _asked(lambda _, answer: {**answer, "CiphertextForRecipient": _enveloped(_keys()[1].public, DEK)})


def of_a_document_with_the_hosts_key(folder: Path) -> str:
    """The document attests the host's key, so that KMS encrypts for it."""
    return _asked(public=_keys()[1].public)


def in_another_algorithm(folder: Path) -> str:
    """A content cipher that KMS doesn't use, in which an answer could be bent (AES-128-CBC)."""
    aes_256, aes_128 = (bytes.fromhex(f"0609608648016503040{code}") for code in ("12a", "102"))

    def spoil(_: str, answer: dict[str, Any]) -> dict[str, Any]:
        found = base64.b64decode(answer["CiphertextForRecipient"])
        assert aes_256 in found
        return {**answer, "CiphertextForRecipient": base64.b64encode(found.replace(aes_256, aes_128)).decode()}

    return _asked(spoil)


def to_another_image(folder: Path) -> str:
    """The host's image, in an enclave of its own, asks for the key."""
    return _asked(pcrs={**PCRS, 0: b"\x77" * 48})


ATTEMPTS = (
    Attempt("in the clear", "the key in the clear (Plaintext)", in_the_clear),
    Attempt("for another recipient", "another recipient", for_another_recipient),
    Attempt("of a document with the host's key", "another recipient", of_a_document_with_the_hosts_key),
    Attempt("in another algorithm", "algorithm", in_another_algorithm),
    Attempt("to another image", "AccessDeniedException", to_another_image),
)


def run() -> Outcome:
    """All attempts."""
    if why := missing():
        return Outcome(NAME, False, "", GAIN, skipped=why)
    return outcome_of(NAME, "the enclave, and KMS", GAIN, ATTEMPTS)
