"""What a host tells its enclave before it begins: who releases the key, and an auditor's nonce.
None of it is secret, and none is believed: a key that isn't the job's doesn't open the job.

    {"format": "zk-autograd/enclave-start/v0", "nonce": <hexadecimal, "" for none>,
     "broker": {"host": ..., "key": <its public key>, "certificates": [<lines of PEM>]},
     "kms": {"region": ..., "endpoint": <"" for AWS's own>, "id": ..., "secret": ..., "token": ...}}

One of the two is there. `id`, `secret` and `token` are the host's own credentials at AWS, with
which KMS may be asked: what it answers is for the enclave that it is shown, whoever asks.
"""

from dataclasses import dataclass, field

from zk_autograd.core import canonical
from zk_autograd.core.attestation import LEAST_NONCE, MAX_NONCE
from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields

FORMAT = "zk-autograd/enclave-start/v0"
MAX_START = 2**16


@dataclass(frozen=True, slots=True)
class BrokerPlace:
    """A broker: the host's name of its URL, its public key, and the certificates that it may show
    (PEM; "": it is spoken to in the clear, which shows the host what is asked, and no key)."""

    host: str
    key: str
    certificates: str = ""


@dataclass(frozen=True, slots=True)
class KmsPlace:
    """AWS KMS in a region; or, for an emulated device alone, what speaks its protocol in the clear
    at `endpoint` (http://HOST:PORT)."""

    region: str
    endpoint: str = ""
    id: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Start:
    """See above."""

    broker: BrokerPlace | None = None
    kms: KmsPlace | None = None
    nonce: bytes = b""

    def encode(self) -> bytes:
        """ValueError for texts of no form."""
        value: dict[str, Json] = {"format": FORMAT, "nonce": self.nonce.hex()}
        if self.broker is not None:
            lines: list[Json] = list(self.broker.certificates.splitlines())
            value["broker"] = {"host": self.broker.host, "key": self.broker.key, "certificates": lines}
        if self.kms is not None:
            kms = self.kms
            names = {"id": kms.id, "secret": kms.secret, "token": kms.token}
            value["kms"] = {"region": kms.region, "endpoint": kms.endpoint} | names
        return canonical.encode(value)

    @classmethod
    def parse(cls, data: bytes) -> "Start":
        """VerificationError."""
        fields = Fields(canonical.decode(data, max_bytes=MAX_START), "start")
        fields.choice("format", (FORMAT,))
        found = cls(
            _broker(fields.object("broker")) if "broker" in fields else None,
            _kms(fields.object("kms")) if "kms" in fields else None,
            _nonce(fields.text("nonce", 2 * MAX_NONCE, min_len=0)),
        )
        fields.end()
        return found


def _broker(fields: Fields) -> BrokerPlace:
    lines = fields.texts("certificates", 1000, 100)
    place = BrokerPlace(fields.text("host", 300), fields.text("key", 4096), "".join(line + "\n" for line in lines))
    fields.end()
    return place


def _kms(fields: Fields) -> KmsPlace:
    names = [fields.text(name, 4096, min_len=0) for name in ("id", "secret", "token")]
    place = KmsPlace(fields.text("region", 40), fields.text("endpoint", 300, min_len=0), *names)
    fields.end()
    return place


def _nonce(text: str) -> bytes:
    if len(text) % 2 or set(text) - set("0123456789abcdef") or 0 < len(text) < 2 * LEAST_NONCE:
        raise VerificationError("start.nonce is invalid", expected=f"{LEAST_NONCE} to {MAX_NONCE} bytes in hexadecimal")
    return bytes.fromhex(text)
