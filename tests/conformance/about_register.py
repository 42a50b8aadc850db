"""Cases about runs of the format run/v2: the trainer's register, its views and receipts (step 4),
and first weights that a beacon gave (step 6)."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tests.conformance.cases import Change, less, refused, shown, signed
from tests.conformance.draft import DATA, Draft
from tests.verify.register_builder import OTHER, PLACES, Tree
from tests.verify.run_builder import SECOND, SIGNER
from zk_autograd.core.anchors import Receipt
from zk_autograd.core.canonical import encode
from zk_autograd.core.first_weights import first_weights
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.record_bytes import parse
from zk_autograd.core.records import Header, header_digest
from zk_autograd.core.register import Entry, Kind, View, origin_of
from zk_autograd.prove.hashed.commitment import commit

VIEWS, RECEIPTS = "register/views.jsonl", "anchors/receipts.jsonl"
BASE, BEGUN, L0 = "registered", "registered-beacon", {"require": "L0"}
GOLDEN = (DATA / "test-v1.key.pub").read_text(encoding="ascii").split()

# ---- a run in its register, and what a header may say of it

shown(
    "register-untouched",
    "A run in its trainer's register.",
    BASE,
    "L0",
    auditor=L0,
    says="its entry 5 covers all of these 6 records",
)
shown(
    "register-file-receipts",
    "Its receipts are those of the trainer's own file.",
    BASE,
    "L0",
    auditor=L0,
    says="the trainer's word: it rests on a file of the trainer's own",
)
shown(
    "register-v2-golden",
    "A native run of run/v2, made by its trainer's own tool, under both keys.",
    "native-v2",
    "L0",
    "L1",
    auditor={"keys": GOLDEN},
)


def header(**changes: Any) -> Change:
    """Members of the header set, or taken out (`...`)."""

    def change(record: Any) -> None:
        for name, value in changes.items():
            if value is ...:
                del record[name]
            else:
                record[name] = value

    return lambda d: d.edit(0, change)


def by_beacon(weights: str = "beacon", order: str = "trainer", **more: Any) -> Change:
    return header(chosen_by={"initial_weights": weights, "data_order": order}, **more)


KEY = SIGNER.public_key
TERMS = {"kind": "evm", "chain": "31337"}

for name, about, says, change in (
    ("another-keys", "The register of another key.", "another trainer's register", header(register=origin_of([SECOND.public_key]))),
    ("without-key-id", "An origin without the key's digest.", "another trainer's register", header(register="zk-autograd/register/")),
    ("capitals", "An origin in capitals.", "another trainer's register", header(register=origin_of([KEY]).upper())),
    ("of-two-keys", "Two Ed25519 keys, and a register.", "the header's keys have no register",
     header(keys=[KEY.encode(), SECOND.public_key.encode()])),
    ("missing", "No register, and no word that there is none.", "record.register is missing", header(register=...)),
    ("number", "A number for a register.", "is invalid", header(register=0)),
    ("201-characters", "A register of 201 characters.", "is invalid", header(register="x" * 201)),
    ("beacon-missing", "No beacon, and no word that there is none.", "record.beacon is missing", header(beacon=...)),
    ("beacon-array", "An array for a beacon's terms.", "is invalid", header(beacon=[])),
    ("terms-of-no-beacon", "Terms of a beacon that decides nothing.", "exactly where it decides something", header(beacon=TERMS)),
    ("weights-without-terms", "A beacon without terms chose the weights.", "exactly where it decides something", by_beacon()),
    ("order-without-weights", "A beacon chose the order of the data alone.", "only then the order of its data",
     by_beacon("trainer", "beacon", beacon=TERMS)),
    ("terms-without-kind", "Terms that don't say what kind of anchor.", "what kind of anchor", by_beacon(beacon={"chain": "1"})),
    ("terms-17", "Seventeen terms.", "too many terms", by_beacon(beacon={"kind": "evm", **{f"a{i}": "1" for i in range(16)}})),
    ("term-in-capitals", "A term whose name has a capital.", "no plain name", by_beacon(beacon={"kind": "evm", "Chain": "1"})),
    ("term-of-41", "A term whose name has 41 letters.", "no plain name", by_beacon(beacon={"kind": "evm", "a" * 41: "1"})),
    ("term-empty", "A term that is empty.", "record.beacon.chain is invalid", by_beacon(beacon={"kind": "evm", "chain": ""})),
    ("term-201", "A term of 201 characters.", "record.beacon.chain is invalid", by_beacon(beacon={"kind": "evm", "chain": "1" * 201})),
    ("term-number", "A number for a term.", "record.beacon.chain is invalid", by_beacon(beacon={"kind": "evm", "chain": 1})),
    ("beacon-without-register", "First weights of a beacon, in no register.", "must be in a register",
     by_beacon(beacon=TERMS, register="")),
    ("v1-members", "A header of run/v1 with the members of run/v2.", "unknown fields", header(format="zk-autograd/run/v1")),
    ("v0-members", "A header of run/v0 with them.", "unknown fields", header(format="zk-autograd/run/v0")),
    ("v1-beacon", "A header of run/v1 whose first weights a beacon chose.", "chosen_by.initial_weights is invalid",
     by_beacon(format="zk-autograd/run/v1", register=..., beacon=...)),
    ("v3-members", "A header of run/v3 with the members of run/v2.", "record.enclave is missing", header(format="zk-autograd/run/v3")),
    ("v4", "A run of a later format.", "record.format is invalid", header(format="zk-autograd/run/v4")),
):  # fmt: skip
    signed(f"register-{name}", f"{about} Signed.", 1, says, change, BASE)
signed("register-v1-for-v2", "A run of run/v1's members is said to be of run/v2. Signed.", 1, "record.beacon is missing",
       header(format="zk-autograd/run/v2"))  # fmt: skip


def of_genesis(change: Callable[[Any], object]) -> Change:
    return lambda d: d.edit(1, change)


for name, about, says, edit in (
    ("missing", "No beacon.", "record.beacon is missing", lambda r: r.pop("beacon")),
    ("short", "A beacon of 31 bytes.", "record.beacon is invalid", lambda r: r.update(beacon="00" * 31)),
    ("salts-missing", "No salts of W.", "record.weight_salts is missing", lambda r: r.pop("weight_salts")),
    ("salts-less", "A salt too few.", "record.weight_salts is invalid", lambda r: r["weight_salts"].pop()),
    ("salts-more", "A salt too many.", "record.weight_salts is invalid", lambda r: r["weight_salts"].append("07" * 32)),
    ("salts-short", "A salt of 31 bytes.", "record.weight_salts[0] is invalid", lambda r: r["weight_salts"].__setitem__(0, "07" * 31)),
    ("salts-by-name", "The salts as an object.", "record.weight_salts is invalid", lambda r: r.update(weight_salts={"W": r["weight_salts"]})),
):  # fmt: skip
    signed(f"beacon-{name}", f"{about} Signed.", 1, says, of_genesis(edit), BEGUN)
signed("beacon-of-the-trainers-weights", "A genesis with a beacon, and the trainer chose the weights. Signed.", 1, "unknown fields",
       lambda d: d.edit(1, lambda r: r.update(beacon="00" * 32, weight_salts=["07" * 32] * 2)), BASE)  # fmt: skip

# ---- views and receipts (step 4)


@dataclass
class Registered:
    """A case's register, and what the run shows of it."""

    tree: Tree
    views: list[Any]
    receipts: list[Any]


