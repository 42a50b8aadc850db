"""Cases at the bounds of what docs/formats.md says: the last value that is allowed, the first that
isn't, and what a verifier may forget to look at."""

import json
from collections.abc import Callable
from hashlib import sha512
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from tests.conformance.about_files import F32, I64, L0, OPENING
from tests.conformance.about_notes import KEY, line
from tests.conformance.about_records import at
from tests.conformance.cases import TRAINER, Change, less, refused, shown, signed, usage
from tests.conformance.draft import CHECKPOINT, DATA, RECORDS, TIMED_NOTE, Draft
from tests.verify.run_builder import SIGNER
from zk_autograd.core.keys import Algorithm, PublicKey
from zk_autograd.core.record_bytes import parse
from zk_autograd.core.records import Header
from zk_autograd.evidence.hashes import Hashes, weights_hash
from zk_autograd.prove.hashed.commitment import commit

ORDER = 2**252 + 27742317777372353535851937790883648493
EIGHTH = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
"""The encoding of a point of order 8 on Curve25519."""

RENAMED = PublicKey("another", KEY.algorithm, KEY.raw).encode()
NOT_ZERO = (
    "2018aa27d46c15b65a1dc22440afa01434441e9a0384d66ed257531f4d42eeacb607000000000000ffbfe43473101d8301272cad3dbd7944"
)
"""The native commitment to 1, 0, 0 ... under the salt of M of the base `native`;
tests/conformance/test_conformance.py computes it."""


def log_alone(d: Draft) -> Draft:
    """Without the files that the records name."""
    for name in [name for name in d.files if not name.startswith("log/")]:
        d.files.pop(name)
    return d


def naming(version: str, *keys: str) -> Change:
    """A header of that version that names these keys."""
    return lambda d: d.edit(0, lambda r: r.update(format=f"zk-autograd/run/{version}", keys=list(keys)))


def resigned(change: Change) -> Change:
    """The change, signed by the trainer."""
    return lambda d: (change(d), d.sign(SIGNER))


# ---- who signed (step 2)


def signature(change: Callable[[bytes], bytes]) -> Change:
    """Another signature of the trainer's, made of the true one."""
    return lambda d: d.note(d.text(), more=line(KEY.key_id + change(SIGNER.sign(d.text())), KEY.name))


def more_than_the_order(raw: bytes) -> bytes:
    return raw[:32] + (int.from_bytes(raw[32:], "little") + ORDER).to_bytes(32, "little")


def of_small_order(d: Draft) -> None:
    """R is a point of order 8, and S fits it but for that point: 8 S B = 8 R + 8 k A."""
    text = d.text()
    secret = bytearray(sha512(SIGNER.seed).digest()[:32])
    secret[0] &= 248
    secret[31] = secret[31] & 63 | 64
    k = int.from_bytes(sha512(EIGHTH + KEY.raw + text.encode()).digest(), "little")
    s = k * int.from_bytes(secret, "little") % ORDER
    d.note(text, more=line(KEY.key_id + EIGHTH + s.to_bytes(32, "little"), KEY.name))


refused(
    "key-s-above-the-order",
    "The trainer's signature with the group's order added to S.",
    2,
    "wrong signature by the key",
    signature(more_than_the_order),
)
refused(
    "key-r-of-order-8",
    "A signature that holds only where both sides are multiplied by 8.",
    2,
    "wrong signature by the key",
    of_small_order,
)
usage(
    "key-twice-renamed",
    "The same key bytes are pinned under two names.",
    "the same key is given twice",
    auditor={"keys": [TRAINER, RENAMED]},
)
for version in ("v0", "v1"):
    signed(
        f"{version}-key-twice-renamed",
        f"A header of run/{version} names the same key bytes under two names. Signed.",
        1,
        "names the same key twice",
        naming(version, TRAINER, RENAMED),
    )
