"""Cases about records and how they fit together: steps 1, 5 and 6."""

import json

from tests.conformance.cases import Change, less, refused, shown, signed
from tests.conformance.draft import Draft
from tests.verify.run_builder import SIGNER


def rewritten(index: int, find: bytes, by: bytes) -> Change:
    """Other bytes in a record, once."""

    def change(d: Draft) -> None:
        leaf = d.leaves[index]
        assert leaf.count(find) >= 1, find
        d.raw(index, leaf.replace(find, by, 1))

    return change


def backwards(leaf: bytes) -> bytes:
    """The same members in the opposite order."""
    return json.dumps(dict(reversed(json.loads(leaf).items())), separators=(",", ":")).encode()


def at(index: int, path: str, value: object) -> Change:
    """Another value in a record."""
    return lambda d: d.set(index, path, value)


# ---- canonical JSON (step 1)

for name, about, change in (
    ("blank", "White space after a colon.", rewritten(2, b'"index":', b'"index": ')),
    ("order", "Members out of order.", lambda d: d.raw(1, backwards(d.leaves[1]))),
    ("key-twice", "A member twice, with the same value.", rewritten(2, b'"index":0', b'"index":0,"index":0')),
    ("key-twice-differing", "A member twice, with two values.", rewritten(2, b'"index":0', b'"index":1,"index":0')),
    ("float", "A float that is an integer.", rewritten(2, b'"index":0', b'"index":0.0')),
    ("exponent", "An integer with an exponent.", rewritten(2, b'"index":0', b'"index":0e0')),
    ("minus-zero", "The integer -0.", rewritten(2, b'"index":0', b'"index":-0')),
    ("leading-zero", "An integer with a leading zero.", rewritten(3, b'"index":1', b'"index":01')),
    (
        "2-53",
        "The integer 2^53, which canonical JSON does not have.",
        rewritten(3, b'"index":1', b'"index":9007199254740992'),
    ),
    (
        "2-53-1",
        "The integer 2^53 + 1, which a float can't hold.",
        rewritten(3, b'"index":1', b'"index":9007199254740993'),
    ),
    ("5000-digits", "An integer of 5,000 digits.", rewritten(3, b'"index":1', b'"index":' + b"9" * 5000)),
    ("null", "A null.", rewritten(3, b'"index":1', b'"index":null')),
    ("nan", "NaN.", rewritten(3, b'"index":1', b'"index":NaN')),
    ("escape", "An escape that is not the shortest.", rewritten(2, b'"index"', b'"\\u0069ndex"')),
    ("slash-escaped", "An escaped slash.", rewritten(0, b"zk-autograd/run", b"zk-autograd\\/run")),
    ("surrogate", "A lone surrogate, escaped.", rewritten(0, b'"package":"', b'"package":"\\ud800')),
    ("not-utf8", "A byte that is no UTF-8.", rewritten(0, b'"package":"', b'"package":"\xff')),
    ("bom", "A byte order mark.", lambda d: d.raw(0, b"\xef\xbb\xbf" + d.leaves[0])),
    ("trailing", "A byte after the object.", lambda d: d.raw(2, d.leaves[2] + b" ")),
    ("cr", "A CR before the newline.", lambda d: d.raw(2, d.leaves[2] + b"\r")),
    (
        "deep",
        "Arrays 3,000 deep, to be refused before a parser runs out of stack.",
        rewritten(0, b'"package":"0.1.0"', b'"package":' + b"[" * 3000 + b"]" * 3000),
    ),
    ("half", "Half a record.", lambda d: d.raw(2, d.leaves[2][:100])),
):
    signed(f"json-{name}", about + " Signed.", 1, "not canonical JSON", change)
signed("json-array", "A record that is an array.", 1, "record is invalid", lambda d: d.raw(2, b"[]"))

# ---- members (step 1)