def entered(d: Draft, places: Sequence[tuple[int, int]] = PLACES) -> Registered:
    """The register as the trainer keeps it for the records as they are."""
    leaves = d.leaves
    run = bytes.fromhex(d.origin.removeprefix("zk-autograd/"))

    def entry(kind: Kind, size: int) -> Entry:
        return Entry(kind, run, size, root([leaf_hash(leaf) for leaf in leaves[:size]]))

    closed = d.record(-1)["type"] == "close"
    tree = Tree(
        [
            OTHER,
            entry(Kind.BEGIN, 1),
            Entry(Kind.CHECKPOINT, OTHER.run, 4, bytes([7]) * 32),
            entry(Kind.CHECKPOINT, 3),
            Entry(Kind.CHECKPOINT, OTHER.run, 5, bytes([6]) * 32),
            entry(Kind.CLOSE if closed else Kind.CHECKPOINT, len(leaves)),
            Entry(Kind.BEGIN, bytes([5]) * 16, 1, bytes([4]) * 32),
        ]
    )
    return Registered(tree, list(tree.views(*places)), [tree.receipt(size) for _, size in places])


def put(d: Draft, registered: Registered) -> None:
    for path, lines in ((VIEWS, registered.views), (RECEIPTS, registered.receipts)):
        whole = [line.encode() if isinstance(line, View | Receipt) else line for line in lines]
        d.files[path] = b"".join(line + b"\n" for line in whole)


def with_register(change: Callable[[Registered], object] = lambda _: None) -> Change:
    """The register's files made anew, after this change."""

    def changed(d: Draft) -> None:
        registered = entered(d)
        change(registered)
        put(d, registered)

    return changed


