"""What is true of a run, by what happened (`ideal.Ledger`) and by the records read plainly: which
levels a verdict may show.

It shares no code with the verifier: JSON is Python's, digests are hashlib's, and what a signature,
a proof or a commitment is worth comes from the ledger. Where an attacker wrote something new that
could be well formed or not (another header), it says what may be shown at most (`exact` is False).
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from tests.verify.ideal import Files, Ledger, fact_of
from tests.verify.plainly import Untrue
from tests.verify.plainly import canonical as _canonical
from tests.verify.plainly import plain as _plain
from tests.verify.plainly import require as _require
from tests.verify.register_truth import RECEIPTS, VIEWS, require_register

_MODEL = ("opening.json", "weights.f32.safetensors", "weights.i64.safetensors")
_OWN = ("environment.json", "config.toml", "train_log.jsonl", "hashes.json")
_HARMLESS = {f"{stem}{end}" for stem in ("README", "LICENSE") for end in ("", ".md", ".rst", ".txt")}
_HARMLESS |= {".gitattributes", ".gitignore", ".DS_Store", "model.sig"}
_PROOF = re.compile(r"proofs/(0|[1-9][0-9]*)-(0|[1-9][0-9]*)")
_HEX = re.compile(r"[0-9a-f]*")
_LENGTHS = {"none": (32, 32), "ezkl": (64, 256), "native": (56, 32)}
"""Bytes of a commitment and of its salt."""
_SEGMENT = ("index", "first", "last", "state_in", "state_out", "gradients", "batches", "lr", "proofs", "claimed")


@dataclass(frozen=True, slots=True)
class Auditor:
    """What the auditor asks for and knows. `head`: a root and size from elsewhere; `usable`:
    whether the run's proofs rest on something that the auditor trusts; `accepted`: names that they
    know; `sample`: how many proofs they verify, None for all; `subject`: the SHA-256 of the file
    that they ask about, if that is not the run itself."""

    keys: tuple[str, ...]
    require: str = "L1"
    head: tuple[bytes, int] | None = None
    usable: bool = True
    accepted: frozenset[str] = frozenset()
    sample: int | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """`levels`: what may be shown, None if FAILED is the only right verdict. `withheld`: a name
    that no record names, or a file that none speaks of, keeps the exit status from being 0.
    `exact`: nothing less is right. `bad`: the numbers of proofs that are not true."""

    levels: frozenset[str] | None
    withheld: bool = False
    exact: bool = True
    bad: frozenset[int] = frozenset()
    why: str = ""


def truth(files: Files, ledger: Ledger, auditor: Auditor) -> Truth:
    """What may be said of these files."""
    if not auditor.keys and files.get("log/checkpoint") not in ledger.notes:
        return Truth(frozenset(), exact=False)  # whoever pins nothing may be told UNPINNED of anything
    try:
        return _Judge(files, ledger, auditor).judged()
    except Untrue as error:
        return Truth(None, why=str(error))


class _Judge:
    def __init__(self, files: Files, ledger: Ledger, auditor: Auditor) -> None:
        self.files, self.ledger, self.auditor = files, ledger, auditor

    def judged(self) -> Truth:
        leaves = self._signed_leaves()
        header, genesis, segments, close = _records(leaves)
        auditor, named = self.auditor, leaves[0] in self.ledger.headers
        told = require_register(
            self.files, self.ledger, auditor.keys, leaves, closed=close is not None, chosen=auditor.head is not None
        )
        proves = header["prover"]["backend"] != "none"
        usable = self.auditor.usable or not proves
        try:
            _schema(header, genesis, segments, close)
            if genesis is not None:
                _chain(header, genesis, segments, close)
                self._zeros(header, genesis, usable)
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise Untrue(f"malformed: {error!r}") from error
        # A rate that is a decimal may still be too large, or too small, for the rule's integers.
        usual = all(rate == "0.01" for s in segments for step in s["lr"] for rate in step)
        known = named and told and usual
        bad = self._proofs(leaves[0], segments, len(header["blocks"])) if proves and usable else frozenset()
        if self.auditor.sample is None:
            _require(not bad, f"proofs that don't show it: {sorted(bad)}")
        if close is not None:
            weights = self._model(header, close, usable)
            self._own_files(header, close, weights)
        levels = {"L0"} if self.auditor.keys else set()
        if self.auditor.keys and proves and usable and segments:
            whole = self.auditor.sample is None or self.auditor.sample >= len(segments) * len(header["blocks"])
            levels.add("L1" if whole else "L1-sampled")
        speaks = self._speaks(close)
        withheld = not speaks or self._foreign(header, segments, close)
        return Truth(frozenset(levels), withheld, known, bad)

    # ---- steps 1 to 3: who signed which records -------------------------------------------------

    def _signed_leaves(self) -> tuple[bytes, ...]:
        signed = self.ledger.notes.get(self.files.get("log/checkpoint", b""))
        if signed is None:
            raise Untrue("nobody made this note")
        data = self.files.get("log/records.jsonl", b"")
        _require(data.endswith(b"\n"), "the last line does not end")
        lines = tuple(data.split(b"\n")[:-1])
        size = len(signed.leaves)
        _require(lines[:size] == signed.leaves, "other records than were signed")
        leaves = signed.leaves
        if self.auditor.head is not None:
            root, size = self.auditor.head
            leaves = lines[:size]
            _require(self.ledger.heads.get((root, size)) == leaves, "not the root that the auditor knows")
            _require(size <= len(signed.leaves), "the note covers less than the root that the auditor knows")
        _require(bool(leaves), "no records")
        header = _plain(leaves[0])
        _require(header.get("type") == "header", "no header")
        for key in self.auditor.keys:
            _require(key in signed.keys, "a pinned key did not sign")
            _require(key in header.get("keys", []), "the header does not name a pinned key")
        _require(signed.origin == f"zk-autograd/{header.get('run')}", "the note is another run's")
        return leaves

    # ---- step 6 and 7 ---------------------------------------------------------------------------

    def _zeros(self, header: Any, genesis: Any, usable: bool) -> None:
        salts = [salt for blocks in genesis["zero_salts"].values() for salt in blocks]
        _require(len(set(salts)) == len(salts), "a salt twice")
        block = header["prover"]["block"]
        for state, blocks in genesis["zero_salts"].items():
            for commitment, salt in zip(genesis["state"][state], blocks, strict=True):
                opened = self.ledger.openings.get(bytes.fromhex(commitment))
                zeros = (bytes(8 * block), bytes.fromhex(salt))
                _require(opened == zeros or not usable, "the first state is not zero")

    def _proofs(self, header_leaf: bytes, segments: Sequence[Any], blocks: int) -> frozenset[int]:
        """The numbers of those that don't show what the records say."""
        bad = set()
        for i, segment in enumerate(segments):
            for b in range(blocks):
                proof = self.files.get(f"proofs/{i}-{b}")
                fact = None if proof is None else self.ledger.proofs.get(proof)
                named = proof is not None and sha256(proof).hexdigest() == segment["proofs"][b]
                if not named or fact != fact_of(header_leaf, segment, b):
                    bad.add(i * blocks + b)
        return frozenset(bad)

    # ---- step 10 --------------------------------------------------------------------------------

    def _model(self, header: Any, close: Any, usable: bool) -> bytes | None:
        """The integers' bytes, if a model is published."""
        if not close["model"]:
            return None
        _require(sorted(close["model"]) == sorted(_MODEL), "not exactly a model's files")
        data = {name: self.files.get(f"model/{name}", b"") for name in _MODEL}
        for name, content in data.items():
            _require(sha256(content).hexdigest() == close["model"][name], f"{name} is another file")
        integers, floats = (
            _tensors(data[name], header, kind)
            for name, kind in (("weights.i64.safetensors", "<i8"), ("weights.f32.safetensors", "<f4"))
        )
        _require(bool(np.all(np.abs(integers) < 2**45)), "out of range")
        rounded = np.ldexp(integers.astype(np.float64), -32).astype(np.float32)
        _require(rounded.tobytes() == floats.tobytes(), "the floats are not the integers' rounding")
        opening = _plain(data["opening.json"])
        _require(sorted(opening) == ["W", "format"] and opening["format"] == "zk-autograd/opening/v0", "opening.json")
        block, salts = header["prover"]["block"], opening["W"]
        _require(isinstance(salts, list) and len(salts) == len(header["blocks"]), "not a salt for each block")
        for (_, offset, size), salt, commitment in zip(header["blocks"], salts, close["state"]["W"], strict=True):
            _require(_is_hex(salt, _LENGTHS[header["prover"]["backend"]][1]), "no salt")
            values = integers[offset : offset + size].tobytes().ljust(8 * block, b"\0")
            opened = self.ledger.openings.get(bytes.fromhex(commitment))
            _require(opened == (values, bytes.fromhex(salt)) or not usable, "other weights than the last state's")
        return bytes(integers.tobytes())

    def _own_files(self, header: Any, close: Any, weights: bytes | None) -> None:
        named = {name: digest for name, digest in close["artefacts"].items() if name in _OWN}
        if not named:
            return
        data = {name: self.files.get(name, b"") for name in named}
        for name, digest in named.items():
            _require(sha256(data[name]).hexdigest() == digest, f"{name} is another file")
        _require({"environment.json", "train_log.jsonl", "hashes.json"} <= named.keys(), "one of them is left out")
        told, none = header["data"], bytes(32)
        parts = {
            "data": [_canonical(told)],
            "environment": [data["environment.json"]],
            **({"config": [data["config.toml"]]} if "config.toml" in named else {}),
            **({} if weights is None else {"weights": [weights]}),
        }
        hashes = {name: _hash(name, *content) for name, content in parts.items()}
        seed = bytes.fromhex(told["seed"])
        basis = [hashes.get(name, none) for name in ("config", "data", "environment")]
        hashes["reproducibility"] = _hash("reproducibility", *basis, len(seed).to_bytes(8, "big"), seed)
        expected = {"format": "zk-autograd/hashes/v0", **{name: digest.hex() for name, digest in hashes.items()}}
        _require(data["hashes.json"] == _canonical(expected), "hashes.json is not what the files make it")

    def _speaks(self, close: Any) -> bool:
        """Whether the close record has the auditor's file as one of the model's."""
        if self.auditor.subject is None:
            return True
        if close is None or self.auditor.subject in close["model"].values():
            return close is not None
        _require(self.auditor.subject in close["artefacts"].values(), "a file of which no record speaks")
        return False

    def _foreign(self, header: Any, segments: Sequence[Any], close: Any) -> bool:
        proves, blocks = header["prover"]["backend"] != "none", len(header["blocks"])
        named = {"log/records.jsonl", "log/checkpoint"}
        named |= {f"proofs/{i}-{b}" for i in range(len(segments)) for b in range(blocks) if proves}
        if header.get("register"):
            named |= {VIEWS, RECEIPTS}
        if close is not None:
            named |= {f"model/{name}" for name in close["model"]} | {n for n in close["artefacts"] if n in _OWN}
        for path in {_listed(path) for path in self.files.keys() - named} - self.auditor.accepted:
            folder, _, name = path.rpartition("/")
            if folder in ("", "log", "proofs", "model") and name in _HARMLESS:
                continue
            if close is None:  # what a run that goes on has left already
                place = _PROOF.fullmatch(path)
                if path in _OWN or (place is not None and proves and int(place[2]) < blocks):
                    continue
            return True
        return False


