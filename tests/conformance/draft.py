"""A case of the conformance suite while it is made: a base's files, changed, and the patch that
leads there.

A patch is a list of edits of whole files or of a stretch of bytes, so that whoever runs the suite
needs neither canonical JSON nor a signature to put a case together (docs/conformance.md).
"""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from zk_autograd.core.keys import Signer
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.note import checkpoint_text
from zk_autograd.core.text import encode_base64

HERE = Path(__file__).parent
DATA = HERE.parent / "data" / "runs"
RECORDS, CHECKPOINT = "log/records.jsonl", "log/checkpoint"
DASH = "\u2014 "
TIMED_NOTE = HERE / "bases" / "timed-note"
"""The checkpoint of `native-v1`, whose second signature tells a time: each signing gives other
bytes."""

BASES = {
    "none": "bases/none",
    "none-two-keys": "bases/none-two-keys",
    "none-open": "../data/runs/none-open",
    "native": "../data/runs/native-finished",
    "native-v1": "../data/runs/native-v1",
    "native-blocks": "bases/native-blocks",
    "registered": "bases/registered",
    "registered-beacon": "bases/registered-beacon",
    "native-v2": "../data/runs/native-v2",
    "native-beacon": "../data/runs/native-beacon",
    "enclave": "bases/enclave",
    "exact": "bases/exact",
    "bundle": "bases/bundle",
    "empty": "",
}
"""Where the bases lie, from this folder; what is in private/ is not part of one."""

Files = dict[str, bytes]
_LONG = 10_000
"""Bytes of a file that the index doesn't repeat."""


def base_files(name: str) -> Files:
    """The files of a base."""
    return dict(_read(name))


@cache
def _read(name: str) -> Files:
    if not BASES[name]:
        return {}
    folder = (HERE / BASES[name]).resolve()
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: path.read_bytes() for name, path in names.items() if not name.startswith("private/")}