def changed_view(number: int, **members: Any) -> Callable[[Registered], object]:
    """Members of a view's line, whatever they are."""

    def change(r: Registered) -> None:
        r.views[number] = encode({**json.loads(r.views[number].encode()), **members})

    return change


def other_view(number: int, index: int, entry: Entry) -> Callable[[Registered], object]:
    """Another entry in the register, which the view shows, truly signed."""

    def change(r: Registered) -> None:
        r.tree.entries[index] = entry
        places = list(PLACES)
        places[number] = (index, places[number][1])
        r.views[:] = r.tree.views(*places)
        r.receipts[:] = [r.tree.receipt(size) for _, size in places]

    return change


def entry_of(r: Registered, index: int, **changes: Any) -> None:
    r.tree.entries[index] = replace(r.tree.entries[index], **changes)
    r.views[:] = r.tree.views(*PLACES)
    r.receipts[:] = [r.tree.receipt(size) for _, size in PLACES]


def branch(r: Registered) -> None:
    """A second branch of the register, under the trainer's signature, of the same size."""
    other = Tree([OTHER, *r.tree.entries[1:4], replace(OTHER, size=4, kind=Kind.CHECKPOINT), *r.tree.entries[5:]])
    r.views.append(replace(other.view(5, 6, 6), consistency=()))


def forged(r: Registered) -> None:
    """The last view's note under somebody else's signature."""
    thief = replace(r.tree, signers=(SECOND,))
    r.views[2] = thief.view(5, 6, 4)


def closed_early(r: Registered) -> None:
    """Entry 3 is the run's close, and the last one shown."""
    entry_of(r, 3, kind=Kind.CLOSE)
    r.views[1:] = [r.tree.view(3, 6, 2)]
    r.receipts.clear()


def remove(path: str) -> Change:
    return lambda d: d.files.pop(path)


ADD = bytes([1]) * 32

for name, about, says, change in (
    ("no-views", "The views are missing.", "views.jsonl", remove(VIEWS)),
    ("no-receipts", "The receipts are missing.", "receipts.jsonl", remove(RECEIPTS)),
    ("views-empty", "The views are an empty file.", "the run's begin is missing", lambda d: d.files.update({VIEWS: b""})),
    ("views-torn", "The last view has no end.", "views.jsonl", lambda d: d.files.update({VIEWS: d.files[VIEWS][:-1]})),
    ("view-not-canonical", "A view with a space.", "not canonical JSON",
     lambda d: d.files.update({VIEWS: d.files[VIEWS].replace(b":", b": ", 1)})),
    ("view-more", "A view with one member more.", "unknown fields", with_register(changed_view(1, more=1))),
    ("view-of-another-version", "A view of another version.", "view.format is invalid",
     with_register(changed_view(0, format="zk-autograd/register-view/v2"))),
    ("view-65-hashes", "An inclusion proof of 65 hashes.", "view.inclusion is invalid",
     with_register(changed_view(0, inclusion=["00" * 32] * 65))),
    ("view-no-note", "A text that is no note.", "views.jsonl, line 1", with_register(changed_view(0, checkpoint="x"))),
    ("inclusion", "An inclusion proof of another entry.", "inclusion",
     with_register(changed_view(1, index=2))),
    ("inclusion-hash", "An inclusion proof with a hash too many.", "inclusion",
     with_register(lambda r: r.views.__setitem__(0, replace(r.views[0], inclusion=(*r.views[0].inclusion, ADD))))),
    ("consistency", "No consistency proof.", "consistency",
     with_register(lambda r: r.views.__setitem__(1, replace(r.views[1], consistency=())))),
    ("since", "A view that doesn't follow the one before.", "does not follow the one before",
     with_register(lambda r: r.views.__setitem__(2, r.tree.view(5, 6, 2)))),
    ("view-left-out", "A view is left out.", "does not follow the one before", with_register(lambda r: r.views.pop(1))),
    ("views-exchanged", "Two views are exchanged.", "views.jsonl, line 2",
     with_register(lambda r: r.views.__setitem__(slice(1, 3), r.views[:0:-1]))),
    ("no-begin", "The run's begin is left out.", "the first entry is not the run's begin",
     with_register(lambda r: r.views.__setitem__(slice(0, 2), [r.tree.view(3, 4)]))),
    ("begun-twice", "The run is begun twice.", "the run is begun twice",
     with_register(lambda r: other_view(1, 3, r.tree.entries[1])(r))),
    ("anothers-entry", "The entry of another run.", "the entry is another run's",
     with_register(lambda r: other_view(1, 3, replace(r.tree.entries[3], run=bytes(16)))(r))),
    ("another-header", "The begin of another header.", "two views of one log",
     with_register(lambda r: entry_of(r, 1, root=ADD))),
    ("another-root", "An entry of another log of this run.", "two views of one log",
     with_register(lambda r: entry_of(r, 3, root=ADD))),
    ("smaller", "An entry of fewer records than the one before.", "did not grow",
     with_register(lambda r: entry_of(r, 5, size=2, kind=Kind.CHECKPOINT))),
    ("withheld", "The register has more records of the run than are shown.", "some were withheld",
     with_register(lambda r: entry_of(r, 5, size=9, root=ADD, kind=Kind.CHECKPOINT))),
    ("not-closed", "The register has the whole run as not closed.", "says that the run is not closed",
     with_register(lambda r: entry_of(r, 5, kind=Kind.CHECKPOINT))),
    ("closed-early", "The register has the run closed after three records.", "after 3 records",
     with_register(closed_early)),
    ("fork", "Two roots of one size, both signed.", "has two branches", with_register(branch)),
    ("forged", "A checkpoint that somebody else signed.", "is not signed by the key", with_register(forged)),
    ("anothers-register", "Views of another register.", "views.jsonl, line 1",
     with_register(lambda r: r.views.__setitem__(0, Tree(r.tree.entries, (SECOND,), origin_of([SECOND.public_key])).view(1, 2)))),
    ("receipt-torn", "The last receipt has no end.", "receipts.jsonl", lambda d: d.files.update({RECEIPTS: d.files[RECEIPTS][:-1]})),
    ("receipt-more", "A receipt with one member more.", "unknown fields",
     with_register(lambda r: r.receipts.__setitem__(0, encode({**json.loads(r.receipts[0].encode()), "more": 1})))),
    ("receipt-body", "A receipt of the file with a negative line.", "line is invalid",
     with_register(lambda r: r.receipts.__setitem__(0, r.tree.receipt(2, line=-1)))),
    ("receipt-of-another-root", "A receipt of another root.", "is for another tree head",
     with_register(lambda r: r.receipts.__setitem__(0, replace(r.receipts[0], root=ADD)))),
    ("receipt-of-another-size", "A receipt of a checkpoint that isn't shown.", "that the run does not show",
     with_register(lambda r: r.receipts.__setitem__(0, r.tree.receipt(3)))),
    ("receipt-of-a-later-tree", "A receipt of a later tree.", "that the run does not show",
     with_register(lambda r: r.receipts.append(r.tree.receipt(7)))),
):  # fmt: skip
    refused(f"register-{name}", about, 4, says, change, BASE)