for name, about, text in (
    ("wrong-id", "a wrong ID", TRAINER.replace(f"+{KEY.key_id.hex()}+", "+c8d3c645+")),
    ("no-id", "no ID", TRAINER.replace(f"+{KEY.key_id.hex()}+", "+")),
    ("short", "31 bytes", "x+00000000+" + "AQ" + "A" * 40 + "=="),
):
    signed(
        f"v0-key-{name}",
        f"A header of run/v0 names, beside the trainer's, what begins as an Ed25519 key, with {about}. Signed.",
        1,
        "names an invalid key",
        naming("v0", TRAINER, text),
    )
OFF_THE_CURVE = PublicKey("another", Algorithm.ED25519, (2).to_bytes(32, "little")).encode()
shown(
    "key-of-no-point",
    "A header of run/v1 names a key beside that is no point of the curve, and that nobody pinned.",
    "none",
    "L0",
    change=resigned(naming("v1", TRAINER, OFF_THE_CURVE)),
    auditor=L0,
)


def timed(d: Draft) -> None:
    """The note with a time, which the trainer signed (bases.py)."""
    d.files[CHECKPOINT] = TIMED_NOTE.read_bytes()


def another_time(d: Draft) -> None:
    from tests.conformance.about_keys import flip
    from tests.conformance.about_keys import signature as changed

    timed(d)
    changed(1, flip(7))(d)


V1 = {"keys": (DATA / "test-v1.key.pub").read_text(encoding="ascii").split()}
shown(
    "v1-ml-dsa-44-time", "The ML-DSA-44 signature tells a time, which was signed.", "native-v1", "L0", "L1",
    change=timed, auditor=V1,
)  # fmt: skip
refused(
    "v1-ml-dsa-44-other-time",
    "Another time than was signed.",
    2,
    "wrong signature",
    another_time,
    "native-v1",
    auditor=V1,
)

# ---- the checkpoint's origin (step 1), and what is not there


def of_origin(origin: str) -> Change:
    """Another first line, signed."""
    return lambda d: d.note(origin + d.text()[d.text().index("\n") :], SIGNER)


for name, about, origin in (
    ("empty", "no origin", ""),
    ("of-256-bytes", "an origin of 256 bytes", "o" * 256),
    ("with-c1", "a control character above U+007F in its origin", "zk-autograd/\u0085"),
):
    refused(
        f"note-origin-{name}",
        f"A checkpoint with {about}, signed.",
        1,
        "no usable origin",
        of_origin(origin),
    )
usage(
    "log-both-missing",
    "Neither records nor a checkpoint: this is no run.",
    "is not a run",
    change=lambda d: (d.files.pop(RECORDS), d.files.pop(CHECKPOINT)),
)


def linked(d: Draft) -> None:
    for name in (RECORDS, CHECKPOINT):
        d.files["private/" + name] = d.files.pop(name)
    d.links["log"] = "private/log"


refused("log-folder-a-link", "The folder log is a symbolic link to a true copy.", 1, "log can't be read", linked)


def junk(index: int) -> Change:
    """A record that is none, signed, and no other files."""
    return lambda d: (d.raw(index, b"\xff{"), d.sign(SIGNER), log_alone(d))


BEFORE_CLOSE = {"root": Draft("none").head(5), "require": "L0"}
shown(
    "root-before-a-malformed-record",
    "What stands between SIZE and the checkpoint is hashed, and nothing more.",
    "none",
    "L0",
    change=junk(5),
    auditor=BEFORE_CLOSE,
)
refused("root-none-and-a-malformed-record", "The same without a root.", 1, "not canonical JSON", junk(5), auditor=L0)
refused(
    "root-before-a-changed-record",
    "Another record there than was signed.",
    3,
    "the checkpoint's root is not that of the log",
    lambda d: (d.raw(5, b"{}"), log_alone(d)),
    auditor=BEFORE_CLOSE,
)
refused(
    "root-before-half-a-line",
    "A line that does not end, after those that the checkpoint covers.",
    1,
    "does not end",
    lambda d: (d.files.update({RECORDS: d.files[RECORDS] + b"{"}), log_alone(d)),
    auditor=BEFORE_CLOSE,
)

