"""A key that AWS KMS holds: keys of sealed files are sent to it to be wrapped, and come back.

The context is KMS's encryption context (its parts by name), and the key is always named: KMS opens
nothing under another key, or in another context. Clients are boto3's, or what speaks its protocol.

Who uses this client sees the keys of files in the clear. An enclave uses enclave.release.kms, whose
answers only it can open.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zk_autograd.core.errors import UsageError
from zk_autograd.core.text import quoted
from zk_autograd.vault.context import Context
from zk_autograd.vault.errors import KeyRefused, KeyServiceDown, VaultError
from zk_autograd.vault.holder import DEK_BYTES, MAX_WRAPPED, require_dek

MAX_KEY_ID = 2048
CONNECT_S = 5
READ_S = 20
ATTEMPTS = 3

_TEMPORARY = frozenset(
    {
        "DependencyTimeoutException",
        "InternalFailure",
        "KMSInternalException",
        "LimitExceededException",
        "RequestTimeout",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
    }
)
"""Codes that name a state of the service."""

_LIBRARIES = ("boto3", "botocore", "urllib3")


@dataclass(frozen=True, slots=True)
class KmsKey:
    """The KMS key `key_id` (an ARN, an id, or an alias), by a boto3 client."""

    client: Any
    key_id: str

    def wrap(self, dek: bytes, context: Context) -> bytes:
        """The key as KMS encrypted it. VaultError if KMS refuses, KeyServiceDown if it can't be
        asked."""
        require_dek(dek)
        answer = asked(self.client, "encrypt", self.key_id, context, Plaintext=dek)
        return octets(answer, "CiphertextBlob", 1, MAX_WRAPPED)

    def unwrap(self, wrapped: bytes, context: Context) -> bytes:
        """The key that KMS decrypted. Errors as `wrap`."""
        answer = asked(self.client, "decrypt", self.key_id, context, CiphertextBlob=wrapped)
        return octets(answer, "Plaintext", DEK_BYTES, DEK_BYTES)

    def generate(self, context: Context) -> tuple[bytes, bytes]:
        """A new key that KMS made, and the same, wrapped. Errors as `wrap`."""
        answer = asked(self.client, "generate_data_key", self.key_id, context, KeySpec="AES_256")
        return octets(answer, "Plaintext", DEK_BYTES, DEK_BYTES), octets(answer, "CiphertextBlob", 1, MAX_WRAPPED)


def client(region: str = "", endpoint: str = "") -> Any:
    """boto3's client of KMS; credentials come from where boto3 looks for them, and the region, if
    it isn't given. UsageError without boto3 or a region."""
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise UsageError("AWS KMS needs boto3: pip install 'zk-autograd[aws]'") from error
    retries = {"mode": "standard", "total_max_attempts": ATTEMPTS}
    config = Config(connect_timeout=CONNECT_S, read_timeout=READ_S, retries=retries)
    try:
        return boto3.session.Session().client(
            "kms", region_name=region or None, endpoint_url=endpoint or None, config=config
        )
    except (BotoCoreError, ValueError) as error:
        raise UsageError(f"there is no client of AWS KMS: {quoted(str(error), 200)}; name the region") from error


def asked(client: Any, operation: str, key_id: str, context: Context, **parameters: Any) -> Mapping[str, Any]:
    """KMS's answer to an operation on a named key, in a context. VaultError with KMS's own code if
    it refuses; KeyServiceDown if it can't be reached, or its answer can't be read."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

    require_key_id(key_id)
    _quiet()
    try:
        answer = getattr(client, operation)(KeyId=key_id, EncryptionContext=dict(context.names), **parameters)
    except ClientError as error:
        raise _refused(error.response, key_id, context) from None  # its text may repeat the request
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise UsageError("AWS KMS needs credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role") from error
    except BotoCoreError as error:
        raise KeyServiceDown(f"AWS KMS can't be asked ({type(error).__name__}); nothing was opened") from None
    except Exception as error:  # what half an answer makes of the library's parsers: no list of classes holds it
        raise KeyServiceDown(f"AWS KMS gave an answer that can't be read ({type(error).__name__})") from None
    if not isinstance(answer, Mapping):
        raise KeyServiceDown("AWS KMS gave an answer that can't be read")
    _require_key(answer.get("KeyId"), key_id)
    return answer


def octets(answer: Mapping[str, Any], name: str, least: int, most: int) -> bytes:
    """A field of an answer. VaultError unless it is there and has `least` to `most` bytes."""
    value = answer.get(name)
    if not isinstance(value, bytes) or not least <= len(value) <= most:
        raise VaultError(f"AWS KMS answered without a {name} of {least} to {most} bytes; nothing was opened")
    return value


def require_key_id(key_id: str) -> None:
    """UsageError for what can name no key."""
    if not 1 <= len(key_id) <= MAX_KEY_ID or not key_id.isascii() or not key_id.isprintable() or " " in key_id:
        raise UsageError("a KMS key is named by its ARN, its id, or alias/NAME")


def _require_key(found: object, key_id: str) -> None:
    """VaultError if the answer is about another key. KMS answers with the key's ARN; an alias says
    nothing of which key that is."""
    if ":alias/" in key_id or key_id.startswith("alias/"):
        return
    if not isinstance(found, str):
        raise KeyServiceDown("AWS KMS gave half an answer: it names no key; nothing was opened")
    if found != key_id and not found.endswith(f":key/{key_id}"):
        raise VaultError(f"AWS KMS answered for another key than {quoted(key_id)}; nothing was opened")


def _refused(response: Any, key_id: str, context: Context) -> VaultError:
    error = response.get("Error") if isinstance(response, Mapping) else None
    code = str(error.get("Code", "")) if isinstance(error, Mapping) else ""
    metadata = response.get("ResponseMetadata") if isinstance(response, Mapping) else None
    status = metadata.get("HTTPStatusCode", 0) if isinstance(metadata, Mapping) else 0
    if code in _TEMPORARY or not isinstance(status, int) or status >= 500 or status == 429:
        return KeyServiceDown(f"AWS KMS is overloaded or broken ({quoted(code)}); nothing was opened")
    return KeyRefused(
        f"AWS KMS refused ({quoted(code)[1:-1]}): key {quoted(key_id, 100)[1:-1]}, {context}; nothing was opened"
    )


def _quiet() -> None:
    """At DEBUG, the loggers of boto3 and of each of its modules would show keys in the clear: they
    stay at INFO or above."""
    for library in _LIBRARIES:
        for name in (library, *(name for name in logging.root.manager.loggerDict if name.startswith(f"{library}."))):
            logger = logging.getLogger(name)
            if logger.getEffectiveLevel() < logging.INFO:
                logger.setLevel(logging.INFO)