shown("register-receipts-none", "No receipt: the file is there, and empty.", BASE, "L0", auditor=L0, says="no anchor",
      change=with_register(lambda r: r.receipts.clear()))  # fmt: skip
shown("register-receipt-unknown", "A receipt of a kind that nobody knows yet.", BASE, "L0", auditor=L0, says="does not know the kind",
      change=with_register(lambda r: r.receipts.append(r.tree.receipt(6, "moon"))))  # fmt: skip
shown("register-newer-checkpoint", "The last entry again, under a newer checkpoint.", BASE, "L0", auditor=L0,
      change=with_register(lambda r: r.views.append(r.tree.view(5, 7, 6))))  # fmt: skip
less("register-unpinned", "No key is pinned: nobody's signature under the register counts.", BASE, says="whose signatures were not checked",
     auditor={"keys": [], "require": "L0"})  # fmt: skip


def out_of_it(d: Draft) -> None:
    header(register="")(d)
    d.sign(SIGNER)
    d.files.pop(VIEWS)
    d.files.pop(RECEIPTS)


shown("register-kept-out", "A run that its trainer kept out of their register. Signed.", BASE, "L0", auditor=L0,
      says="its trainer kept it out of theirs", change=out_of_it)  # fmt: skip

# ---- first weights of a beacon (step 6)


def again(change: Callable[[Draft], object]) -> Change:
    """A change of records, signed and entered by the trainer."""

    def changed(d: Draft) -> None:
        change(d)
        d.sign(SIGNER)
        put(d, entered(d))

    return changed


def other_weights(change: Callable[[Any], None]) -> Change:
    """Other first weights, with the commitments that are theirs."""

    def changed(d: Draft) -> None:
        head = parse(d.leaves[0], None)
        assert isinstance(head, Header)
        genesis = d.record(1)
        weights = first_weights(head, header_digest(d.leaves[0]), bytes.fromhex(genesis["beacon"]))
        change(weights)
        salts = [bytes.fromhex(salt) for salt in genesis["weight_salts"]]
        made = [commit(head.padded(weights, i), salt).hex() for i, salt in enumerate(salts)]
        d.set(1, "state.W", made)
        d.set(2, "state_in.W", made)

    return changed