def _listed(path: str) -> str:
    """What a report calls it: a folder that no run has is not entered, and its name is enough."""
    folder, inside, _ = path.partition("/")
    return path if not inside or folder in ("log", "proofs", "model") else folder


def _hash(name: str, *parts: bytes) -> bytes:
    return sha256(b"".join((f"zk-autograd/hash/{name}/v0\n".encode(), *parts))).digest()


# ---- records -------------------------------------------------------------------------------------


def _records(leaves: Sequence[bytes]) -> tuple[Any, Any, list[Any], Any]:
    records = [_plain(leaf) for leaf in leaves]
    kinds = [record.get("type") for record in records]
    closed = kinds[-1] == "close" and len(kinds) > 2
    middle = records[2 : len(records) - closed]
    expected = ["header", "genesis"][: len(kinds)] + ["segment"] * len(middle) + ["close"] * closed
    _require(kinds == expected, "records out of place")
    return records[0], records[1] if len(records) > 1 else None, middle, records[-1] if closed else None


def _is_hex(value: Any, size: int) -> bool:
    return isinstance(value, str) and len(value) == 2 * size and _HEX.fullmatch(value) is not None


def _is_int(value: Any, low: int, high: int = 2**40) -> bool:
    return type(value) is int and low <= value <= high


def _names(record: Any, *names: str) -> None:
    _require(record.keys() == {"type", *names}, "a member more or less")


