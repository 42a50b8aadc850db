"""Cases about proofs, the published model, the trainer's own files, what lies beside, and bundles:
steps 1, 7 and 10."""

from collections.abc import Callable
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from attacks.tools.forge import with_tensor_twice
from tests.conformance.cases import Change, less, refused, shown, signed, usage
from tests.conformance.draft import Draft, Files
from tests.evidence.bundles import packed
from tests.verify.ideal import THIEF
from tests.verify.run_builder import SIGNER
from zk_autograd.core.canonical import encode

Bytes = Callable[[bytes], bytes]

I64, F32, OPENING = "model/weights.i64.safetensors", "model/weights.f32.safetensors", "model/opening.json"
L0 = {"require": "L0"}

# ---- proofs (step 7)

shown(
    "proofs-v0",
    "A native run of version 0.1.0: every run of the format run/v0 is verified for ever.",
    "native",
    "L0",
    "L1",
)
shown("proofs-v0-root", "The same by its root.", "native", "L0", "L1", auditor={"root": Draft("native").head()})
shown("proofs-both-levels", "The same, both levels asked for.", "native", "L0", "L1", auditor={"require": "L0,L1"})
shown("proofs-blocks", "Two segments of two blocks: four proofs, two groups that differ.", "native-blocks", "L0", "L1")
less("proofs-none", "A run without proofs, L1 asked for.", "none", "L0", says="this run has no proofs")
less(
    "proofs-none-both",
    "The same, both levels asked for.",
    "none",
    "L0",
    says="this run has no proofs",
    auditor={"require": "L0,L1"},
)


def proof(segment: int, block: int, change: Bytes) -> Change:
    """Another proof, with its digest in the record."""
    return lambda d: d.put_proof(segment, block, change(d.files[f"proofs/{segment}-{block}"]))


def header(path: str, value: object) -> Change:
    """Another value in the header."""
    return lambda d: d.set(0, path, value)


def planted(path: str) -> Change:
    """A file beside."""
    return lambda d: d.files.update({path: b"x"})


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


refused(
    "proof-one-bit",
    "One bit of a proof.",
    7,
    "does not match the record's hash",
    lambda d: d.files.update({"proofs/0-0": flipped(d.files["proofs/0-0"], 300_000)}),
    base="native",
)
refused(
    "proof-missing",
    "A proof is not there.",
    7,
    "0-0 can't be read",
    lambda d: d.files.pop("proofs/0-0"),
    base="native-blocks",
)
refused(
    "proof-empty",
    "A proof of no bytes.",
    7,
    "does not match the record's hash",
    lambda d: d.files.update({"proofs/0-0": b""}),
    base="native",
)
for name, about, says, change in (
    ("first-byte", "The first byte of a proof", "", proof(0, 0, lambda p: flipped(p, 0))),
    ("a-commitment", "A bit of the first commitment in it", "", proof(0, 0, lambda p: flipped(p, 40))),
    ("a-bit-in-the-middle", "A bit in its middle", "", proof(0, 0, lambda p: flipped(p, 300_001))),
    ("last-byte", "Its last byte", "", proof(0, 0, lambda p: flipped(p, len(p) - 1))),
    ("trailing-byte", "A byte more", "", proof(0, 0, lambda p: p + b"\0")),
    ("byte-less", "A byte less", "", proof(0, 0, lambda p: p[:-1])),
    ("short", "Ten bytes of it", "too short for its commitments", proof(0, 0, lambda p: p[:10])),
    ("nothing", "Nothing of it", "too short for its commitments", proof(0, 0, lambda p: b"")),
    ("zeros", "As many zeros", "", proof(0, 0, lambda p: bytes(len(p)))),
):
    signed(
        f"proof-{name}",
        f"{about}, with the record's digest of that, signed.",
        7,
        says or "proof 0-0",
        change,
        base="native",
    )
for name, about, says, change in (
    ("other-blocks", "The other block's proof", "proof 0-0", lambda d: d.put_proof(0, 0, d.files["proofs/0-1"])),
    ("other-segments", "The other segment's proof", "proof 0-0", lambda d: d.put_proof(0, 0, d.files["proofs/1-0"])),
    (
        "another-runs",
        "Another run's proof",
        "proof 0-0",
        lambda d: d.put_proof(0, 0, Draft("native").files["proofs/0-0"]),
    ),
    (
        "gradients-exchanged",
        "Two blocks' gradients in the record",
        "proof 0-0 commits to another gradient",
        lambda d: d.edit(2, lambda r: r["gradients"].reverse()),
    ),
    (
        "state-between",
        "Another state between the segments, told by both records",
        "proof 0-0 commits to another W after the segment",
        lambda d: (d.set(2, "state_out.W.0", "07" * 56), d.set(3, "state_in.W.0", "07" * 56)),
    ),
):
    signed(f"proof-{name}", f"{about}, the records in agreement, signed.", 7, says, change, base="native-blocks")
