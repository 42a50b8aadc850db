"""hashes.json: what a training was made from and what it led to, each as one digest.

    config           config.toml's bytes (left out if there is no such file)
    data             the header's `data`, canonical JSON: a salted root, so it reveals no rows; with
                     exact gradients also the header's `exact`, as its member of that name
    environment      environment.json's bytes
    reproducibility  those three, 32 zero bytes for a missing one, and the header's commitment to
                     the seed (its length in front)
    weights          the final W as little-endian int64 (left out unless the weights are published)

Each is SHA-256 over `zk-autograd/hash/<name>/v0\\n` and the contents above. The weights' hash has
no salt, so it would confirm a guess at unpublished weights: it is for published ones only.

The file is canonical JSON. All of it can be recomputed from the other files and the records, and a
verifier does so (verify.artefacts).
"""

from dataclasses import dataclass
from hashlib import sha256

from zk_autograd.core.canonical import Json, decode, encode
from zk_autograd.core.exact_bytes import written_exact
from zk_autograd.core.fields import Fields
from zk_autograd.core.formats import IntArray
from zk_autograd.core.records import Data, Exact
from zk_autograd.evidence.layout import HASHES

FORMAT = "zk-autograd/hashes/v0"
MAX_BYTES = 4096

NAMES = ("config", "data", "environment", "reproducibility", "weights")
_OPTIONAL = ("config", "weights")
_NONE = bytes(32)


@dataclass(frozen=True, slots=True)
class Hashes:
    """The digests; `config` and `weights` are None where they are left out."""

    config: bytes | None
    data: bytes
    environment: bytes
    reproducibility: bytes
    weights: bytes | None

    @classmethod
    def of(
        cls, config: bytes | None, data: Data, environment: bytes, weights: bytes | None, exact: Exact | None = None
    ) -> "Hashes":
        """From the contents of config.toml and environment.json, the header's data, the hash of the
        published integers (weights_hash), and what the header says of exact gradients."""
        of_data = data_hash(data, exact)
        return cls(
            config=None if config is None else config_hash(config),
            data=of_data,
            environment=_hash("environment", environment),
            reproducibility=_hash(
                "reproducibility",
                _NONE if config is None else config_hash(config),
                of_data,
                _hash("environment", environment),
                len(data.seed).to_bytes(8, "big"),
                data.seed,
            ),
            weights=weights,
        )

    @classmethod
    def parse(cls, content: bytes) -> "Hashes":
        """What hashes.json holds. VerificationError unless it is canonical and complete."""
        fields = Fields(decode(content, max_bytes=MAX_BYTES), HASHES)
        fields.choice("format", (FORMAT,))
        found = {name: fields.hex(name, 32) for name in NAMES if name not in _OPTIONAL or name in fields}
        fields.end()
        return cls(
            config=found.get("config"),
            data=found["data"],
            environment=found["environment"],
            reproducibility=found["reproducibility"],
            weights=found.get("weights"),
        )

    def named(self) -> dict[str, bytes]:
        """Those present, by name."""
        values = {name: getattr(self, name) for name in NAMES}
        return {name: value for name, value in values.items() if value is not None}

    def encode(self) -> bytes:
        """hashes.json's bytes."""
        texts: dict[str, Json] = {name: digest.hex() for name, digest in self.named().items()}
        return encode({"format": FORMAT, **texts})


def config_hash(config: bytes) -> bytes:
    """Of config.toml's bytes."""
    return _hash("config", config)


def data_hash(data: Data, exact: Exact | None = None) -> bytes:
    """Of what a header says about its data."""
    said: dict[str, Json] = {
        "root": data.root.hex(),
        "count": data.count,
        "sampler": data.sampler,
        "batch_size": data.batch_size,
        "seed": data.seed.hex(),
    }
    if exact is not None:
        said["exact"] = written_exact(exact)
    return _hash("data", encode(said))


def weights_hash(weights: IntArray) -> bytes:
    """Of the final W, int64 of shape (size,)."""
    return _hash("weights", weights.astype("<i8").tobytes())


def _hash(name: str, *parts: bytes) -> bytes:
    return sha256(b"".join((f"zk-autograd/hash/{name}/v0\n".encode(), *parts))).digest()
