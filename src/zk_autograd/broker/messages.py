"""What an enclave and a broker say to each other, version 0: canonical JSON over HTTP.

    POST /v0/nonce      {"format": "zk-autograd/release-nonce/v0", "run": <run id>}
                        -> {"format": ..., "run": ..., "nonce": <32 bytes>, "seconds": <it lasts>}
    POST /v0/release    {"format": "zk-autograd/release-request/v0", "run": <run id>,
                         "attestation": <as attestation/document.json>, "collateral": <as
                         attestation/collateral.json>}
                        -> an answer

The document is over core.attestation.release_digest of run, release key and nonce. An answer is a
signed note (C2SP signed-note) of the broker's key over two lines, the first its format and the
second canonical JSON: the decision (broker.decision), its place in the broker's log (`position`,
`proof`, `checkpoint`), and the key, wrapped for the release key (`wrapped`; "" where it was
refused). No other text that the broker signs has two lines.

The wrapping is HPKE's, as for a recipient (vault.holder.recipient), and its info `Release`.
"""

from dataclasses import dataclass
from hashlib import sha256

from zk_autograd.broker.decision import NONCE_BYTES, Decision
from zk_autograd.core import canonical
from zk_autograd.core.attestation import Collateral, Document
from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.keys import PublicKey, Signer
from zk_autograd.core.merkle import HASH_BYTES, leaf_hash, verify_inclusion
from zk_autograd.core.note import MAX_NOTE_BYTES, open_note, parse_checkpoint, sign
from zk_autograd.core.register import RUN_BYTES

NONCE_FORMAT = "zk-autograd/release-nonce/v0"
REQUEST_FORMAT = "zk-autograd/release-request/v0"
ANSWER_FORMAT = "zk-autograd/release-answer/v0"

MAX_ASKING = 1024
"""Bytes of a request for a nonce, and of the answer."""
MAX_REQUEST = 2**20
"""Bytes of a request for a key. AMD's certificates and revocation lists have some 10,000."""
MAX_ANSWER = MAX_NOTE_BYTES
MAX_SECONDS = 86_400

_MAX_WRAPPED = 2**12
_MAX_PROOF = 63
_PURPOSE, _INFO_FORMAT = "release", "zk-autograd/broker-release/v0"


@dataclass(frozen=True, slots=True)
class Release:
    """What a released key is wrapped for: a run (16 bytes) and a nonce (32 bytes), beside the
    release key itself. Its bytes begin as no vault.context.Context does."""

    run: bytes
    nonce: bytes

    def __bytes__(self) -> bytes:
        parts = [part.encode("ascii") for part in (_PURPOSE, _INFO_FORMAT, self.run.hex(), self.nonce.hex())]
        return b"".join(len(part).to_bytes(4, "big") + part for part in parts)

    def __str__(self) -> str:
        return f"the release for run {self.run.hex()}"


def encode_asking(run: bytes) -> bytes:
    """A request for a nonce."""
    return canonical.encode({"format": NONCE_FORMAT, "run": run.hex()})


def parse_asking(data: bytes) -> bytes:
    """The run of such a request. VerificationError."""
    fields = _fields(data, MAX_ASKING, "request", NONCE_FORMAT)
    run = fields.hex("run", RUN_BYTES)
    fields.end()
    return run


@dataclass(frozen=True, slots=True)
class Nonce:
    """A nonce for one request about one run, and how many seconds it lasts."""

    run: bytes
    nonce: bytes
    seconds: int

    def encode(self) -> bytes:
        return canonical.encode(
            {"format": NONCE_FORMAT, "run": self.run.hex(), "nonce": self.nonce.hex(), "seconds": self.seconds}
        )

    @classmethod
    def parse(cls, data: bytes) -> "Nonce":
        """VerificationError unless `encode` gives the same bytes."""
        fields = _fields(data, MAX_ASKING, "nonce", NONCE_FORMAT)
        found = cls(
            fields.hex("run", RUN_BYTES), fields.hex("nonce", NONCE_BYTES), fields.integer("seconds", 1, MAX_SECONDS)
        )
        fields.end()
        return found