def add(at: int, by: int) -> Callable[[Any], None]:
    def change(weights: Any) -> None:
        weights[at] += by

    return change


def salt_of_m(record: Any) -> None:
    record["zero_salts"]["M"][0] = record["weight_salts"][0]


shown("beacon-that-nothing-shows", "First weights of a beacon that no anchor shows.", BEGUN, "L0", auditor=L0,
      says="for all that is shown: that a beacon decided both is the trainer's word")  # fmt: skip
shown("beacon-untouched-again", "The same, the trainer's files made anew.", BEGUN, "L0", auditor=L0,
      says="the first weights follow from the header and the beacon", change=again(lambda d: None))  # fmt: skip
for name, about, says, change in (
    ("another", "Another beacon than that of the weights.", "W of block 0 is not what the beacon gives",
     lambda d: d.set(1, "beacon", "00" * 31 + "01")),
    ("one-unit", "One of the first weights is a unit larger.", "W of block 0 is not what the beacon gives", other_weights(add(3, 1))),
    ("bias", "A bias that doesn't begin at zero.", "W of block 1 is not what the beacon gives", other_weights(add(5, 1))),
    ("zeros", "First weights that are zero.", "W of block 0 is not what the beacon gives", other_weights(lambda w: np.multiply(w, 0, out=w))),
    ("another-header", "The weights of a header with another package version.", "W of block 0 is not what the beacon gives",
     header(package="0.1.1")),
    ("other-terms", "The beacon's terms are others, the weights are not.", "W of block 0 is not what the beacon gives",
     header(beacon={"kind": "evm", "chain": "1"})),
    ("salts-exchanged", "The salts of two blocks are exchanged.", "W of block 0 is not what the beacon gives",
     lambda d: d.edit(1, lambda r: r["weight_salts"].reverse())),
    ("salt-twice", "Both blocks have one salt.", "W of block 1 has the salt of W of block 0",
     lambda d: d.edit(1, lambda r: r["weight_salts"].__setitem__(1, r["weight_salts"][0]))),
    ("salt-of-m", "A salt of W is one of M's.", "M of block 0 has the salt of W of block 0", lambda d: d.edit(1, salt_of_m)),
):  # fmt: skip
    refused(f"beacon-{name}", f"{about} Signed, and in the register.", 6, says, again(change), BEGUN)

# ---- an anchor that counts

KEYS = {"keys": GOLDEN}
BLOCK = "0x1eab58ffc80936782550bc5d51c1a71f3a6489eb80040add6936269494e60982"
NOT_CHOSEN = "the first weights of the trained tensors were not the trainer's choice"


def trusting(**changes: str) -> dict[str, Any]:
    """Trust in the chain of the run `native-beacon`, in TOML."""
    table = {"chain": '"31337"', "blocks": f'["{BLOCK}"]', **changes}
    return {**KEYS, "trust": "[anchors.evm]\n" + "".join(f"{name} = {value}\n" for name, value in table.items())}


shown("beacon-anchored", "A native run that a beacon began, and the auditor knows the chain's block.", "native-beacon", "L0", "L1",
      auditor=trusting(), says=NOT_CHOSEN)  # fmt: skip
for name, about, auditor in (
    ("no-trust", "The auditor trusts no anchor.", KEYS),
    ("another-block", "The auditor knows another block.", trusting(blocks=f'["0x{"ab" * 32}"]')),
    ("another-chain", "The auditor trusts another chain.", trusting(chain='"1"')),
    ("not-deep", "The auditor asks for more blocks after it.", trusting(depth="161")),
):
    shown(
        f"beacon-anchored-{name}",
        f"The same. {about}",
        "native-beacon",
        "L0",
        "L1",
        auditor=auditor,
        says="the receipt of evm does not count",
    )
shown("beacon-anchored-delay", "The same. The auditor asks for a later beacon.", "native-beacon", "L0", "L1", auditor=trusting(delay="129"),
      says="gives no beacon under the header's terms")  # fmt: skip


def without_its_receipt(d: Draft) -> None:
    lines = d.files[RECEIPTS].splitlines(keepends=True)
    d.files[RECEIPTS] = b"".join(line for line in lines if b'"kind":"evm"' not in line)


shown("beacon-anchored-left-out", "The same without the chain's receipt.", "native-beacon", "L0", "L1", auditor=trusting(),
      change=without_its_receipt, says="there is no receipt of evm")  # fmt: skip
