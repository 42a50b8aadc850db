"""A simulated attack: an honest run, any sequence of changes to its files, and after each of them
the verifier's verdict against what is true (`truth`).

The attacker is the trainer, who signs what they like, makes proofs of whatever is true and brings
records into agreement with each other and with the files; or a stranger, who has everything public
and a key of their own. Each rule changes something and, if `mended` says so, does afterwards what
its attacker can do to hide it.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, ClassVar

import numpy as np
from hypothesis import assume, note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from safetensors.numpy import load, save

from tests.evidence.bundles import packed
from tests.verify.agreement import agree
from tests.verify.edits import edit, places_of
from tests.verify.ideal import NAMESAKE, THIEF, Fact, Files, IdealSystem, World, world
from tests.verify.plainly import canonical as _canonical
from tests.verify.register_rules import RegisterRules
from tests.verify.run_builder import SRS
from tests.verify.truth import Auditor, Truth, truth
from zk_autograd.anchor.file import receipt as file_receipt
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.keys import PublicKey, Signer
from zk_autograd.core.record_bytes import parse, to_bytes
from zk_autograd.core.records import Header, Segment
from zk_autograd.evidence.bundle import Bundle
from zk_autograd.evidence.finding import Found, Subject
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.layout import is_public
from zk_autograd.evidence.run import Evidence
from zk_autograd.prove.hashed.verify import HashedSystem
from zk_autograd.prove.native.verify import NativeSystem
from zk_autograd.verify.outcome import Level
from zk_autograd.verify.policy import Policy, TreeHead
from zk_autograd.verify.proof_system import ProofSystem
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

RECORDS, CHECKPOINT = "log/records.jsonl", "log/checkpoint"
PLANTED = (
    "README.md",
    "extra.bin",
    "model/model.safetensors",
    "log/records.jsonl.bak",
    "proofs/9-0",
    "proofs/0-0.old",
    "config.toml",
    "hashes.json",
    "Model/x",
    "log/README",
    "model.sig",
)
WEIGHTS = ("one unit", "zeros", "negative zero", "another tensor", "metadata", "a name twice", "a salt", "floats alone")
NOTES = ("thief", "namesake", "trainer's key ID", "one signature less", "one more", "older", "another run's", "bytes")
numbers = st.integers(0, 2**16)
few = st.integers(0, 6)
mended = st.sampled_from(("", "sign", "hash sign", "hash link number sign", "hash prove sign", "all"))


class Simulator(RegisterRules, RuleBasedStateMachine):
    """One attack. `worlds` are the names of the runs it may begin from."""

    worlds: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(mkdtemp(prefix="zk-simulator-"))
        self.written: Files = {}
        self.pristine = True
        self.verdicts: list[str] = []

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    # ---- who attacks what, and who judges -------------------------------------------------------

    @initialize(
        name=st.deferred(lambda: st.sampled_from(Simulator.worlds)),
        trainer=st.booleans(),
        both=st.booleans(),
        require=st.sampled_from(("L1", "L1", "L0")),
        usable=st.sampled_from((True, True, True, False)),
        head=st.integers(0, 9),
        sample=st.sampled_from((None, None, None, 2, 3)),
        unpinned=st.integers(0, 9),
        keep_going=st.booleans(),
    )
    def begins(
        self,
        name: str,
        trainer: bool,
        both: bool,
        require: str,
        usable: bool,
        head: int,
        sample: int | None,
        unpinned: int,
        keep_going: bool,
    ) -> None:
        """An honest run in the hands of an attacker, and an auditor."""
        self.world: World = world(name)
        self.ledger = self.world.ledger.copy()
        self.files: Files = dict(self.world.run.files)
        self.signers: tuple[Signer, ...] = self.world.run.signers if trainer else (THIEF,)
        self.trainer, self.keep_going = trainer, keep_going
        keys = tuple(s.public_key.encode() for s in self.world.run.signers)
        if not both:
            keys = keys[:1]
        leaves = self.world.run.leaves
        known = None
        if head in range(2, len(leaves) + 1):
            known = self.ledger.publish_head(leaves[:head])
        self.auditor = Auditor(
            keys=() if unpinned == 9 else keys,
            require=require,
            head=known,
            usable=usable or self.world.backend != "ezkl",
            sample=sample if self.world.backend == "ezkl" else None,
        )

    # ---- changes to files -----------------------------------------------------------------------

    @rule(file=numbers, place=numbers, bit=st.integers(0, 7))
    def flip(self, file: int, place: int, bit: int) -> None:
        """One bit of a file."""
        name = self._name(file)
        data = bytearray(self.files[name])
        assume(len(data))
        data[place % len(data)] ^= 1 << bit
        self._put(name, bytes(data))

    @rule(file=numbers, count=st.integers(1, 700), how=st.sampled_from(("cut", "front", "append", "newline")))
    def resize(self, file: int, count: int, how: str) -> None:
        """A file shorter or longer."""
        name = self._name(file)
        data = self.files[name]
        changed = {
            "cut": data[:-count],
            "front": data[count:],
            "append": data + bytes([count % 256]) * count,
            "newline": data + b"\n",
        }[how]
        self._put(name, changed)

    @rule(file=numbers)
    def remove(self, file: int) -> None:
        """A file is gone."""
        del self.files[self._name(file)]
        self.pristine = False

    @rule(name=st.sampled_from(PLANTED), known=st.booleans())
    def plant(self, name: str, known: bool) -> None:
        """A file that was not there, which the auditor may know."""
        self._put(name, b"planted")
        if known and not self.auditor.accepted:
            self.auditor = replace(self.auditor, accepted=frozenset({name}))

    @rule(one=numbers, other=numbers, mend=mended)
    def exchange(self, one: int, other: int, mend: str) -> None:
        """Two files change places."""
        kinds = sorted(n for n in self.files if n.startswith(("proofs/", "model/")))
        assume(len(kinds) > 1)
        a, b = kinds[one % len(kinds)], kinds[other % len(kinds)]
        assume(a != b)
        self.files[a], self.files[b] = self.files[b], self.files[a]
        self.pristine = False
        self._mend(mend)

    @rule(sibling=few, file=numbers, mend=mended)
    def take_file(self, sibling: int, file: int, mend: str) -> None:
        """A file of another run in the place of this run's."""
        other = self.world.siblings[sibling % len(self.world.siblings)].files
        name = sorted(other)[file % len(other)]
        self._put(name, other[name])
        self._mend(mend)

    @rule(sibling=few, folder=st.sampled_from(("log/", "proofs/", "model/", "")), mend=mended)
    def take_folder(self, sibling: int, folder: str, mend: str) -> None:
        """A folder of another run, or all of it, in the place of this run's."""
        other = self.world.siblings[sibling % len(self.world.siblings)].files
        self.files = {n: d for n, d in self.files.items() if not n.startswith(folder)}
        self.files |= {n: d for n, d in other.items() if n.startswith(folder)}
        self.pristine = False
        self._mend(mend)

    # ---- changes to records ---------------------------------------------------------------------

    @rule(record=numbers, place=numbers, how=numbers, mend=mended)
    def edit(self, record: int, place: int, how: int, mend: str) -> None:
        """Another value in a record's place, a member more, or one less."""
        records = self._records()
        assume(records is not None and len(records))
        assert records is not None
        value = records[record % len(records)]
        places = list(places_of(value))
        path = places[place % len(places)]
        edit(value, path, how, places)
        self._put_records(records)
        self._mend(mend)

    @rule(record=numbers, form=st.sampled_from(("blank", "twice", "float", "escape", "order", "empty")), mend=mended)
    def rewrite(self, record: int, form: str, mend: str) -> None:
        """A record in other bytes that many readers take for the same."""
        leaves = self._leaves()
        assume(len(leaves) and leaves[record % len(leaves)].startswith(b"{"))
        index = record % len(leaves)
        leaf = leaves[index]
        leaves[index] = {
            "blank": leaf.replace(b":", b": ", 1),
            "twice": b'{"type":"genesis",' + leaf[1:],
            "float": leaf.replace(b'"index":1,', b'"index":1.0,').replace(b'"count":100,', b'"count":1e2,'),
            "escape": leaf.replace(b'"type"', b'"\\u0074ype"', 1),
            "order": _reversed(leaf),
            "empty": b"",
        }[form]
        self._put(RECORDS, b"".join(leaf + b"\n" for leaf in leaves))
        self._mend(mend)

    @rule(one=numbers, other=numbers, how=st.sampled_from(("drop", "double", "swap", "cut")), mend=mended)
    def rearrange(self, one: int, other: int, how: str, mend: str) -> None:
        """Records left out, repeated, exchanged, cut off."""
        leaves = self._leaves()
        assume(len(leaves) > 1)
        a, b = one % len(leaves), other % len(leaves)
        if how == "drop":
            del leaves[a]
        elif how == "double":
            leaves.insert(b, leaves[a])
        elif how == "swap":
            leaves[a], leaves[b] = leaves[b], leaves[a]
        else:
            leaves = leaves[: max(1, a)]
        self._put(RECORDS, b"".join(leaf + b"\n" for leaf in leaves))
        self._mend(mend)

    @rule(sibling=few, record=numbers, to=numbers, instead=st.booleans(), mend=mended)
    def splice(self, sibling: int, record: int, to: int, instead: bool, mend: str) -> None:
        """A record of another run among this run's."""
        other, leaves = self.world.siblings[sibling % len(self.world.siblings)].leaves, self._leaves()
        assume(leaves)
        at = to % len(leaves)
        leaves[at : at + instead] = [other[record % len(other)]]
        self._put(RECORDS, b"".join(leaf + b"\n" for leaf in leaves))
        self._mend(mend)

    @rule(one=numbers, other=numbers, mend=mended)
    def repeat_salt(self, one: int, other: int, mend: str) -> None:
        """One commitment of zeros, with its salt, in the place of another of the first state."""
        records = self._records()
        assume(records is not None and len(records) > 1 and records[1].keys() >= {"state", "zero_salts"})
        assert records is not None
        state, salts = records[1]["state"], records[1]["zero_salts"]
        assume(isinstance(state, dict) and isinstance(salts, dict))
        places = [(n, b) for n in salts if isinstance(salts[n], list) for b in range(len(salts[n]))]
        assume(len(places) > 1 and all(isinstance(state.get(n), list) and b < len(state[n]) for n, b in places))
        (name, b), (to, c) = places[one % len(places)], places[other % len(places)]
        state[to][c], salts[to][c] = state[name][b], salts[name][b]
        for record in records[2:3]:
            if isinstance(record.get("state_in"), dict):
                record["state_in"] = state
        self._put_records(records)
        self._mend(mend)

    @rule(key=st.booleans(), run=st.booleans(), mend=mended)
    def steal(self, key: bool, run: bool, mend: str) -> None:
        """The run under the attacker's key, whom the auditor pins; and under a name of its own."""
        assume(not self.trainer)
        records = self._records()
        assume(records and isinstance(records[0].get("keys"), list))
        assert records is not None
        if key:
            records[0]["keys"] = [THIEF.public_key.encode()]
        if run:
            records[0]["run"] = "ab" * 16
        self.auditor = replace(self.auditor, keys=(THIEF.public_key.encode(),))
        self._put_records(records)
        self._mend(mend)
        self._sign()

    @rule(kind=st.sampled_from(WEIGHTS), mend=mended)
    def publish(self, kind: str, mend: str) -> None:
        """Other weights, the three files in agreement where that is possible."""
        names = ("model/weights.i64.safetensors", "model/weights.f32.safetensors", "model/opening.json")
        assume(all(name in self.files for name in names))
        integers, floats, opening = (self.files[name] for name in names)
        try:
            tensors = load(integers)
            salts = json.loads(opening)["W"]
        except Exception:  # somebody changed them before
            assume(False)
        assume(tensors and all(t.dtype == np.int64 and t.size for t in tensors.values()))
        first = sorted(tensors)[0]
        changed = tensors[first].copy()
        if kind in ("one unit", "zeros"):
            changed.flat[0] = changed.flat[0] + 1 if kind == "one unit" else 0
        tensors = {**tensors, first: changed}
        rounded = {n: np.ldexp(t.astype(np.float64), -32).astype(np.float32) for n, t in tensors.items()}
        if kind == "floats alone":
            rounded[first].flat[0] = np.nextafter(rounded[first].flat[0], np.float32(9))
        if kind == "negative zero":
            tensors[first].flat[0] = 0
            rounded[first].flat[0] = np.float32(-0.0)
        if kind == "another tensor":
            tensors["backdoor"] = np.zeros(2, np.int64)
            rounded["backdoor"] = np.zeros(2, np.float32)
        metadata = {"format": "pt"} if kind == "metadata" else None
        integers, floats = save(tensors, metadata), save(rounded, metadata)
        if kind == "a name twice":
            floats = _doubled(floats, first)
        if kind == "a salt":
            salts[0] = "00" * (len(salts[0]) // 2)
        for name, data in zip(names, (integers, floats, _canonical({"W": salts, "format": _OPENING})), strict=True):
            self._put(name, data)
        self._mend(mend)

    # ---- changes to the note --------------------------------------------------------------------

    @rule(kind=st.sampled_from(NOTES), which=few)
    def exchange_note(self, kind: str, which: int) -> None:
        """A note that the trainer made for something else, or that somebody else made."""
        leaves, origin = tuple(self._leaves()), self._origin()
        own = self.files.get(CHECKPOINT, b"")
        if kind in ("older", "another run's"):
            notes = self.world.run.notes
            if kind == "another run's":
                notes = self.world.siblings[which % len(self.world.siblings)].notes
            self._put(CHECKPOINT, notes[which % len(notes)])
            return
        if kind == "one signature less":
            lines = own.split(b"\n")
            assume(len(lines) > 2)
            del lines[-2]
            self._put(CHECKPOINT, b"\n".join(lines))
            return
        if kind == "one more":  # a cosignature beside the others: harmless
            signed = self.ledger.notes.get(own)
            assume(signed is not None and THIEF.public_key.encode() not in signed.keys)
            assert signed is not None
            line = self.ledger.sign(signed.leaves, (THIEF,), signed.origin).split(b"\n\n")[1]
            more = own + line
            self.ledger.notes[more] = replace(signed, keys=signed.keys | {THIEF.public_key.encode()})
            pristine = self.pristine
            self._put(CHECKPOINT, more)
            self.pristine = pristine
            return
        if kind == "bytes":
            self._put(CHECKPOINT, own.replace(b"\n", b"\r\n", 1) if which % 2 else own.replace(b"\n4\n", b"\n04\n"))
            return
        signer = NAMESAKE if kind != "thief" else THIEF
        assume(origin is not None)
        assert origin is not None
        forged = self.ledger.sign(leaves, (signer,), origin)
        if kind == "trainer's key ID":
            forged = _with_key_id(forged, self.world.run.signers[0])
        self._put(CHECKPOINT, forged)

    @rule(file=numbers)
    def ask_about(self, file: int) -> None:
        """The auditor downloaded a file of the run's, as it is now."""
        name = self._name(file)
        self.auditor = replace(self.auditor, subject=sha256(self.files[name]).hexdigest())
        self.pristine = False  # a proof, say, is no published file

    @rule(mend=st.sampled_from(("sign", "hash sign", "link sign", "number sign", "prove sign", "all")))
    def mend(self, mend: str) -> None:
        """What the attacker can do to hide what was done before."""
        self._mend(mend)

    @precondition(lambda self: not self.trainer)
    @rule()
    def sign_as_a_stranger(self) -> None:
        """The attacker's own key under whatever lies there."""
        self._sign()

    @rule()
    def nothing(self) -> None:
        """So that honest runs are judged too."""

    # ---- the verdict ----------------------------------------------------------------------------

    @invariant()
    def the_verdict_is_no_better_than_the_truth(self) -> None:
        if not hasattr(self, "world"):
            return
        self._synchronize()
        with RunFolder(self.folder) as files:
            found = self._judged(files)
        expected = truth(self.files, self.ledger, self.auditor)
        note(f"{self.world.name}: {found.verdict_line}, truth {expected}, {found.failure}")
        self._compare(found, expected, self.files)
        self.verdicts.append(found.verdict)
        if self.pristine:
            assert expected.levels is not None
            assert found.failure is None, str(found.failure)
        public = {name: data for name, data in sorted(self.files.items()) if is_public(name)}
        bundle = self.folder.with_suffix(".tar")
        bundle.write_bytes(packed(public))
        if public:
            with Bundle(bundle) as archive:
                packed_up = self._judged(archive)
            self._compare(packed_up, truth(public, self.ledger, self.auditor), public)
            if public.keys() == self.files.keys() and self.auditor.sample is None:
                assert _essence(packed_up) == _essence(found)
        bundle.unlink()

    def _compare(self, found: Report, expected: Truth, files: Files) -> None:
        agree(found)
        assert found.unreadable is None
        levels = {level.value for level in found.levels}
        if expected.levels is None:
            assert found.verdict == "FAILED", f"{found.verdict_line}, but {expected.why}"
            return
        if found.failure is None:
            assert levels <= expected.levels, f"{levels} was shown, {expected.levels} is true"
            if found.sample is not None:
                self._check_sample(found, expected)
            if not self.auditor.keys:
                assert found.verdict == "UNPINNED"
            enough = self.auditor.require in levels or (self.auditor.require == "L1" and "L1-sampled" in levels)
            right = 0 if self.auditor.keys and enough and not expected.withheld else 3
            assert found.exit_status == right
        if expected.exact and not expected.bad:
            assert found.failure is None, f"refused for no reason: {found.failure}"
            assert levels == expected.levels

    def _check_sample(self, found: Report, expected: Truth) -> None:
        sample = found.sample
        assert sample is not None
        assert len(set(sample.verified)) == self.auditor.sample
        assert {0, sample.proofs - 1} <= set(sample.verified)
        assert not expected.bad & set(sample.verified)

    def _judged(self, files: Evidence) -> Report:
        keys = tuple(PublicKey.parse(key) for key in self.auditor.keys)
        head = None if self.auditor.head is None else TreeHead(*self.auditor.head)
        policy = Policy(
            keys=keys,
            srs=frozenset({SRS}) if self.auditor.usable else frozenset(),
            require=frozenset({Level(self.auditor.require)}),
            head=head,
            sample=self.auditor.sample,
            accept_sample=self.auditor.sample is not None,
            accept_uncovered=self.auditor.accepted,
            keep_going=self.keep_going,
        )
        subject = self.auditor.subject
        found = None
        if subject is not None:
            found = Found("x", self.folder, "from", (Subject("x", bytes.fromhex(subject)),))
        systems: dict[str, ProofSystem] = {
            "none": HashedSystem(),
            "ezkl": IdealSystem(ledger=self.ledger),
            "native": NativeSystem(),
        }
        try:
            return Verifier(policy, systems, {"file": file_receipt}).verify(files, found=found)
        except Exception as error:
            raise AssertionError(f"a traceback in the place of a verdict: {error!r}") from error

    def _synchronize(self) -> None:
        for name in self.written.keys() - self.files.keys():
            (self.folder / name).unlink()
        for name, data in self.files.items():
            if self.written.get(name) != data:
                path = self.folder / name
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(data)
        self.written = dict(self.files)
        for name in os.listdir(self.folder):
            if (self.folder / name).is_dir() and not any((self.folder / name).iterdir()):
                (self.folder / name).rmdir()

    # ---- what the attacker can do ---------------------------------------------------------------

    def _mend(self, how: str) -> None:
        """Brings records into agreement, proves what is true, signs: what is the trainer's to do. A
        stranger signs, with another key."""
        chosen = set(how.split()) | ({"hash", "link", "number", "prove", "sign"} if how == "all" else set())
        records = self._records()
        if records is not None and self.trainer:
            try:
                if "number" in chosen:
                    _number(records)
                if "link" in chosen:
                    _link(records)
                if "prove" in chosen:
                    self._prove(records)
                if "hash" in chosen:
                    self._hash(records)
                self._put_records(records)
            except (KeyError, TypeError, IndexError, AttributeError, ValueError):
                pass  # what lies there is too far from records
        if "sign" in chosen:
            self._sign()

    def _sign(self) -> None:
        leaves, origin = tuple(self._leaves()), self._origin()
        if leaves and origin is not None:
            self._put(CHECKPOINT, self.ledger.sign(leaves, self.signers, origin))

    def _hash(self, records: list[Any]) -> None:
        """The digests of the files as they are now, where the records name them."""
        for record in records:
            if record["type"] == "segment":
                for b, old in enumerate(record["proofs"]):
                    data = self.files.get(f"proofs/{record['index']}-{b}")
                    record["proofs"][b] = old if data is None else sha256(data).hexdigest()
            if record["type"] == "close":
                for member, folder in (("model", "model/"), ("artefacts", "")):
                    named = record[member]
                    named |= {n: sha256(self.files[folder + n]).hexdigest() for n in named if folder + n in self.files}

    def _prove(self, records: list[Any]) -> None:
        """Fresh proofs, under the header as it is now, of what some proof has shown: the trainer
        knows how each of those steps was taken. A header that changes what a step is has none."""
        if self.world.backend != "ezkl":
            return
        leaf = _canonical(records[0])
        try:
            header = parse(leaf, None)
        except VerificationError:
            return
        assert isinstance(header, Header)
        for record in (r for r in records if r["type"] == "segment"):
            facts = [self._witness(header, record, b) for b in range(len(header.blocks))]
            if not all(facts):
                continue
            try:
                segment = parse(_canonical(record), header)
            except VerificationError:
                continue
            assert isinstance(segment, Segment)
            for b, token in enumerate(self.ledger.prove(leaf, segment)):
                self.files[f"proofs/{segment.index}-{b}"] = token
                record["proofs"][b] = sha256(token).hexdigest()

    def _witness(self, header: Header, record: Mapping[str, Any], block: int) -> Fact | None:
        """A fact that this record's block repeats at its own place, under the same rule."""
        for fact in self.ledger.proofs.values():
            made = json.loads(fact.header)
            same = all(_canonical(made[m]) == _canonical(json.loads(to_bytes(header))[m]) for m in _BINDING)
            if same and fact == replace(
                fact,
                index=fact.index,
                first=record["first"],
                last=record["last"],
                block=block,
                lr=record["lr"],
                state_in={n: blocks[block] for n, blocks in record["state_in"].items()},
                state_out={n: blocks[block] for n, blocks in record["state_out"].items()},
                gradient=record["gradients"][block],
            ):
                return fact
        return None

    # ---- files as records -----------------------------------------------------------------------

    def _name(self, number: int) -> str:
        assume(self.files)
        return sorted(self.files)[number % len(self.files)]

    def _put(self, name: str, data: bytes) -> None:
        if self.files.get(name) != data:
            self.files[name] = data
            self.pristine = False

    def _leaves(self) -> list[bytes]:
        return self.files.get(RECORDS, b"").split(b"\n")[:-1]

    def _records(self) -> list[Any] | None:
        """The records as JSON, None if they aren't."""
        try:
            records = [json.loads(leaf) for leaf in self._leaves()]
        except (ValueError, RecursionError):
            return None
        return records if all(isinstance(r, dict) and "type" in r for r in records) else None

    def _put_records(self, records: list[Any]) -> None:
        self._put(RECORDS, b"".join(_canonical(record) + b"\n" for record in records))

    def _origin(self) -> str | None:
        records = self._records()
        run = records[0].get("run") if records else None
        return f"zk-autograd/{run}" if isinstance(run, str) and run.isalnum() and len(run) < 200 else None


_BINDING = ("rule", "grad_scale", "schedule", "groups", "parameters", "size", "blocks", "prover")
"""Members of a header that say what a step is."""

_OPENING = "zk-autograd/opening/v0"


def _essence(report: Report) -> tuple[Any, ...]:
    """A report without the words of the reader, which differ from folder to bundle."""
    value, failure = report.to_json(), report.failure
    place = None if failure is None else (failure.step, failure.record)
    return place, *(value[member] for member in ("verdict", "exit_status", "levels", "missing", "run", "claims"))


def _reversed(leaf: bytes) -> bytes:
    try:
        value = json.loads(leaf)
    except ValueError:
        return leaf
    return json.dumps(dict(reversed(value.items())), separators=(",", ":")).encode()


def _number(records: list[Any]) -> None:
    """Segments and steps counted anew, in the order in which the records are now."""
    step = index = 0
    for record in records:
        if record["type"] == "segment":
            length = record["last"] - record["first"]
            record["index"], record["first"], record["last"] = index, step + 1, step + 1 + length
            step, index = record["last"], index + 1
        if record["type"] == "close":
            record["last_step"], record["segments"] = step, index


def _link(records: list[Any]) -> None:
    """Each segment begins where the one before ended, and so does the close record."""
    state = None
    for record in records:
        if record["type"] == "genesis":
            state = record["state"]
        elif record["type"] == "segment":
            record["state_in"], state = state, record["state_out"]
        elif record["type"] == "close":
            record["state"] = state


def _doubled(data: bytes, name: str) -> bytes:
    from attacks.tools.forge import with_tensor_twice

    return with_tensor_twice(data, name)


def _with_key_id(forged: bytes, signer: Signer) -> bytes:
    """A note whose last signature line claims to be by this signer's key."""
    from base64 import b64decode, b64encode

    text, line = forged.decode().rstrip("\n").rsplit("\n", 1)
    dash, _, blob = line.split(" ")
    key = signer.public_key
    return f"{text}\n{dash} {key.name} {b64encode(key.key_id + b64decode(blob)[4:]).decode()}\n".encode()