# ---- canonical JSON (step 1)


def named(*names: str) -> Change:
    """More names in `artefacts`, in this order after those that are there."""

    def change(d: Draft) -> None:
        close = d.record(5)
        close["artefacts"] |= dict.fromkeys(names, "07" * 32)
        d.raw(5, json.dumps(close, ensure_ascii=False, separators=(",", ":")).encode())

    return change


shown(
    "json-order-utf-16",
    "Names in the order of their UTF-16 code units, which is not that of code points: U+10000 before U+FFFF.",
    "none",
    "L0",
    change=lambda d: (named("\U00010000", "\uffff")(d), d.sign(SIGNER)),
    auditor=L0,
)
signed(
    "json-order-of-code-points", "The same in the order of code points. Signed.", 1, "not canonical JSON",
    named("\uffff", "\U00010000"),
)  # fmt: skip

# ---- members and their bounds (step 1)

for index, name, path, value in (
    (0, "data-count", "data.count", "100"),
    (0, "data-count-2-50-1", "data.count", 2**50 + 1),
    (0, "data-batch-size", "data.batch_size", -1),
    (0, "data-root", "data.root", "07" * 31),
    (0, "data-sampler", "data.sampler", ""),
    (0, "data-seed", "data.seed", "AB" * 32),
    (0, "model-code", "model_code", "07"),
    (0, "chosen-by", "chosen_by.initial_weights", "auditor"),
    (0, "unproved-kind", "unproved.0.kind", "weight"),
    (0, "unproved-dtype", "unproved.0.dtype", ""),
    (0, "unproved-digest", "unproved.0.sha256", ""),
    (0, "unproved-shape", "unproved.0.shape", [-1]),
    (0, "prover-block-0", "prover.block", 0),
    (0, "prover-steps-0", "prover.steps", 0),
    (0, "prover-steps-65537", "prover.steps", 65537),
    (0, "prover-version", "prover.version", 1),
    (0, "package-empty", "package", ""),
    (0, "package-c1", "package", "0.1.0\x85"),
    (0, "parameter-group", "parameters.1.group", 1),
    (1, "zero-salts-short", "zero_salts.M.0", "07" * 31),
    (1, "zero-salts-less", "zero_salts.M", ["07" * 32]),
    (2, "saturated-more", "claimed.saturated", [0] * 4),
    (2, "saturated-negative", "claimed.saturated", [-1]),
    (2, "saturated-text", "claimed.saturated", ["0"]),
    (2, "loss-number", "claimed.loss", [1]),
    (2, "loss-long", "claimed.loss", ["0" * 61]),
    (2, "batches-short", "batches", "07" * 31),
    (5, "close-step-text", "last_step", "8"),
    (5, "close-segments-negative", "segments", -1),
):  # fmt: skip
    signed(f"record-{name}", f"{path} is {value!a:.40}. Signed.", 1, "is invalid", at(index, path, value))