for name, about, path, value in (
    ("lr", "The learning rate", "groups.0.lr", "0.02"),
    ("momentum", "The momentum", "groups.0.momentum", "0.8"),
    ("grad-scale", "The gradient scale", "grad_scale", 1),
    ("schedule", "The schedule", "schedule", "linear:steps=100,end=0"),
    ("package", "The package's version", "package", "0.1.1"),
    ("model-code", "The digest of the model's code", "model_code", "07" * 32),
    ("data", "The commitment to the data", "data.root", "07" * 32),
    ("buffer", "A buffer's digest", "unproved.0.sha256", "07" * 32),
    ("name", "A tensor's name", "parameters.0.name", "layer.other"),
):
    signed(
        f"proof-header-{name}",
        f"{about} is another in the header than when the proofs were made, signed.",
        7,
        "proof 0-0: the proof does not verify",
        header(path, value),
        base="native-blocks",
    )
refused(
    "proof-stolen",
    "A run whose proofs and records somebody else signed, under a header of their own.",
    7,
    "proof 0-0: the proof does not verify",
    lambda d: (d.set(0, "keys", [THIEF.public_key.encode()]), d.set(0, "run", "ab" * 16), d.sign(THIEF)),
    base="native-blocks",
    auditor={"keys": [THIEF.public_key.encode()]},
)
signed(
    "proof-later-step",
    "The only segment is said to be of steps 2 to 7.",
    6,
    "steps are not consecutive",
    lambda d: (d.set(2, "first", 2), d.set(2, "last", 7), d.set(3, "last_step", 7)),
    base="native",
)
signed(
    "proof-step-more",
    "The segment is said to hold a step more than was proved.",
    7,
    "proof 0-0: the proof does not verify",
    lambda d: (d.set(2, "last", 7), d.set(3, "last_step", 7)),
    base="native",
)
signed(
    "proof-step-less",
    "The segment is said to hold a step less.",
    7,
    "proof 0-0: the proof does not verify",
    lambda d: (d.set(2, "last", 5), d.set(2, "claimed", {"loss": [], "saturated": []}), d.set(3, "last_step", 5)),
    base="native",
)

# ---- a sample (step 7)

BEACON = {"sample": 3, "beacon": "a beacon of the conformance suite"}
less(
    "sample-not-l1",
    "Three of four proofs are no L1.",
    "native-blocks",
    "L0",
    "L1-sampled",
    says="a sample reaches L1-sampled",
    auditor=BEACON,
)
shown(
    "sample-accepted",
    "Three of four proofs, which the auditor takes for enough.",
    "native-blocks",
    "L0",
    "L1-sampled",
    auditor={**BEACON, "accept_sample": True},
)
shown(
    "sample-of-all",
    "A sample of as many as there are is no sample.",
    "native-blocks",
    "L0",
    "L1",
    auditor={**BEACON, "sample": 4},
)
refused(
    "sample-first-bad",
    "The first proof is always looked at.",
    7,
    "proof 0-0 does not match",
    lambda d: d.files.update({"proofs/0-0": b"x"}),
    base="native-blocks",
    auditor={**BEACON, "sample": 2, "accept_sample": True},
)
refused(
    "sample-last-bad",
    "So is the last.",
    7,
    "proof 1-1 does not match",
    lambda d: d.files.update({"proofs/1-1": b"x"}),
    base="native-blocks",
    auditor={**BEACON, "sample": 2, "accept_sample": True},
)
shown(
    "sample-misses",
    "What a sample does not hold is not looked at: L1-sampled says so.",
    "native-blocks",
    "L0",
    "L1-sampled",
    change=lambda d: d.files.update({"proofs/0-1": b"x", "proofs/1-0": b"x"}),
    auditor={**BEACON, "sample": 2, "accept_sample": True},
)
usage("sample-of-one", "A sample of one proof.", "at least 2 proofs", base="native-blocks", auditor={"sample": 1})
usage(
    "sample-accepted-without",
    "A sample accepted where none is drawn.",
    "makes no sense",
    base="native-blocks",
    auditor={"accept_sample": True},
)
usage(
    "beacon-alone",
    "A beacon where all proofs are verified.",
    "makes no sense",
    base="native-blocks",
    auditor={"beacon": "x"},
)
usage("require-unknown", "A level that nobody knows.", "there is no level", auditor={"require": "L9"})
usage(
    "require-sampled",
    "L1-sampled can't be asked for.",
    "the levels that can be required are",
    auditor={"require": "L1-sampled"},
)