def _state(state: Mapping[str, Any], names: Sequence[str], blocks: int, size: int) -> None:
    _require(state.keys() == set(names), "not the rule's states")
    for values in state.values():
        _require(isinstance(values, list) and len(values) == blocks, "not one for each block")
        _require(all(_is_hex(value, size) for value in values), "not a commitment")


def _schema(header: Any, genesis: Any, segments: Sequence[Any], close: Any) -> None:
    """The form of all records but the header."""
    blocks, steps = len(header["blocks"]), header["prover"]["steps"]
    commitment, salt = _LENGTHS[header["prover"]["backend"]]
    names = ["W", "M", "V"] if "adam" in header["rule"] else ["W"] if header["rule"] == "sgd" else ["W", "B"]
    if genesis is not None:
        _names(genesis, "state", "zero_salts")
        _state(genesis["state"], names, blocks, commitment)
        _state(genesis["zero_salts"], names[1:], blocks, salt)
    for s in segments:
        _names(s, *_SEGMENT)
        _require(_is_int(s["index"], 0) and _is_int(s["first"], 1), "not a number")
        _require(_is_int(s["last"], s["first"], s["first"] + steps - 1), "more steps than a segment holds")
        count = s["last"] - s["first"] + 1
        for state in ("state_in", "state_out"):
            _state(s[state], names, blocks, commitment)
        _state({"G": s["gradients"]}, ["G"], blocks, commitment)
        _require(s["batches"] == "" or _is_hex(s["batches"], 32), "no commitment to batches")
        recorded, groups = header["schedule"] == "recorded", len(header["groups"])
        _require(isinstance(s["lr"], list) and len(s["lr"]) == (count if recorded else 0), "no rate for each step")
        for step in s["lr"]:
            _require(isinstance(step, list) and len(step) == groups, "no rate for each group")
            _require(all(isinstance(rate, str) and _rate(rate) for rate in step), "no rate")
        proofs = blocks if header["prover"]["backend"] != "none" else 0
        _require(isinstance(s["proofs"], list) and len(s["proofs"]) == proofs, "no proof for each block")
        _require(all(_is_hex(proof, 32) for proof in s["proofs"]), "no digest of a proof")
        _require(s["claimed"].keys() == {"loss", "saturated"}, "other claims")
        loss, saturated = s["claimed"]["loss"], s["claimed"]["saturated"]
        _require(isinstance(loss, list) and isinstance(saturated, list), "no lists of claims")
        _require(len(loss) <= count and len(saturated) <= count, "more claims than steps")
        _require(all(isinstance(x, str) and len(x) <= 60 and x.isprintable() for x in loss), "no loss")
        _require(all(_is_int(x, 0) for x in saturated), "no count")
    if close is not None:
        _names(close, "last_step", "segments", "state", "model", "artefacts")
        _require(_is_int(close["last_step"], 0) and _is_int(close["segments"], 0), "not a number")
        _state(close["state"], names, blocks, commitment)
        for digests in (close["model"], close["artefacts"]):
            _require(isinstance(digests, dict) and all(_is_hex(d, 32) for d in digests.values()), "no digests")