for name, about, says, change in (
    ("circuit-of-none", "A circuit for the backend none.", "unknown fields", at(0, "prover.circuit", "x")),
    ("chosen-by-more", "A third choice.", "unknown fields", at(0, "chosen_by.seed", "trainer")),
    ("unproved-more", "An unproved tensor with an offset.", "unknown fields", at(0, "unproved.0.offset", 0)),
    ("zero-salts-of-w", "A salt of W among those of the zero states.", "unknown fields",
     lambda d: d.edit(1, lambda r: r["zero_salts"].update(W=r["zero_salts"]["M"]))),
    ("zero-salts-without-v", "No salts of V.", "record.zero_salts.V is missing",
     lambda d: d.edit(1, lambda r: r["zero_salts"].pop("V"))),
    ("close-model-digest", "A digest of one byte.", "record.model.opening.json is invalid",
     lambda d: d.edit(5, lambda r: r["model"].update({"opening.json": "07"}))),
    ("artefacts-101", "101 artefacts.", "too many entries",
     lambda d: d.edit(5, lambda r: r["artefacts"].update({f"a{i}": "07" * 32 for i in range(97)}))),
    ("groups-out-of-order", "A tensor of group 0 after one of group 1.", "not ordered by group",
     lambda d: d.edit(0, lambda r: (r["groups"].append(r["groups"][0]), r["parameters"][0].update(group=1)))),
    ("block-of-another-group", "A block that names another group than its parameters'.", "crosses a parameter group",
     lambda d: d.edit(0, lambda r: (r["groups"].append(r["groups"][0]), r["blocks"][1].__setitem__(0, 1)))),
    ("block-of-no-group", "A block of a group that there isn't.", "a gap, an overlap or a wrong size",
     at(0, "blocks.1", [1, 4, 2])),
    ("block-too-large", "A block of more elements than a block has.", "a gap, an overlap or a wrong size",
     at(0, "blocks", [[0, 0, 6]])),
    ("hyper-missing", "No eps.", "record.groups[0].eps is missing", lambda d: d.edit(0, lambda r: r["groups"][0].pop("eps"))),
    ("hyper-more", "A weight decay for Adam.", "unknown fields", at(0, "groups.0.weight_decay", "0")),
    ("hyper-81-characters", "A decimal of 81 characters.", "lr is not a decimal", at(0, "groups.0.lr", "0." + "0" * 79)),
    ("hyper-point-first", "A decimal without a digit before its point.", "lr is not a decimal", at(0, "groups.0.lr", ".01")),
    ("hyper-10-400", "A decimal of more than 400 places.", "lr is not a decimal", at(0, "groups.0.lr", "1e-401")),
    ("eps-too-large", "An eps of 2, whose constant is 2^29.", "E out of range", at(0, "groups.0.eps", "2")),
    ("beta2-rounds-to-one", "A beta2 above 1 - 2^-16.", "c2 out of range", at(0, "groups.0.beta2", "0.99999")),
    ("grad-scale-33", "A gradient scale of 2^33.", "exponent k is out of range", at(0, "grad_scale", 33)),
    ("schedule-zeros", "A schedule whose factor ends in a zero.", "not in its canonical form",
     at(0, "schedule", "step:every=30,factor=0.10")),
    ("schedule-without-end", "A schedule without its end, which a user may leave out.", "not in its canonical form",
     at(0, "schedule", "linear:steps=10")),
    ("schedule-warm-up-0", "A warm-up of no step.", "warm_up of a schedule is out of range",
     at(0, "schedule", "constant,warm_up=0")),
    ("schedule-10-places", "A factor of ten places.", "too many digits", at(0, "schedule", "step:every=1,factor=0.0000000001")),
):  # fmt: skip
    signed(f"record-{name}", f"{about} Signed.", 1, says, change)


def told(name: str, about: str, change: Change, base: str = "none") -> None:
    """What is allowed, signed, without files that depend on it."""
    shown(
        f"record-{name}",
        f"{about} Signed.",
        base,
        "L0",
        change=lambda d: (
            change(d),
            d.edit(-1, lambda r: r.update(model={}, artefacts={})),
            log_alone(d),
            d.sign(SIGNER),
        ),
        auditor={**L0, "keys": [TRAINER]},
    )


told(
    "claims-shorter",
    "Fewer losses than steps, and no counts.",
    at(2, "claimed", {"loss": ["no number"], "saturated": []}),
)
told("saturated-2-40", "The largest count.", at(2, "claimed.saturated", [2**40] * 3))
told("hyper-not-short", "A decimal with zeros at both ends.", at(0, "groups.0.lr", "00.0100E+000"))
told("group-empty", "A group without parameters.", lambda d: d.edit(0, lambda r: r["groups"].append(r["groups"][0])))
told("data-all", "Largest values in data.", at(0, "data", {
    "root": "07" * 32, "count": 2**50, "sampler": "s" * 200, "batch_size": 2**40, "seed": "07" * 32,
}))  # fmt: skip
told("schedule-warm-up", "A schedule with a warm-up.", at(0, "schedule", "cosine:steps=100,end=0.000000001,warm_up=10"))

