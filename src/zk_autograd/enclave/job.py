"""A job for an enclave: what its owner wants trained, and on what. It is sealed as a whole, so that
whoever carries it (the host) can neither read nor change any of it.

    4 bytes   length of the description, big-endian
    ...       the description, canonical JSON: {"format": "zk-autograd/enclave-job/v0", "run": <run
              id, hexadecimal>, "settings": {<name of a zk-train setting>: <value as in a TOML
              file>}, "recipient": <public key that checkpoints and the model are sealed for,
              hexadecimal; "" for none>, "proving": "inside" (or "outside"), "checkpoint_every":
              <steps from one sealed checkpoint to the next; 0 for none>}
    ...       the table, CSV (local.csv_file)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from zk_autograd.core import canonical
from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.records import INSIDE, MAX_STEP, OUTSIDE
from zk_autograd.core.register import RUN_BYTES

FORMAT = "zk-autograd/enclave-job/v0"
MAX_DESCRIPTION = 2**16
MAX_RECIPIENT = 4096


@dataclass(frozen=True, slots=True)
class Job:
    """`settings` are those of zk-train by name, of `enclave.settings` only; see above."""

    run: bytes
    settings: Mapping[str, Json]
    table: bytes = field(repr=False)
    recipient: bytes = b""
    proving: str = INSIDE
    checkpoint_every: int = 0

    def encode(self) -> bytes:
        """The job's bytes, to be sealed."""
        description: dict[str, Json] = {
            "format": FORMAT,
            "run": self.run.hex(),
            "settings": dict(self.settings),
            "recipient": self.recipient.hex(),
            "proving": self.proving,
            "checkpoint_every": self.checkpoint_every,
        }
        encoded = canonical.encode(description)
        return len(encoded).to_bytes(4, "big") + encoded + self.table

    @classmethod
    def parse(cls, data: bytes) -> "Job":
        """The job of bytes that were unsealed. VerificationError."""
        length = int.from_bytes(data[:4], "big")
        if len(data) < 4 or not 0 < length <= min(MAX_DESCRIPTION, len(data) - 4):
            raise VerificationError("the job has no description within its bounds")
        fields = Fields(canonical.decode(data[4 : 4 + length], max_bytes=MAX_DESCRIPTION), "job")
        fields.choice("format", (FORMAT,))
        settings = fields.raw("settings")
        if not isinstance(settings, dict):
            raise VerificationError("job.settings is invalid", expected="an object")
        recipient = fields.text("recipient", 2 * MAX_RECIPIENT, min_len=0)
        job = cls(
            fields.hex("run", RUN_BYTES),
            settings,
            data[4 + length :],
            _key(recipient),
            fields.choice("proving", (INSIDE, OUTSIDE)),
            fields.integer("checkpoint_every", 0, MAX_STEP),
        )
        fields.end()
        return job


def _key(text: str) -> bytes:
    if len(text) % 2 or set(text) - set("0123456789abcdef"):
        raise VerificationError("job.recipient is invalid", expected="lower-case hexadecimal digits")
    return bytes.fromhex(text)