for name, about, says, change in (
    ("unknown-member", "A record with a member more.", "unknown fields", at(2, "more", "x")),
    ("unknown-member-deep", "A member more within another.", "unknown fields", at(0, "data.more", "x")),
    (
        "member-missing",
        "A segment without its gradients.",
        "record.gradients is missing",
        lambda d: d.edit(2, lambda r: r.pop("gradients")),
    ),
    (
        "another-format",
        "A format that nobody knows.",
        "record.format is invalid",
        at(0, "format", "zk-autograd/run/v999"),
    ),
    ("unknown-rule", "A rule that nobody knows.", "record.rule is invalid", at(0, "rule", "adagrad")),
    (
        "unknown-backend",
        "A backend that nobody knows.",
        "record.prover.backend is invalid",
        at(0, "prover.backend", "magic"),
    ),
    (
        "upper-case-hex",
        "A commitment in capitals.",
        "is invalid",
        lambda d: d.set(2, "gradients.0", d.record(2)["gradients"][0].upper()),
    ),
    (
        "short-hex",
        "A commitment of 31 bytes.",
        "is invalid",
        lambda d: d.set(2, "gradients.0", d.record(2)["gradients"][0][2:]),
    ),
    ("index-text", "An index that is a text.", "record.index is invalid", at(2, "index", "0")),
    ("index-true", "An index that is true.", "record.index is invalid", at(3, "index", True)),
    (
        "step-2-40-1",
        "A segment of the step 2^40 + 1 alone.",
        "record.first is invalid",
        lambda d: (d.set(3, "first", 2**40 + 1), d.set(3, "last", 2**40 + 1)),
    ),
    ("step-0", "A segment that begins with step 0.", "record.first is invalid", at(2, "first", 0)),
    ("last-before-first", "A segment that ends before it begins.", "record.last is invalid", at(3, "last", 3)),
    (
        "more-steps-than-a-segment",
        "A segment of more steps than the header allows.",
        "record.last is invalid",
        at(2, "last", 4),
    ),
    (
        "block-less",
        "A state with a commitment too few.",
        "is invalid",
        lambda d: d.edit(2, lambda r: r["state_in"]["W"].pop()),
    ),
    (
        "state-less",
        "A state too few.",
        "record.state_in.V is missing",
        lambda d: d.edit(2, lambda r: r["state_in"].pop("V")),
    ),
    (
        "state-more",
        "A state that the rule doesn't have.",
        "unknown fields",
        lambda d: d.edit(2, lambda r: r["state_in"].update(B=r["state_in"]["W"])),
    ),
    ("loss-more", "More losses than steps.", "is invalid", at(2, "claimed.loss", ["0.5"] * 4)),
    ("control", "A control character in a name.", "without control characters", at(0, "package", "a\x1b[31mb")),
    (
        "rates-beside-a-schedule",
        "Recorded rates where the header declares a schedule.",
        "record.lr is invalid",
        at(2, "lr", [["0.01"]] * 3),
    ),
    (
        "proofs-of-none",
        "Digests of proofs in a run of the backend none.",
        "record.proofs is invalid",
        at(2, "proofs", ["00" * 32] * 2),
    ),
    ("size-2-41", "More parameters than a run may have.", "is invalid", at(0, "size", 2**41)),
    ("manifest-gap", "A manifest with a gap.", "gap, an overlap or a wrong size", at(0, "parameters.1.offset", 5)),
    (
        "manifest-shape",
        "A shape that is not the size.",
        "gap, an overlap or a wrong size",
        at(0, "parameters.0.shape", [2, 3]),
    ),
    ("manifest-sum", "Tensors that don't add up.", "don't add up", at(0, "size", 7)),
    (
        "manifest-name-twice",
        "Two tensors of one name.",
        "have the same name",
        at(0, "parameters.1.name", "layer.weight"),
    ),
    (
        "manifest-name-of-a-buffer",
        "A parameter with a buffer's name.",
        "have the same name",
        at(0, "parameters.1.name", "norm.running_mean"),
    ),
    ("blocks-gap", "Blocks with a gap.", "gap, an overlap or a wrong size", at(0, "blocks.1", [0, 5, 1])),
    (
        "blocks-less",
        "Blocks that leave parameters out.",
        "don't cover the parameters",
        lambda d: d.edit(0, lambda r: r["blocks"].pop()),
    ),
    (
        "hyper-negative",
        "A negative learning rate.",
        "lr is not a decimal",
        lambda d: d.edit(0, lambda r: r["groups"][0].update(lr="-0.01")),
    ),
    (
        "hyper-nan",
        "A learning rate that is nan.",
        "lr is not a decimal",
        lambda d: d.edit(0, lambda r: r["groups"][0].update(lr="nan")),
    ),
    (
        "hyper-exponent",
        "A learning rate of 1e999999999.",
        "lr is not a decimal",
        lambda d: d.edit(0, lambda r: r["groups"][0].update(lr="1e999999999")),
    ),
    (
        "hyper-number",
        "A learning rate that is a number.",
        "is invalid",
        lambda d: d.edit(0, lambda r: r["groups"][0].update(lr=1)),
    ),
    ("beta-one", "beta1 = 1.", "beta1", lambda d: d.edit(0, lambda r: r["groups"][0].update(beta1="1"))),
    ("shift", "A shift that the rule doesn't have.", "s is 15", at(0, "groups.0.s", 15)),
    (
        "schedule-form",
        "A schedule that is not in its canonical form.",
        "not in its canonical form",
        at(0, "schedule", "cosine:end=0,steps=10"),
    ),
    ("schedule-unknown", "A schedule that nobody knows.", "schedule", at(0, "schedule", "wild")),
    (
        "key-twice-in-header",
        "The same key twice in the header.",
        "names the same key twice",
        lambda d: d.edit(0, lambda r: r["keys"].append(r["keys"][0])),
    ),
    (
        "key-second-encoding",
        "A second encoding of a key.",
        "names an invalid key",
        lambda d: d.edit(0, lambda r: r["keys"].append(r["keys"][0] + "=")),
    ),
    ("no-keys", "A header that names no key.", "record.keys is invalid", at(0, "keys", [])),
    ("grad-scale", "A gradient scale that is out of range.", "record.grad_scale is invalid", at(0, "grad_scale", 1000)),
):
    signed(f"record-{name}", about + " Signed.", 1, says, change)