# ---- recorded rates (steps 1 and 5)

for name, about, step, says, rates in (
    ("less", "A step without rates", 1, "record.lr is invalid", [["0.01"]]),
    ("more", "Rates of a step more", 1, "record.lr is invalid", [["0.01"]] * 3),
    ("of-two-groups", "Two rates for a group", 1, "is invalid", [["0.01"] * 2] * 2),
    ("number", "A rate that is a number", 1, "is invalid", [[1], [1]]),
    ("101-characters", "A rate of 101 characters", 1, "is invalid", [["0" * 101]] * 2),
    ("81-characters", "A rate of 81 characters, which is no decimal", 5, "lr is not a decimal", [["0" * 81]] * 2),
    ("negative", "A negative rate", 5, "lr is not a decimal", [["-0.01"]] * 2),
    ("too-large", "A rate of 2, whose LR is 2^31", 5, "LR of step 1 out of range", [["2"]] * 2),
):
    signed(f"rates-{name}", f"{about}. Signed.", step, says, at(2, "lr", rates), "none-two-keys")
told("rates-not-short", "A rate of 80 characters.", at(2, "lr", [["0." + "0" * 78]] * 2), "none-two-keys")
signed(
    "statement-257-steps",
    "257 steps a segment for the backend none. Signed.",
    5,
    "steps is too large",
    at(0, "prover.steps", 257),
)
told("statement-256-steps", "256 steps a segment, the most there may be.", at(0, "prover.steps", 256))

# ---- a native first state that is not zero (step 6)


def first(state: str, block: int, commitment: str) -> Change:
    """Another first state, told by genesis and first segment."""
    return lambda d: (d.set(1, f"state.{state}.{block}", commitment), d.set(2, f"state_in.{state}.{block}", commitment))


for name, about, base, change in (
    ("not-zero", "A first M of 1, 0, 0 ..., under the salt that is published", "native", first("M", 0, NOT_ZERO)),
    ("later-state", "A first M that is the state after the segment", "native",
     lambda d: first("M", 0, d.record(2)["state_out"]["M"][0])(d)),
    ("moments-exchanged", "The commitments to M and V exchanged, both of them to zeros", "native",
     lambda d: [first(a, 0, Draft("native").record(1)["state"][b][0])(d) for a, b in ("MV", "VM")]),
    ("work", "Another number for the seal's work", "native",
     lambda d: first("M", 0, (c := d.record(1)["state"]["M"][0])[:64] + "01" + c[66:])(d)),
    ("salt", "Another salt of M", "native", at(1, "zero_salts.M.0", "07" * 32)),
    ("second-block", "A second block's momentum that is the first's after the segment", "native-blocks",
     lambda d: first("B", 1, d.record(2)["state_out"]["B"][1])(d)),
):  # fmt: skip
    signed(f"chain-native-first-{name}", f"{about}. Signed.", 6, "is not zero at the start", change, base)

# ---- the published model (step 10)


def opened(value: int) -> Change:
    """A last bias of this many units, which the records commit to, with everything that follows."""

    def change(d: Draft) -> None:
        header, salts = parse(d.leaves[0], None), json.loads(d.files[OPENING])["W"]
        assert isinstance(header, Header)
        tensors = {name: values.copy() for name, values in load(d.files[I64]).items()}
        tensors["layer.bias"][0] = value
        flat = np.concatenate([tensors[p.name].reshape(-1) for p in header.parameters])
        for block, salt in enumerate(salts):
            found = commit(header.padded(flat, block), bytes.fromhex(salt)).hex()
            d.set(4, f"state_out.W.{block}", found)
            d.set(5, f"state.W.{block}", found)
        d.put(I64, save(tensors))
        d.put(F32, save({n: np.ldexp(v.astype(np.float64), -32).astype(np.float32) for n, v in tensors.items()}))
        hashes = Hashes.of(d.files["config.toml"], header.data, d.files["environment.json"], weights_hash(flat))
        d.put("hashes.json", hashes.encode())

    return change