@dataclass
class Draft:
    """A case's files. `links` are symbolic ones, by their target; `zeros` files of so many zeros.
    What changes it gives it back."""

    base: str
    files: Files = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    zeros: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.files = base_files(self.base)

    # ---- records --------------------------------------------------------------------------------

    @property
    def leaves(self) -> list[bytes]:
        return self.files[RECORDS].split(b"\n")[:-1]

    def put_leaves(self, leaves: Sequence[bytes]) -> "Draft":
        self.files[RECORDS] = b"".join(leaf + b"\n" for leaf in leaves)
        return self

    def record(self, index: int) -> Any:
        return json.loads(self.leaves[index])

    def edit(self, index: int, change: Callable[[Any], Any]) -> "Draft":
        """Changes a record as JSON, and writes it in its canonical form."""
        value = self.record(index)
        change(value)
        text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        self.raw(index, text.encode("utf-8", "surrogatepass"))
        return self

    def set(self, index: int, path: str, value: Any) -> "Draft":
        """Sets a member of a record, by its path with dots."""

        def change(record: Any) -> None:
            *parents, last = [int(key) if key.isdecimal() else key for key in path.split(".")]
            for key in parents:
                record = record[key]
            record[last] = value

        self.edit(index, change)
        return self

    def raw(self, index: int, leaf: bytes) -> "Draft":
        """Other bytes for a record."""
        leaves = self.leaves
        leaves[index] = leaf
        self.put_leaves(leaves)
        return self

    def order(self, *indices: int) -> "Draft":
        """The records of these indices, in this order."""
        leaves = self.leaves
        self.put_leaves([leaves[i] for i in indices])
        return self

    # ---- the note -------------------------------------------------------------------------------

    @property
    def origin(self) -> str:
        """That of the header as it is, or of the base's where it can't be read."""
        found = re.search(rb'"run":"([0-9a-f]{32})"', self.leaves[0]) if self.leaves else None
        if found is None:
            return Draft(self.base).origin
        return f"zk-autograd/{found[1].decode()}"

    def head(self, size: int | None = None) -> str:
        """ROOT@SIZE over the records as they are."""
        leaves = self.leaves[:size]
        return f"{root([leaf_hash(leaf) for leaf in leaves]).hex()}@{len(leaves)}"

    def text(self, size: int | None = None) -> str:
        """The checkpoint's text over the records as they are."""
        leaves = self.leaves[:size]
        return checkpoint_text(self.origin, len(leaves), root([leaf_hash(leaf) for leaf in leaves]))

    def sign(self, *signers: Signer, size: int | None = None) -> "Draft":
        """A new checkpoint over the records as they are, or the first `size` of them."""
        self.note(self.text(size), *signers)
        return self

    def note(self, text: str, *signers: Signer, more: str = "") -> "Draft":
        """True signatures over this text, whatever it is, and more lines."""
        lines = "".join(
            f"{DASH}{s.public_key.name} {encode_base64(s.public_key.key_id + s.sign(text))}\n" for s in signers
        )
        self.files[CHECKPOINT] = f"{text}\n{lines}{more}".encode()
        return self

    # ---- files ----------------------------------------------------------------------------------

    def put(self, name: str, data: bytes) -> "Draft":
        """Another file, its digest in the close record, if that names it."""
        self.files[name] = data
        last = self.record(-1)
        member, key = ("model", name.removeprefix("model/")) if name.startswith("model/") else ("artefacts", name)
        if last["type"] == "close" and key in last[member]:
            self.edit(-1, lambda close: close[member].update({key: sha256(data).hexdigest()}))
        return self

    def put_proof(self, segment: int, block: int, proof: bytes) -> "Draft":
        """Another proof, with its digest in the record."""
        self.files[f"proofs/{segment}-{block}"] = proof
        self.set(2 + segment, f"proofs.{block}", sha256(proof).hexdigest())
        return self

    # ---- the patch ------------------------------------------------------------------------------

    def patch(self) -> list[dict[str, Any]]:
        """The edits that make these files of the base's."""
        before = base_files(self.base)
        edits: list[dict[str, Any]] = [
            {"file": name, "remove": True}
            for name in sorted(before)
            if name not in self.files or name in self.links or name in self.zeros
        ]
        for name, data in sorted(self.files.items()):
            if name in self.links or name in self.zeros or before.get(name) == data:
                continue
            source = next((other for other, content in sorted(before.items()) if content == data and data), None)
            if source is not None:
                edits.append({"file": name, "copy": source})
            elif (found := _elsewhere(data)) is not None:
                edits.append({"file": name, "copy": found[1], "base": found[0]})
            elif len(data) > _LONG and not any(data):
                edits.append({"file": name, "zeros": len(data)})
            elif name in before:
                edits.append({"file": name, **_splice(before[name], data)})
            else:
                edits.append({"file": name, "put": _told(data)})
        edits += [{"file": name, "link": target} for name, target in sorted(self.links.items())]
        edits += [{"file": name, "zeros": size} for name, size in sorted(self.zeros.items())]
        return edits


def _elsewhere(data: bytes) -> tuple[str, str] | None:
    """The base and the name of a long file with these bytes, so that none is told twice."""
    if len(data) < _LONG:
        return None
    places = ((base, name, content) for base in BASES for name, content in base_files(base).items())
    return next(((base, name) for base, name, content in places if content == data), None)


def _splice(old: bytes, new: bytes) -> dict[str, Any]:
    """The stretch of bytes in which they differ."""
    least = min(len(old), len(new))
    start = next((i for i in range(least) if old[i] != new[i]), least)
    end = next((i for i in range(least - start) if old[-1 - i] != new[-1 - i]), least - start)
    return {"at": start, "delete": len(old) - end - start, "insert": _told(new[start : len(new) - end])}


def _told(data: bytes) -> dict[str, str]:
    """Bytes in JSON: as text if they are ASCII that prints, else in base64."""
    if all(32 <= byte < 127 or byte == 10 for byte in data):
        return {"text": data.decode("ascii")}
    return {"base64": b64encode(data).decode("ascii")}
