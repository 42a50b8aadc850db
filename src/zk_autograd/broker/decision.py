"""What a broker decided about one request, and its log: each decision is a leaf, and a signed
checkpoint covers it before an answer leaves.

    origin      zk-autograd/broker/<SHA-256 of the broker's Ed25519 key, hexadecimal>
    leaf        canonical JSON, the fields of `Decision`
    signatures  by the broker's key, under the origin as its name

A leaf names no key that opens anything: the release key and the document by their SHA-256. A
document's hash is no identity, since ECDSA has a second signature for each: nothing is decided by
it.
"""

from dataclasses import dataclass
from hashlib import sha256

from zk_autograd.core import canonical
from zk_autograd.core.attestation import MAX_KIND
from zk_autograd.core.canonical import Json
from zk_autograd.core.fields import Fields
from zk_autograd.core.keys import Algorithm, Ed25519Signer, PublicKey
from zk_autograd.core.merkle import HASH_BYTES
from zk_autograd.core.register import RUN_BYTES
from zk_autograd.core.text import printable

FORMAT = "zk-autograd/broker-decision/v0"
NONCE_BYTES = 32
MAX_DECISION = 8192
"""Bytes of a leaf."""
MAX_TEXT = 600
MAX_RELEASES = 1_000_000

_PREFIX = "zk-autograd/broker/"


@dataclass(frozen=True, slots=True)
class Decision:
    """`time` in POSIX seconds, of the broker's clock. `granted`, and `reason`, a sentence. `nonce`
    (32 bytes), `release_key` and `document` (SHA-256) are the request's, `policy` is SHA-256 of the
    policy's file, `kind` and `root` of the document ("" where it was not verified), `measurement`
    what is told of the enclave's code.
    `release`: which one this is of the run, from 1; 0 where nothing was released."""

    time: int
    run: bytes
    granted: bool
    reason: str
    nonce: bytes
    release_key: bytes
    document: bytes
    policy: bytes
    kind: str
    root: str = ""
    measurement: str = ""
    release: int = 0

    @property
    def json(self) -> dict[str, Json]:
        """The leaf as an object."""
        return {
            "format": FORMAT,
            "time": self.time,
            "run": self.run.hex(),
            "granted": self.granted,
            "reason": self.reason,
            "nonce": self.nonce.hex(),
            "release_key": self.release_key.hex(),
            "document": self.document.hex(),
            "policy": self.policy.hex(),
            "kind": self.kind,
            "root": self.root,
            "measurement": self.measurement,
            "release": self.release,
        }

    def encode(self) -> bytes:
        """The leaf's bytes."""
        return canonical.encode(self.json)

    @classmethod
    def of(cls, fields: Fields) -> "Decision":
        """The decision of a decoded object. VerificationError."""
        fields.choice("format", (FORMAT,))
        decision = cls(
            fields.integer("time", 0, 2**40),
            fields.hex("run", RUN_BYTES),
            fields.boolean("granted"),
            fields.text("reason", MAX_TEXT, 0),
            fields.hex("nonce", NONCE_BYTES),
            fields.hex("release_key", HASH_BYTES),
            fields.hex("document", HASH_BYTES),
            fields.hex("policy", HASH_BYTES),
            fields.text("kind", MAX_KIND),
            fields.text("root", MAX_TEXT, 0),
            fields.text("measurement", MAX_TEXT, 0),
            fields.integer("release", 0, MAX_RELEASES),
        )
        fields.end()
        return decision

    @classmethod
    def parse(cls, data: bytes) -> "Decision":
        """The decision of a leaf. VerificationError."""
        return cls.of(Fields(canonical.decode(data, max_bytes=MAX_DECISION), "decision"))


def told(text: str) -> str:
    """A text of others as a leaf may hold it: one line, of at most `MAX_TEXT` characters."""
    return printable(text)[:MAX_TEXT]


def origin_of(raw: bytes) -> str:
    """The origin of the log of the broker with this Ed25519 key, 32 bytes."""
    return _PREFIX + sha256(raw).hexdigest()


def signer_of(seed: bytes) -> Ed25519Signer:
    """The broker's signer of a 32-byte secret seed, under its origin as the name."""
    return Ed25519Signer(origin_of(Ed25519Signer("broker", seed).public_key.raw), seed)


def is_broker_key(key: PublicKey) -> bool:
    """Whether the key is one under which a broker signs: its name is its log's origin."""
    return key.algorithm is Algorithm.ED25519 and key.name == origin_of(key.raw)