for sign, value, last in (("", 2**45, 2**45 - 1), ("minus-", -(2**45), 1 - 2**45)):
    signed(
        f"model-{sign}2-45",
        f"A weight of {value} units, which the records commit to. Signed.",
        10,
        "holds a value that no step produces",
        opened(value),
    )
    shown(
        f"model-{sign}2-45-less-1",
        f"One of {last} units, the last that there is.",
        "none",
        "L0",
        change=resigned(opened(last)),
        auditor=L0,
    )


def laid_out(change: Callable[[dict[str, Any], bytes], tuple[Any, bytes]], blanks: int = 8) -> Change:
    """Another header, or other bytes after it, for the file of integers."""

    def changed(d: Draft) -> None:
        data = d.files[I64]
        end = 8 + int.from_bytes(data[:8], "little")
        entries, body = change(json.loads(data[8:end]), data[end:])
        text = json.dumps(entries, separators=(",", ":")).encode()
        text += b" " * (-len(text) % blanks)
        d.put(I64, len(text).to_bytes(8, "little") + text + body)

    return changed


def moved(offsets: dict[str, list[int]], body: Callable[[bytes], bytes] = lambda b: b) -> Change:
    """Other places for the tensors: layer.bias has the first 16 bytes, layer.weight the
    other 32."""
    return laid_out(
        lambda h, b: ({n: {**e, "data_offsets": offsets.get(n, e["data_offsets"])} for n, e in h.items()}, body(b))
    )


for name, about, says, change in (
    ("hole", "A hole between two tensors", "is not a safetensors file",
     moved({"layer.weight": [24, 56]}, lambda b: b[:16] + bytes(8) + b[16:])),
    ("trailing", "A byte after the last tensor", "is not a safetensors file", moved({}, lambda b: b + b"\0")),
    ("cut", "A byte less", "is not a safetensors file", moved({}, lambda b: b[:-1])),
    ("overlap", "Two tensors that overlap", "is not a safetensors file", moved({"layer.weight": [8, 40]}, lambda b: b[:40])),
    ("exchanged", "Two tensors of other bytes, by their offsets", "is not the rounding of",
     moved({"layer.weight": [0, 32], "layer.bias": [32, 48]})),
    ("entry-more", "An entry with a fourth member", "has a malformed entry",
     laid_out(lambda h, b: ({n: {**e, "offset": 0} for n, e in h.items()}, b))),
    ("float-offset", "An offset that is a float", "is not a safetensors file",
     laid_out(lambda h, b: ({n: {**e, "data_offsets": [float(x) for x in e["data_offsets"]]} for n, e in h.items()}, b))),
    ("opening-salt-short", "A salt of 31 bytes in opening.json", "is invalid",
     lambda d: d.put(OPENING, d.files[OPENING].replace(json.loads(d.files[OPENING])["W"][0].encode(), b"07" * 31))),
):  # fmt: skip
    signed(f"model-file-{name}", f"{about}; digests and signature are mended.", 10, says, change)
shown(
    "model-file-other-order",
    "The tensors' bytes and entries in another order, and nothing aligned.",
    "none",
    "L0",
    change=lambda d: (
        laid_out(
            lambda h, b: (
                {
                    "layer.weight": {**h["layer.weight"], "data_offsets": [0, 32]},
                    "layer.bias": {**h["layer.bias"], "data_offsets": [32, 48]},
                },
                b[16:] + b[:16],
            ),
            blanks=1,
        )(d),
        d.sign(SIGNER),
    ),
    auditor=L0,
)
shown(
    "own-foreign-digest",
    "The close record also names a file that is not part of a run.",
    "none",
    "L0",
    change=lambda d: (d.edit(5, lambda r: r["artefacts"].update({"../x\x1b": "07" * 32})), d.sign(SIGNER)),
    auditor=L0,
)
signed(
    "own-config-alone",
    "The close record names config.toml and none of the other files. Signed.",
    10,
    "the close record leaves out one of the trainer's own files",
    lambda d: d.edit(5, lambda r: r.update(artefacts={"config.toml": r["artefacts"]["config.toml"]})),
)