def _rate(text: str) -> bool:
    return re.fullmatch(r"(0|[1-9][0-9]*)(\.[0-9]*[1-9])?", text) is not None


def _chain(header: Any, genesis: Any, segments: Sequence[Any], close: Any) -> None:
    step, state = 0, genesis["state"]
    for index, segment in enumerate(segments):
        _require(segment["index"] == index and segment["first"] == step + 1, "out of place")
        _require(segment["state_in"] == state, "begins elsewhere")
        step, state = segment["last"], segment["state_out"]
    if close is not None:
        found = close["last_step"], close["segments"], close["state"]
        _require(found == (step, len(segments), state), "the close record says otherwise")


# ---- the published model -------------------------------------------------------------------------


def _tensors(data: bytes, header: Any, kind: str) -> Any:
    """The flat vector of a safetensors file that has the manifest's tensors and nothing else."""
    try:
        found = load(data)
        entries = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")], object_pairs_hook=_distinct)
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise Untrue(f"not a safetensors file: {error}") from error
    _require(entries.keys() == {p["name"] for p in header["parameters"]}, "other tensors than the manifest's")
    _require(all(e.keys() == {"dtype", "shape", "data_offsets"} for e in entries.values()), "an entry with more")
    parts = []
    for p in header["parameters"]:
        tensor = found[p["name"]]
        _require(tensor.dtype == np.dtype(kind) and list(tensor.shape) == p["shape"], "another type or shape")
        parts.append(tensor.reshape(-1))
    return np.concatenate(parts)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _require(len({name for name, _ in pairs}) == len(pairs), "a name twice")
    return dict(pairs)
