"""A stand-in for AWS KMS, which enforces what its keys' policies say of attestations.

It speaks the JSON 1.1 protocol that boto3 sends: CreateKey, Encrypt, Decrypt, GenerateDataKey. An
attestation document is verified as KMS does (signature, chain, the certificates' time), and its
public key is what the answer is encrypted for: CMS in BER with indefinite lengths, and no
Plaintext. Signatures of requests aren't checked: who asks is nobody's in particular.
"""

import base64
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.enclave.release.enveloped import enveloped
from zk_autograd.core.errors import AttestationError
from zk_autograd.tee.nitro import NitroClaim, verify

ACCOUNT = "111122223333"
REGION = "us-east-1"
_ATTESTED = "kms:RecipientAttestation:"
_CONTEXT = "kms:EncryptionContext:"
_OPERATIONS = ("Encrypt", "Decrypt", "GenerateDataKey")
_MOST_BODY = 2**20


@dataclass
class Key:
    """A KMS key. `policy`: for each operation that is allowed, its conditions: `kms:Recipient
    Attestation:ImageSha384` or `:PCR0`.. (hexadecimal), `kms:EncryptionContext:NAME`; each has the
    values that are allowed. An operation that isn't in it is denied."""

    arn: str
    policy: Mapping[str, Mapping[str, list[str]]]
    material: bytes = field(default_factory=lambda: os.urandom(32), repr=False)
    enabled: bool = True


class Refused(Exception):
    """What KMS answers in place of a result."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


class KmsDouble:
    """The keys, by ARN; `requests` has what was asked, in order."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.endpoint = ""
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """No key, nothing asked. `spoil` changes answers on their way; it changes nothing now."""
        self.keys: dict[str, Key] = {}
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.spoil: Callable[[str, dict[str, Any]], dict[str, Any] | bytes] = lambda operation, answer: answer

    def create(self, policy: Mapping[str, Mapping[str, list[str]]]) -> Key:
        """A new key."""
        name = "-".join(os.urandom(n).hex() for n in (4, 2, 2, 2, 6))
        key = Key(f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}", policy)
        self.keys[key.arn] = key
        return key

    def answer(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        """KMS's answer. Refused."""
        self.requests.append((operation, asked))
        if operation == "CreateKey":
            policy = json.loads(asked.get("Policy", json.dumps({name: {} for name in _OPERATIONS})))
            return {"KeyMetadata": {"KeyId": (arn := self.create(policy).arn).rpartition("/")[2], "Arn": arn}}
        if operation not in _OPERATIONS:
            raise Refused("UnknownOperationException", operation)
        key, context = self._key(asked.get("KeyId", "")), asked.get("EncryptionContext", {})
        claim = self._attested(asked.get("Recipient"))
        _allow(key, operation, claim, context)
        if not key.enabled:
            raise Refused("DisabledException", f"{key.arn} is disabled.")
        if operation == "Encrypt":
            return {"KeyId": key.arn, "CiphertextBlob": _text(_sealed(key, _octets(asked, "Plaintext"), context))}
        if operation == "Decrypt":
            return {"KeyId": key.arn, **_given(claim, _opened(key, _octets(asked, "CiphertextBlob"), context))}
        if asked.get("KeySpec") != "AES_256":
            raise Refused("ValidationException", "KeySpec")
        new = os.urandom(32)
        return {"KeyId": key.arn, "CiphertextBlob": _text(_sealed(key, new, context)), **_given(claim, new)}

    def _key(self, name: str) -> Key:
        for arn, key in self.keys.items():
            if name in (arn, arn.rpartition("/")[2]):
                return key
        raise Refused("NotFoundException", f"Key '{name}' does not exist")

    def _attested(self, recipient: Any) -> NitroClaim | None:
        if recipient is None:
            return None
        if recipient.get("KeyEncryptionAlgorithm") != "RSAES_OAEP_SHA_256":
            raise Refused("ValidationException", "KeyEncryptionAlgorithm")
        try:
            claim = verify(_octets(recipient, "AttestationDocument"), at=self._clock())
        except AttestationError as error:
            raise Refused("ValidationException", f"the attestation document: {error}") from error
        if not claim.public_key:
            raise Refused("ValidationException", "the attestation document has no public key")
        return claim


def _allow(key: Key, operation: str, claim: NitroClaim | None, context: Mapping[str, str]) -> None:
    denied = Refused("AccessDeniedException", f"not authorized to perform: kms:{operation} on resource: {key.arn}")
    if operation not in key.policy:
        raise denied
    for name, allowed in key.policy[operation].items():
        if name.startswith(_CONTEXT):
            found = context.get(name.removeprefix(_CONTEXT))
        elif name.startswith(_ATTESTED):
            found = _register(name.removeprefix(_ATTESTED), claim)
        else:
            raise denied
        if found is None or found not in allowed:
            raise denied


def _register(name: str, claim: NitroClaim | None) -> str | None:
    """A register of the document; None without one, and for a debug enclave, whose registers say
    nothing: no condition is met by them, whatever it allows."""
    if claim is None:
        return None
    number = 0 if name == "ImageSha384" else int(name.removeprefix("PCR"))
    found = claim.pcrs.get(number)
    return found.hex() if found is not None and any(found) else None


def _given(claim: NitroClaim | None, plaintext: bytes) -> dict[str, str]:
    if claim is None:
        return {"Plaintext": _text(plaintext)}
    assert claim.public_key is not None
    try:
        return {"CiphertextForRecipient": _text(enveloped(claim.public_key, plaintext))}
    except ValueError as error:
        raise Refused("ValidationException", "the public key of the attestation document") from error


def _sealed(key: Key, plaintext: bytes, context: Mapping[str, str]) -> bytes:
    nonce = os.urandom(12)
    return nonce + AESGCM(key.material).encrypt(nonce, plaintext, _aad(key, context))


def _opened(key: Key, blob: bytes, context: Mapping[str, str]) -> bytes:
    try:
        return AESGCM(key.material).decrypt(blob[:12], blob[12:], _aad(key, context))
    except (InvalidTag, ValueError) as error:
        raise Refused("InvalidCiphertextException", "") from error


def _aad(key: Key, context: Mapping[str, str]) -> bytes:
    return json.dumps([key.arn, context], sort_keys=True).encode()


def _octets(values: Mapping[str, Any], name: str) -> bytes:
    return base64.b64decode(values[name], validate=True)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


@contextmanager
def serving(double: KmsDouble) -> Iterator[KmsDouble]:
    """The double behind HTTP on a free port of 127.0.0.1, its `endpoint`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(min(int(self.headers["Content-Length"]), _MOST_BODY))
            service, _, operation = self.headers.get("X-Amz-Target", "").partition(".")
            status, said = 200, b""
            try:
                if service != "TrentService" or not self.headers.get("Authorization", "").startswith(
                    "AWS4-HMAC-SHA256"
                ):
                    raise Refused("MissingAuthenticationTokenException", "")
                answer = double.spoil(operation, double.answer(operation, json.loads(body)))
                said = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            except Refused as refused:
                status, said = refused.status, json.dumps({"__type": refused.code, "message": str(refused)}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        double.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield double
        finally:
            server.shutdown()
            thread.join()