# ---- the published model (step 10)


def weights(
    change: Callable[[Any], Any],
    rounded: bool = True,
    metadata: dict[str, str] | None = None,
    after: Bytes = lambda data: data,
) -> Change:
    """Other integers, and the floats that are their rounding; the digests in the close record."""

    def changed(d: Draft) -> None:
        tensors = {name: values.copy() for name, values in load(d.files[I64]).items()}
        tensors = change(tensors) or tensors
        floats = {n: np.ldexp(v.astype(np.float64), -32).astype(np.float32) for n, v in tensors.items()}
        d.put(I64, after(save(tensors, metadata)))
        if rounded:
            d.put(F32, save(floats, metadata))

    return changed


def opening(salts: int) -> bytes:
    """An opening of so many salts, none of them the run's."""
    return encode({"format": "zk-autograd/opening/v0", "W": ["07" * 32] * salts})


def one_unit(tensors: Any) -> None:
    """One weight more by 2^-32."""
    tensors["layer.weight"].flat[0] += 1


def floats(change: Callable[[Any], Any]) -> Change:
    """Other floats."""

    def changed(d: Draft) -> None:
        tensors = {name: values.copy() for name, values in load(d.files[F32]).items()}
        change(tensors)
        d.put(F32, save(tensors))

    return changed


refused(
    "model-one-bit",
    "A bit of the published weights.",
    10,
    "does not match the close record",
    lambda d: d.files.update({F32: flipped(d.files[F32], -1 % len(d.files[F32]))}),
)
refused("model-missing", "A file of the model is not there.", 10, "can't be read", lambda d: d.files.pop(I64))
for name, about, says, change in (
    ("one-unit", "One weight moved by 2^-32, in both files", "don't open the final commitment", weights(one_unit)),
    (
        "salt",
        "Another salt in opening.json",
        "don't open the final commitment",
        lambda d: d.put(OPENING, opening(2)),
    ),
    (
        "two-tensors-exchanged",
        "Two rows exchanged",
        "don't open the final commitment",
        weights(lambda t: t.update({"layer.weight": t["layer.weight"][::-1].copy()})),
    ),
    (
        "float-off",
        "A float that is not the integer's rounding",
        "is not the rounding of",
        floats(lambda t: t["layer.bias"].__setitem__(0, np.nextafter(t["layer.bias"][0], np.float32(9)))),
    ),
    (
        "float-nan",
        "A float that is NaN",
        "is not the rounding of",
        floats(lambda t: t["layer.bias"].__setitem__(0, np.float32("nan"))),
    ),
    (
        "tensor-more",
        "A tensor that the manifest doesn't name",
        "does not have the tensors of the header's manifest",
        weights(lambda t: {**t, "backdoor": np.zeros(2, np.int64)}),
    ),
    (
        "tensor-less",
        "A tensor too few",
        "does not have the tensors of the header's manifest",
        weights(lambda t: {"layer.weight": t["layer.weight"]}),
    ),
    (
        "tensor-renamed",
        "A tensor under another name",
        "does not have the tensors of the header's manifest",
        weights(lambda t: {"layer.weight": t["layer.weight"], "layer.bais": t["layer.bias"]}),
    ),
    (
        "shape",
        "Another shape",
        "wrong type or shape",
        weights(lambda t: {**t, "layer.weight": t["layer.weight"].reshape(4)}),
    ),
    (
        "type",
        "Another type",
        "wrong type or shape",
        weights(lambda t: {n: v.astype(np.int32) for n, v in t.items()}, rounded=False),
    ),
    ("metadata", "Metadata in the files", "has metadata", weights(lambda t: None, metadata={"format": "pt"})),
    (
        "name-twice",
        "A tensor's name twice",
        "occurs twice",
        weights(lambda t: None, after=lambda data: with_tensor_twice(data, "layer.weight")),
    ),
    ("no-safetensors", "A file that is none", "is not a safetensors file", lambda d: d.put(I64, b"weights")),
    (
        "opening-not-canonical",
        "An opening that is not canonical JSON",
        "not canonical JSON",
        lambda d: d.put(OPENING, d.files[OPENING] + b"\n"),
    ),
    (
        "opening-salt-more",
        "A salt more than there are blocks",
        "is invalid",
        lambda d: d.put(OPENING, opening(3)),
    ),
    (
        "file-less-named",
        "The close record names two of the three files",
        "does not name exactly the files of a model",
        lambda d: d.edit(-1, lambda r: r["model"].pop("opening.json")),
    ),
    (
        "file-more-named",
        "The close record names a fourth file",
        "does not name exactly the files of a model",
        lambda d: d.edit(-1, lambda r: r["model"].update({"extra.bin": "07" * 32})),
    ),
):
    signed(f"model-{name}", f"{about}; digests and signature are mended.", 10, says, change)