@dataclass(frozen=True, slots=True)
class Request:
    """A request for the key of a run's job; the document has release key and nonce. Nothing of it
    is checked but its form."""

    run: bytes
    document: Document
    collateral: Collateral

    def encode(self) -> bytes:
        return canonical.encode(
            {
                "format": REQUEST_FORMAT,
                "run": self.run.hex(),
                "attestation": canonical.decode(self.document.encode(), max_bytes=MAX_REQUEST),
                "collateral": canonical.decode(self.collateral.encode(), max_bytes=MAX_REQUEST),
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> "Request":
        """VerificationError unless `encode` gives the same bytes."""
        fields = _fields(data, MAX_REQUEST, "request", REQUEST_FORMAT)
        found = cls(
            fields.hex("run", RUN_BYTES),
            Document.parse(canonical.encode(fields.raw("attestation"))),
            Collateral.parse(canonical.encode(fields.raw("collateral"))),
        )
        fields.end()
        if len(found.document.nonce) != NONCE_BYTES:
            raise VerificationError("request.attestation.nonce is not a broker's", expected=f"{NONCE_BYTES} bytes")
        return found


@dataclass(frozen=True, slots=True)
class Answer:
    """A decision, its place in the broker's log, and the wrapped key (b"" where it was refused)."""

    decision: Decision
    position: int
    proof: tuple[bytes, ...]
    checkpoint: bytes
    wrapped: bytes = b""

    def encode(self, signer: Signer) -> bytes:
        """The signed note."""
        value: dict[str, Json] = {
            "decision": self.decision.json,
            "position": self.position,
            "proof": [node.hex() for node in self.proof],
            "checkpoint": self.checkpoint.decode("utf-8"),
            "wrapped": self.wrapped.hex(),
        }
        return sign(f"{ANSWER_FORMAT}\n{canonical.encode(value).decode('utf-8')}\n", [signer])

    @classmethod
    def parse(cls, note: bytes, key: PublicKey) -> "Answer":
        """The answer, if the broker with this key signed it, and it is in that broker's log.
        VerificationError."""
        if len(note) > MAX_ANSWER:
            raise VerificationError("the answer is too long", expected=f"at most {MAX_ANSWER} bytes")
        text = open_note(note, [key]).text
        lines = text.split("\n")
        if len(lines) != 3 or lines[0] != ANSWER_FORMAT:
            raise VerificationError("the broker's note is no answer", expected=ANSWER_FORMAT)
        fields = Fields(canonical.decode(lines[1].encode("utf-8"), max_bytes=MAX_ANSWER), "answer")
        wrapped = fields.text("wrapped", 2 * _MAX_WRAPPED, 0)
        found = cls(
            Decision.of(fields.object("decision")),
            fields.integer("position", 0, canonical.MAX_INTEGER),
            tuple(node.hex(HASH_BYTES) for node in fields.array("proof", _MAX_PROOF)),
            _lines(fields),
            _octets(wrapped),
        )
        fields.end()
        found._require_logged(key)
        return found

    def _require_logged(self, key: PublicKey) -> None:
        head = parse_checkpoint(open_note(self.checkpoint, [key]).text)
        if head.origin != key.name:
            raise VerificationError("the answer's checkpoint is of another log", expected=key.name)
        verify_inclusion(leaf_hash(self.decision.encode()), self.position, head.size, self.proof, head.root)
        if self.decision.granted != bool(self.wrapped):
            raise VerificationError("the answer has a key that its decision doesn't grant, or the other way round")

    def about(self, request: Request) -> None:
        """VerificationError unless the decision is about this request."""
        found, document = self.decision, request.document
        for what, one, other in (
            ("run", found.run, request.run),
            ("nonce", found.nonce, document.nonce),
            ("release key", found.release_key, sha256(document.release_key).digest()),
            ("document", found.document, sha256(document.raw).digest()),
        ):
            if one != other:
                raise VerificationError(f"the broker's answer is for another {what}: an old one, or another enclave's")


def _fields(data: bytes, most: int, where: str, form: str) -> Fields:
    fields = Fields(canonical.decode(data, max_bytes=most), where)
    fields.choice("format", (form,))
    return fields


def _lines(fields: Fields) -> bytes:
    """The checkpoint: the one text here that has lines; `open_note` bounds it."""
    raw = fields.raw("checkpoint")
    if not isinstance(raw, str):
        raise VerificationError("answer.checkpoint is not a text")
    return raw.encode("utf-8")


def _octets(text: str) -> bytes:
    if len(text) % 2 or set(text) - set("0123456789abcdef"):
        raise VerificationError("answer.wrapped is not lower-case hexadecimal digits")
    return bytes.fromhex(text)
