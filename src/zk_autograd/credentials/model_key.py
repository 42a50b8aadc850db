"""The key that signs published models: an EC private key in PEM, which only its owner can read.

It is apart from the log key: whoever loads a model pins it, with tools that know nothing of a log.
`create` makes P-256; keys of other makers (`openssl genpkey`, `openssl ecparam -genkey`) are taken
on P-256, P-384 and P-521, unencrypted.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, SupportsIndex

from zk_autograd.core.ec_keys import CURVES, EcPublicKey, ecdsa
from zk_autograd.core.errors import UsageError
from zk_autograd.credentials.keyfile import default_path as log_key_path
from zk_autograd.local.secret_files import read_secret, write_pair

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

_MAX_BYTES = 2**14
_NEW_KEY = "make one with `zk-key new-model-key`"


@dataclass(frozen=True, slots=True)
class ModelSigner:
    """A private key in memory. It can't be pickled, and its text doesn't show it."""

    _key: "EllipticCurvePrivateKey" = field(repr=False)

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise UsageError("a model key can't be pickled: give the path of the key's file instead")

    @property
    def public_key(self) -> EcPublicKey:
        from cryptography.hazmat.primitives import serialization

        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return EcPublicKey(self._key.public_key().public_bytes(serialization.Encoding.PEM, form))

    def sign(self, data: bytes) -> bytes:
        """The signature over `data`, DER (`EcPublicKey.verify`)."""
        return self._key.sign(data, ecdsa(self._key.curve))


def default_path() -> Path:
    """Where the key lies unless another place is named: model.key beside the log key's own default
    place. UsageError as for that."""
    return log_key_path().with_name("model.key")


def public_path(path: Path) -> Path:
    """The file of the public half."""
    return path.with_name(path.name + ".pub")


def create(path: Path) -> ModelSigner:
    """Writes a new P-256 key to `path` (PKCS #8, mode 0600) and its public half beside it. Errors
    as `secret_files.write_pair`."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())  # with the system's randomness
    signer = ModelSigner(key)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_pair(path, secret.decode("ascii"), public_path(path), signer.public_key.pem.decode("ascii"))
    return signer


def load(path: Path) -> ModelSigner:
    """The key in a file. UsageError if there is none, if others than its owner can read it, or if
    it isn't an EC key of a known curve; its content is never repeated."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    data = read_secret(path, "model key", _MAX_BYTES, _NEW_KEY)
    try:
        key = serialization.load_pem_private_key(_without_parameters(data), None)
    except TypeError:
        raise UsageError(
            f"{path} is encrypted: decrypt it (openssl pkey -in {path} -out FILE), or {_NEW_KEY}"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"{path} is no private key in PEM: name another, or {_NEW_KEY}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in CURVES:
        raise UsageError(f"{path} is no EC key of a known curve ({', '.join(CURVES)}): {_NEW_KEY}")
    return ModelSigner(key)


def _without_parameters(data: bytes) -> bytes:
    """Without the block that `openssl ecparam -genkey` puts before the key: the key names its curve
    itself."""
    _, mark, rest = data.partition(b"-----END EC PARAMETERS-----")
    return rest.lstrip() if mark else data