signed(
    "model-of-the-proved-run",
    "One weight of a proved run moved by 2^-32; digests and signature are mended.",
    10,
    "don't open the final commitment",
    weights(one_unit),
    base="native-blocks",
)
shown(
    "model-not-published",
    "A run that publishes no model.",
    "none",
    "L0",
    auditor=L0,
    change=lambda d: (
        d.edit(-1, lambda r: r.update(model={}, artefacts={})).sign(SIGNER),
        [d.files.pop(n) for n in list(d.files) if not n.startswith("log/")],
    ),
)

# ---- the trainer's own files (step 10)

refused(
    "own-config",
    "Another configuration.",
    10,
    "config.toml does not match the close record",
    lambda d: d.files.update({"config.toml": b"seed = 2\n"}),
)
refused(
    "own-log-missing",
    "The training's log is not there.",
    10,
    "train_log.jsonl",
    lambda d: d.files.pop("train_log.jsonl"),
)
signed(
    "own-config-digest",
    "Another configuration with its digest in the close record, and the old hashes.json.",
    10,
    "the hash config in hashes.json is not the run's",
    lambda d: d.put("config.toml", b"seed = 2\n"),
)
signed(
    "own-environment",
    "Another environment, likewise.",
    10,
    "the hash environment in hashes.json is not the run's",
    lambda d: d.put("environment.json", b'{"cpu":"b"}'),
)
signed(
    "own-hashes",
    "Another hash in hashes.json.",
    10,
    "in hashes.json is not the run's",
    lambda d: d.put("hashes.json", d.files["hashes.json"].replace(b'"weights":"', b'"weights":"0')[:-3] + b'"}'),
)
signed(
    "own-log-left-out",
    "The close record leaves the training's log out.",
    10,
    "the close record leaves out one of the trainer's own files",
    lambda d: d.edit(-1, lambda r: r["artefacts"].pop("train_log.jsonl")),
)

# ---- what lies beside (step 10)

for name, path in (
    ("model", "model/model.safetensors"),
    ("pickle", "model/pytorch_model.bin"),
    ("folder", "weights/model.bin"),
    ("case", "MODEL/opening.json"),
    ("dot", "hashes.json."),
    ("old-proof", "proofs/0-0"),
):
    less(
        f"beside-{name}",
        f"{path} lies there, and no record names it.",
        "none",
        "L0",
        says="no record in this view names",
        change=planted(path),
        auditor=L0,
    )
shown(
    "beside-readme",
    "A README.md, which nobody takes for a model.",
    "none",
    "L0",
    change=lambda d: d.files.update({"README.md": b"x"}),
    auditor=L0,
)
less(
    "beside-readme-case",
    "A readme.md: in this spelling it is none of the harmless names.",
    "none",
    "L0",
    says="no record in this view names",
    change=lambda d: d.files.update({"readme.md": b"x"}),
    auditor=L0,
)
shown(
    "beside-accepted",
    "A file that the auditor knows by its name.",
    "none",
    "L0",
    change=lambda d: d.files.update({"model/extra.bin": b"x"}),
    auditor={**L0, "accept_uncovered": ["model/extra.bin"]},
)
less(
    "beside-accepted-other",
    "A file of another name than the auditor knows.",
    "none",
    "L0",
    says="no record in this view names",
    change=lambda d: d.files.update({"model/extra2.bin": b"x"}),
    auditor={**L0, "accept_uncovered": ["model/extra.bin"]},
)
shown(
    "beside-private",
    "The trainer's private folder is ignored.",
    "none",
    "L0",
    change=lambda d: d.files.update({"private/x": b"x"}),
    auditor=L0,
)
less(
    "beside-private-file",
    "A file called private is not.",
    "none",
    "L0",
    says="no record in this view names",
    change=lambda d: d.files.update({"private": b"x"}),
    auditor=L0,
)
less(
    "beside-link",
    "A symbolic link beside.",
    "none",
    "L0",
    says="no record in this view names",
    change=lambda d: d.links.update({"model/latest": "weights.f32.safetensors"}),
    auditor=L0,
)
refused(
    "link-model",
    "A file of the model is a symbolic link to a true copy.",
    10,
    "links are not followed",
    lambda d: (d.files.update({"private/copy": d.files[F32]}), d.links.update({F32: "../private/copy"})),
)
refused(
    "link-proof",
    "A proof is a symbolic link to a true copy.",
    7,
    "links are not followed",
    lambda d: (
        d.files.update({"private/copy": d.files["proofs/0-0"]}),
        d.links.update({"proofs/0-0": "../private/copy"}),
    ),
    base="native",
)
refused(
    "proof-sparse",
    "A proof of 2^40 zeros.",
    7,
    "too large",
    lambda d: d.zeros.update({"proofs/0-0": 2**40}),
    base="native",
)