# ---- order (step 1)

for name, about, says, change in (
    (
        "header-second",
        "The header is the second record.",
        "the first record must be the header",
        lambda d: d.order(1, 0, 2, 3, 4, 5),
    ),
    (
        "header-twice",
        "The header comes twice.",
        "the first record must be the header",
        lambda d: d.order(0, 0, 1, 2, 3, 4, 5),
    ),
    ("genesis-missing", "No genesis.", "the second record must be the genesis", lambda d: d.order(0, 2, 3, 4, 5)),
    (
        "genesis-twice",
        "The genesis comes twice.",
        "the second record must be the genesis",
        lambda d: d.order(0, 1, 1, 2, 3, 4, 5),
    ),
    (
        "after-close",
        "A segment after the close record.",
        "a record follows the close record",
        lambda d: d.order(0, 1, 2, 3, 5, 4),
    ),
    (
        "close-twice",
        "The close record comes twice.",
        "a record follows the close record",
        lambda d: d.order(0, 1, 2, 3, 4, 5, 5),
    ),
):
    signed(f"order-{name}", about + " Signed.", 1, says, change)

# ---- the statement (step 5)

signed(
    "statement-version",
    "A backend of another version.",
    5,
    "the backend's version is not known",
    at(0, "prover.version", "2"),
)
signed(
    "statement-block",
    "A block of 2^40 elements for the backend none.",
    5,
    "block is too large",
    at(0, "prover.block", 2**40),
)
signed(
    "statement-circuit",
    "A circuit that the verifier doesn't have.",
    5,
    "the native prover has no such circuit",
    at(0, "prover.circuit", "native/none-such"),
    base="native",
)
signed(
    "statement-digest",
    "A circuit's name with another digest.",
    5,
    "its digest differs",
    at(0, "prover.circuit_digest", "00" * 32),
    base="native",
)
signed(
    "statement-rule",
    "Another rule than the circuit's.",
    5,
    "its rule differs",
    lambda d: (d.set(0, "rule", "adamw"), d.edit(0, lambda r: r["groups"][0].update(weight_decay="0.01"))),
    base="native",
)
signed(
    "statement-shape", "A block that is no power of two.", 5, "power of two", at(0, "prover.block", 8191), base="native"
)
signed(
    "statement-native-version",
    "A native run of another version.",
    5,
    "its version differs",
    at(0, "prover.version", "2"),
    base="native",
)