# ---- bundles


def second(offset: int, new: bytes, which: int = 1) -> Change:
    """Bytes of a later header exchanged, its checksum mended."""

    def change(d: Draft) -> None:
        data, start = d.files["run.tar"], 0
        for _ in range(which):
            size = int(data[start + 124 : start + 135], 8)
            start += 512 + size + -size % 512
        block = bytearray(data[start : start + 512])
        block[offset : offset + len(new)] = new
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        d.files["run.tar"] = data[:start] + bytes(block) + data[start + 512 :]

    return change


BUNDLE: dict[str, Any] = {"base": "bundle", "target": "run.tar"}
for name, about, change in (
    ("later-traversal", "A later path that leads out.", second(0, b"../x".ljust(100, b"\0"))),
    ("later-name", "A last path that is that of no run's file.", second(0, b"zzz.json".ljust(100, b"\0"), 8)),
    ("later-private", "A path in private/.", second(0, b"private/x".ljust(100, b"\0"), 8)),
    ("later-name-twice", "A path for the second time.", second(0, b"config.toml".ljust(100, b"\0"))),
    ("later-prefix", "A short path in two parts.", second(0, b"x".ljust(100, b"\0") , 8)),
    ("zeros-first", "512 zeros, and then a bundle.", lambda d: d.files.update({"run.tar": bytes(512) + d.files["run.tar"]})),
):  # fmt: skip
    refused(f"bundle-{name}", about, 1, "bundle", change, **BUNDLE)
usage(
    "bundle-of-nothing",
    "A bundle without files.",
    "is not a run",
    change=lambda d: d.files.update({"run.tar": bytes(1024)}),
    **BUNDLE,
)
usage(
    "bundle-another-archive",
    "A file that is no ustar archive.",
    "is not a run",
    change=lambda d: d.files.update({"run.tar": d.files["run.tar"][:257] + b"gnutar" + d.files["run.tar"][263:]}),
    **BUNDLE,
)

# ---- what is judged

usage(
    "key-twice-of-a-false-run",
    "The same key is pinned twice, for a run that is malformed: nothing is judged.",
    "the same key is given twice",
    change=lambda d: d.files.pop(CHECKPOINT),
    auditor={"keys": [TRAINER, TRAINER]},
)
shown("artefact-folder", "The auditor has the folder of the published model.", "none", "L0", target="model", auditor=L0)
refused(
    "artefact-folder-with-a-link",
    "A symbolic link lies in it, to one of its own files.",
    10,
    "is not a regular file",
    lambda d: d.links.update({"model/latest": "weights.f32.safetensors"}),
    target="model",
    auditor=L0,
)
shown(
    "artefact-below-a-bundle",
    "The bundle lies in the parent of the file's folder.",
    "bundle",
    "L0",
    change=lambda d: d.files.update({"sub/renamed": Draft("none").files[F32]}),
    target="sub/renamed",
    auditor=L0,
)
usage(
    "artefact-two-below-a-bundle",
    "The bundle lies two folders up.",
    "holds a run or a bundle",
    base="bundle",
    change=lambda d: d.files.update({"a/b/renamed": Draft("none").files[F32]}),
    target="a/b/renamed",
)
less(
    "artefact-before-the-close-record",
    "The view has no close record, so it names no published file.",
    "none",
    "L0",
    says="this view has no close record",
    change=lambda d: (d.order(0, 1, 2, 3, 4), d.sign(SIGNER)),
    target="model/weights.f32.safetensors",
    auditor=L0,
)
