"""Key files: `<name>.key.json` beside the ciphertext `<name>.enc`, canonical JSON.

    {"format": "zk-autograd/vault-key/v0",
     "context": {"tenant": .., "run": .., "step": .., "kind": ..},
     "ciphertext": {"sha256": <64 hexadecimal digits>, "size": <bytes>},
     "wraps": [{"kek": <which key wrapped it>, "by": <its holder>, "wrapped": <hexadecimal>}]}

The file's key is wrapped once for each holder that may open it. Nothing in the file is secret, and
nothing authenticates it but that a wrap opens in the file's context, and the ciphertext with it.
"""

from dataclasses import dataclass

from zk_autograd.core import canonical
from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.vault.context import Context
from zk_autograd.vault.errors import VaultError
from zk_autograd.vault.holder import MAX_WRAPPED
from zk_autograd.vault.seal import MAX_SEALED, Sealed

FORMAT = "zk-autograd/vault-key/v0"
SUFFIX = ".key.json"
MAX_KEY_FILE = 2**18
MAX_WRAPS = 8
MAX_KEK = 2048
"""Characters of a key's name. An AWS ARN has at most 2048."""

KEYFILE = "keyfile"
KMS = "kms"
RECIPIENT = "recipient"
HOLDERS = (KEYFILE, KMS, RECIPIENT, "passphrase")


@dataclass(frozen=True, slots=True)
class Wrap:
    """A file's key as one holder wrapped it: `kek` names the holder's key, `by` what holds it (one
    of `HOLDERS`)."""

    kek: str
    by: str
    wrapped: bytes


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A key file's content; nothing of it is checked against a ciphertext."""

    context: Context
    ciphertext: Sealed
    wraps: tuple[Wrap, ...]

    def encode(self) -> bytes:
        """The file's bytes."""
        wraps: list[Json] = [{"kek": w.kek, "by": w.by, "wrapped": w.wrapped.hex()} for w in self.wraps]
        value: dict[str, Json] = {
            "format": FORMAT,
            "context": self.context.json,
            "ciphertext": {"sha256": self.ciphertext.sha256, "size": self.ciphertext.size},
            "wraps": wraps,
        }
        return canonical.encode(value)

    @classmethod
    def parse(cls, data: bytes) -> "KeyFile":
        """The content of a file. VaultError unless `encode` gives the same bytes."""
        try:
            fields = Fields(canonical.decode(data, max_bytes=MAX_KEY_FILE), "key file")
            fields.choice("format", (FORMAT,))
            context = Context.of(fields.object("context"))
            ciphertext = fields.object("ciphertext")
            sealed = Sealed(ciphertext.hex("sha256", 32).hex(), ciphertext.integer("size", 0, MAX_SEALED))
            ciphertext.end()
            wraps = tuple(_wrap(item) for item in fields.objects("wraps", MAX_WRAPS, 1))
            fields.end()
        except VerificationError as error:
            raise VaultError(f"the key file is malformed: {error}") from error
        return cls(context, sealed, wraps)

    def wrap(self, by: str) -> Wrap:
        """The only wrap of a kind of holder. VaultError if there is none, or more than one: which
        of them was meant is not guessed."""
        found = [wrap for wrap in self.wraps if wrap.by == by]
        if len(found) != 1:
            told = ", ".join(wrap.by for wrap in self.wraps)
            raise VaultError(f"the key of {self.context} is wrapped by {told}, and has to be by one {by}")
        return found[0]


def _wrap(fields: Fields) -> Wrap:
    kek, by = fields.text("kek", MAX_KEK), fields.choice("by", HOLDERS)
    text = fields.text("wrapped", 2 * MAX_WRAPPED, 2)
    fields.end()
    if len(text) % 2 or set(text) - set("0123456789abcdef"):
        raise VerificationError("key file.wraps.wrapped is invalid", expected="lower-case hexadecimal digits")
    return Wrap(kek, by, bytes.fromhex(text))