# ---- the chain (step 6)

for name, about, says, change in (
    ("index", "The second segment is numbered 2.", "a segment is out of place", at(3, "index", 2)),
    ("swapped", "Two segments have changed places.", "a segment is out of place", lambda d: d.order(0, 1, 3, 2, 4, 5)),
    ("left-out", "A segment is left out.", "a segment is out of place", lambda d: d.order(0, 1, 2, 4, 5)),
    ("repeated", "A segment is repeated.", "a segment is out of place", lambda d: d.order(0, 1, 2, 2, 3, 4, 5)),
    ("gap", "A step is left out.", "steps are not consecutive", lambda d: (d.set(3, "first", 5), d.set(3, "last", 7))),
    (
        "overlap",
        "A step is there twice.",
        "steps are not consecutive",
        lambda d: (d.set(3, "first", 3), d.set(3, "last", 5)),
    ),
    (
        "state-in",
        "The second segment begins with another state.",
        "the state-in of segment 1 is not the state-out of segment 0",
        at(3, "state_in.W.0", "07" * 32),
    ),
    (
        "state-in-of-the-other-block",
        "Two blocks' states have changed places.",
        "the state-in of segment 1 is not the state-out of segment 0",
        lambda d: d.edit(3, lambda r: r["state_in"]["W"].reverse()),
    ),
    (
        "genesis",
        "The first segment begins elsewhere than the genesis.",
        "the state-in of segment 0 is not the genesis",
        at(2, "state_in.M.0", "07" * 32),
    ),
    (
        "close-step",
        "The close record counts a step more.",
        "the close record has the wrong last step",
        at(5, "last_step", 9),
    ),
    (
        "close-segments",
        "The close record counts a segment less.",
        "the close record has the wrong number of segments",
        at(5, "segments", 2),
    ),
    (
        "close-state",
        "The close record ends in another state.",
        "the final state of the close record is not the last state",
        at(5, "state.W.0", "07" * 32),
    ),
    (
        "last-left-out",
        "The last segment is left out, and the counts are mended.",
        "the final state of the close record is not the last state",
        lambda d: (d.order(0, 1, 2, 3, 5), d.set(4, "last_step", 6), d.set(4, "segments", 2)),
    ),
    (
        "zero-salts-twice",
        "A salt of the first state comes twice.",
        "a trainer draws a fresh one each time",
        lambda d: d.edit(1, lambda r: r["zero_salts"].update(M=[r["zero_salts"]["M"][0]] * 2)),
    ),
    (
        "first-state",
        "A first moment that is not zero, chained.",
        "M of block 0 is not zero at the start",
        lambda d: (d.set(1, "state.M.0", "07" * 32), d.set(2, "state_in.M.0", "07" * 32)),
    ),
    ("first-salt", "Another salt of the first state.", "is not zero at the start", at(1, "zero_salts.V.1", "07" * 32)),
    (
        "short-block",
        "A block that is neither full nor the last of its group.",
        "is neither full nor the last of its group",
        lambda d: d.edit(0, lambda r: r.update(blocks=[[0, 0, 2], [0, 2, 4]])),
    ),
):
    signed(f"chain-{name}", about + " Signed.", 6, says, change)
shown(
    "chain-claims-edited",
    "Claimed losses are the trainer's word: other ones, signed, change no level.",
    "none",
    "L0",
    change=lambda d: (d.set(2, "claimed.loss", ["9", "9", "9"]), d.sign(SIGNER)),
    auditor={"require": "L0"},
)
shown(
    "chain-cut-before-close",
    "A trainer may sign a log that ends earlier: an unfinished run.",
    "none-open",
    "L0",
    auditor={"require": "L0"},
)
less(
    "chain-unfinished-model",
    "A run whose trainer signed no close record, with a model beside it.",
    "none",
    "L0",
    says="no record in this view names",
    change=lambda d: (d.order(0, 1, 2, 3, 4), d.sign(SIGNER)),
    auditor={"require": "L0"},
)
refused(
    "chain-hand-made",
    "A change of the chain that nobody signed is found earlier.",
    3,
    "the checkpoint's root is not that of the log",
    at(5, "last_step", 9),
)