# ---- bundles (step 1)


def tar(change: Bytes) -> Change:
    """Other bytes of the bundle."""

    def changed(d: Draft) -> None:
        d.files["run.tar"] = change(d.files["run.tar"])

    return changed


def at_byte(offset: int, new: bytes) -> Change:
    """Bytes of the first header exchanged, its checksum mended."""

    def change(data: bytes) -> bytes:
        block = bytearray(data[:512])
        block[offset : offset + len(new)] = new
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        return bytes(block) + data[512:]

    return tar(change)


def repacked(change: Callable[[Files], Files]) -> Change:
    """A bundle of other files."""

    def changed(d: Draft) -> None:
        files = Draft("none").files
        d.files["run.tar"] = packed(change(dict(sorted(files.items()))))

    return changed


BUNDLE: dict[str, Any] = {"base": "bundle", "target": "run.tar"}
shown("bundle-untouched", "A bundle of the none run.", "bundle", "L0", target="run.tar", auditor=L0)
shown(
    "bundle-with-root",
    "The same by its root.",
    "bundle",
    "L0",
    target="run.tar",
    auditor={**L0, "root": Draft("none").head()},
)
for name, about, change in (
    ("mode", "Another mode in a header.", at_byte(100, b"0000755\0")),
    ("owner", "Another owner.", at_byte(108, b"0001750\0")),
    ("time", "Another time.", at_byte(136, b"00000000001\0")),
    ("link", "A header of a symbolic link.", at_byte(156, b"2")),
    ("link-name", "A name that the file is linked to.", at_byte(157, b"/etc/passwd")),
    ("user-name", "A user's name.", at_byte(265, b"root")),
    ("size-base256", "A size in GNU's base 256.", at_byte(124, b"\x80" + bytes(10))),
    ("size-blank", "A size with a blank in it.", at_byte(124, b" ")),
    ("size-more", "A size that reaches beyond the end.", at_byte(124, b"07777777777")),
    ("version", "Another version of ustar.", at_byte(263, b"  ")),
    ("checksum", "A checksum that is wrong.", tar(lambda b: b[:148] + b"000000\0 " + b[156:])),
    ("cut", "A bundle without its last 512 bytes.", tar(lambda b: b[:-512])),
    ("cut-in-a-file", "A bundle that ends in a file.", tar(lambda b: b[:1000])),
    ("longer", "512 zeros more.", tar(lambda b: b + bytes(512))),
    ("byte-more", "A byte more.", tar(lambda b: b + b"\n")),
    ("padding", "A byte other than zero in the padding.", tar(lambda b: b[:1023] + b"x" + b[1024:])),
    ("two-archives", "Two archives in one file.", tar(lambda b: b + b)),
    ("order", "Files out of order.", repacked(lambda f: dict(sorted(f.items(), reverse=True)))),
):
    refused(f"bundle-{name}", about, 1, "bundle", change, **BUNDLE)
refused(
    "bundle-record-swapped",
    "A bundle whose second segment's record is another, under the old checkpoint.",
    3,
    "the checkpoint's root is not that of the log",
    repacked(lambda f: {**f, "log/records.jsonl": f["log/records.jsonl"].replace(b'"0.5"', b'"0.4"', 1)}),
    **BUNDLE,
)
refused(
    "bundle-without-model",
    "A bundle without a file that the close record names.",
    10,
    "can't be read",
    repacked(lambda f: {n: b for n, b in f.items() if n != F32}),
    **BUNDLE,
)
usage(
    "bundle-path-traversal",
    "A bundle that begins with a path that leads out.",
    "begins with a file that no bundle has",
    change=at_byte(0, b"../x".ljust(100, b"\0")),
    **BUNDLE,
)
usage("bundle-gzip", "A bundle that is compressed.", "gunzip", change=tar(lambda b: b"\x1f\x8b" + b[2:]), **BUNDLE)
usage("bundle-empty", "An empty file.", "it is empty", change=tar(lambda b: b""), **BUNDLE)
