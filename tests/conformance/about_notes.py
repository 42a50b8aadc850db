"""Cases about the checkpoint: steps 1 to 3."""

import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256

from tests.conformance.cases import TRAINER, Change, less, refused, shown, usage
from tests.conformance.draft import CHECKPOINT, DASH, RECORDS, Draft
from tests.verify.ideal import NAMESAKE, THIEF
from tests.verify.run_builder import SECOND, SIGNER
from zk_autograd.core.text import encode_base64

KEY = SIGNER.public_key


def resized(size: str) -> Change:
    """The trainer's signature under this size."""
    return lambda d: d.note(re.sub(r"\n\d+\n", f"\n{size}\n", d.text()), SIGNER)


def rerooted(root: str) -> Change:
    """The trainer's signature under this root."""

    def change(d: Draft) -> None:
        origin, size, _, _ = d.text().split("\n")
        d.note(f"{origin}\n{size}\n{root}\n", SIGNER)

    return change


def line(payload: bytes, name: str = "s") -> str:
    """A signature line."""
    return f"{DASH}{name} {b64encode(payload).decode()}\n"


def beside(more: str) -> Change:
    """The true note with a line more."""
    return lambda d: d.note(d.text(), SIGNER, more=more)


def bytes_of(change: Callable[[bytes], bytes]) -> Change:
    """Other bytes for the note."""

    def changed(d: Draft) -> None:
        d.files[CHECKPOINT] = change(d.files[CHECKPOINT])

    return changed


# ---- form (step 1)

for size, why in (
    ("05", "a leading zero"), ("06", "a leading zero before the true size"), ("-1", "a sign"), ("+6", "a plus sign"),
    ("", "no digits"), ("6.0", "a fraction"), ("0x6", "hexadecimal"), ("\u0666", "an Arabic digit"),
    ("18446744073709551616", "2^64"), ("9223372036854775808", "2^63"),
):  # fmt: skip
    says = "impossible size" if size == str(2**63) else "size is not a decimal number"
    refused(
        f"note-size-{size.encode().hex() or 'none'}",
        f"A checkpoint whose size is {size!r}: {why}.",
        1,
        says,
        resized(size),
    )
refused("note-size-0", "A checkpoint of an empty log.", 1, "the log has no records", resized("0"))
shown("note-untouched", "The none run as its trainer left it.", "none", "L0", auditor={"require": "L0"})
shown(
    "note-foreign-line",
    "A signature line of a key that nobody knows, well formed.",
    "none",
    "L0",
    change=beside(line(bytes(68))),
    auditor={"require": "L0"},
)
shown(
    "note-foreign-line-of-one-byte",
    "A foreign signature of one byte after the key ID.",
    "none",
    "L0",
    change=beside(line(bytes(5))),
    auditor={"require": "L0"},
)
refused(
    "note-base64-of-0-bytes",
    "A signature line whose base64 holds no byte.",
    1,
    "note has a malformed signature line",
    beside(f"{DASH}s\n"),
)
refused(
    "note-base64-empty", "A signature line with a blank and nothing after it.", 1, "is empty", beside(f"{DASH}s \n")
)
refused("note-base64-of-1-byte", "A signature line of one byte: not even a key ID.", 1, "is empty", beside(line(b"x")))
refused(
    "note-base64-of-4-bytes", "A signature line with a key ID and no signature.", 1, "is empty", beside(line(bytes(4)))
)
refused(
    "note-signature-of-63-bytes",
    "The trainer's signature without its last byte.",
    2,
    "wrong signature by the key",
    lambda d: d.note(d.text(), more=line(KEY.key_id + SIGNER.sign(d.text())[:63], KEY.name)),
)
refused("note-base64-invalid", "A signature line that is no base64.", 1, "is not base64", beside(f"{DASH}s !!!!\n"))
refused(
    "note-base64-spare-bits",
    "Base64 whose last digit has bits that an encoder leaves zero.",
    1,
    "is not canonical base64",
    beside(f"{DASH}s AAAAAAB=\n"),
)
refused("note-base64-without-padding", "Base64 without its padding.", 1, "base64", beside(f"{DASH}s AAAAAAA\n"))
refused(
    "note-no-em-dash",
    "A signature line that begins with a hyphen.",
    1,
    "malformed signature line",
    bytes_of(lambda b: b.replace("\u2014".encode(), b"-")),
)
refused("note-dash-missing", "A signature line without a dash.", 1, "malformed signature line", beside("s AAAAAAAA\n"))
refused(
    "note-crlf",
    "A checkpoint with CRLF at the ends of its lines.",
    1,
    "control character",
    bytes_of(lambda b: b.replace(b"\n", b"\r\n")),
)
refused(
    "note-crlf-signed",
    "CRLF, under the signature too.",
    1,
    "control character",
    lambda d: d.note(d.text().replace("\n", "\r\n"), SIGNER),
)
refused(
    "note-twice-one-key",
    "Two signature lines of one key, both right.",
    1,
    "two signatures by the same key",
    lambda d: d.note(d.text(), SIGNER, SIGNER),
)
refused(
    "note-twice-one-wrong",
    "Two signature lines of one key, the second wrong.",
    1,
    "two signatures by the same key",
    beside(line(KEY.key_id + bytes(64), KEY.name)),
)
refused(
    "note-33-signatures",
    "33 signatures.",
    1,
    "too many signatures",
    beside("".join(line(bytes(68), f"s{i}") for i in range(32))),
)
shown(
    "note-32-signatures",
    "32 signatures, the most there may be.",
    "none",
    "L0",
    change=beside("".join(line(bytes(68), f"s{i}") for i in range(31))),
    auditor={"require": "L0"},
)
refused(
    "note-unsigned",
    "A checkpoint without signatures.",
    1,
    "blank line and signature lines",
    bytes_of(lambda b: b.split(b"\n\n")[0] + b"\n\n"),
)
refused(
    "note-no-blank-line",
    "No blank line before the signatures.",
    1,
    "blank line and signature lines",
    bytes_of(lambda b: b.replace(b"\n\n", b"\n")),
)
refused(
    "note-no-last-newline",
    "The last line does not end.",
    1,
    "blank line and signature lines",
    bytes_of(lambda b: b[:-1]),
)
refused(
    "note-extension-line",
    "A checkpoint with a fourth line, signed.",
    1,
    "extension lines are refused",
    lambda d: d.note(d.text() + "more\n", SIGNER),
)
refused(
    "note-two-lines",
    "A checkpoint without its root, signed.",
    1,
    "3 lines",
    lambda d: d.note("\n".join(d.text().split("\n")[:2]) + "\n", SIGNER),
)
refused("note-not-utf8", "A byte that is no UTF-8.", 1, "note is not UTF-8", bytes_of(lambda b: b"\xff" + b))
refused("note-empty", "An empty checkpoint.", 1, "blank line and signature lines", bytes_of(lambda b: b""))
refused("note-nul", "A NUL in the origin.", 1, "control character", lambda d: d.note("\0" + d.text(), SIGNER))
refused(
    "note-name-with-plus",
    "A signature line whose name has a plus sign.",
    1,
    "plus sign",
    beside(line(bytes(68), "a+b")),
)
refused("note-too-long", "A note of more than 64 KiB.", 1, "too large", beside(line(bytes(49_000))))
refused("note-missing", "No checkpoint.", 1, "checkpoint can't be read", lambda d: d.files.pop(CHECKPOINT))
for root, why, says in (
    (encode_base64(bytes(31)), "31 bytes", "no root hash"),
    (encode_base64(bytes(33)), "33 bytes", "no root hash"),
    ("", "nothing", "no root hash"),
    ("00" * 32, "hexadecimal", "no root hash"),
    (encode_base64(bytes(32))[:-1], "no padding", "not base64"),
    (encode_base64(bytes(32))[:-2] + "B=", "spare bits", "not canonical base64"),
):
    refused(f"note-root-{why.replace(' ', '-')}", f"A checkpoint whose root is {why}, signed.", 1, says, rerooted(root))

# ---- signatures (step 2)

refused("key-thief", "Signed by somebody else alone.", 2, "note is not signed by the key", lambda d: d.sign(THIEF))
refused(
    "key-namesake",
    "Signed by another key of the trainer's name.",
    2,
    "note is not signed by the key",
    lambda d: d.sign(NAMESAKE),
)
refused(
    "key-id-borrowed",
    "Another key's signature under the trainer's name and key ID.",
    2,
    "wrong signature by the key",
    lambda d: d.note(d.text(), more=line(KEY.key_id + NAMESAKE.sign(d.text()), KEY.name)),
)
refused(
    "key-one-bit",
    "One bit of the signature is another.",
    2,
    "wrong signature by the key",
    lambda d: d.note(
        d.text(), more=line(KEY.key_id + bytes([SIGNER.sign(d.text())[0] ^ 1]) + SIGNER.sign(d.text())[1:], KEY.name)
    ),
)
refused(
    "key-not-in-header",
    "The auditor pins a key that signed, but that the header does not name.",
    2,
    "the header does not name a pinned key",
    lambda d: d.sign(SIGNER, THIEF),
    auditor={"keys": [TRAINER, THIEF.public_key.encode()]},
)
shown(
    "key-two",
    "Both keys that the header names are pinned, and both signed.",
    "none-two-keys",
    "L0",
    auditor={"require": "L0"},
)
shown(
    "key-two-signed-one-pinned",
    "One of them is pinned.",
    "none-two-keys",
    "L0",
    auditor={"keys": [TRAINER], "require": "L0"},
)
refused(
    "key-one-of-two-dropped",
    "Both are pinned, and the second's line is gone.",
    2,
    "note is not signed by the key",
    lambda d: d.sign(SIGNER),
    base="none-two-keys",
)
refused(
    "key-first-of-two-dropped",
    "Both are pinned, and the first's line is gone.",
    2,
    "note is not signed by the key",
    lambda d: d.sign(SECOND),
    base="none-two-keys",
)
refused(
    "key-second-wrong",
    "Both are pinned, and the second's signature is over another text.",
    2,
    "wrong signature by the key",
    lambda d: d.note(
        d.text(), SIGNER, more=line(SECOND.public_key.key_id + SECOND.sign("x\n"), SECOND.public_key.name)
    ),
    base="none-two-keys",
)
less(
    "key-none-pinned",
    "Nobody is pinned: the verdict is UNPINNED.",
    "none",
    says="no key is pinned",
    auditor={"keys": [], "require": "L0"},
)
less(
    "key-none-pinned-thief",
    "Nobody is pinned, and a thief signed.",
    "none",
    says="no key is pinned",
    change=lambda d: d.sign(THIEF),
    auditor={"keys": [], "require": "L0"},
)
refused(
    "key-none-pinned-false",
    "Nobody is pinned, and the run is false all the same.",
    3,
    "the checkpoint's root is not that of the log",
    lambda d: d.raw(2, d.leaves[2].replace(b'"0.5"', b'"0.4"', 1)),
    auditor={"keys": [], "require": "L0"},
)
usage("key-twice", "The same key is pinned twice.", "the same key is given twice", auditor={"keys": [TRAINER, TRAINER]})
usage(
    "key-wrong-id",
    "A key whose ID is not the hash of its name and key.",
    "neither a file nor a public key",
    auditor={"keys": [TRAINER.replace(f"+{KEY.key_id.hex()}+", "+c8d3c645+")]},
)
usage(
    "key-long-id",
    "A key whose ID has nine digits.",
    "neither a file nor a public key",
    auditor={"keys": [TRAINER.replace("+", "+0", 1)]},
)
usage(
    "key-small-order",
    "A key of small order.",
    "neither a file nor a public key",
    auditor={
        "keys": ["x+" + sha256(b"x\n\x01" + bytes(32)).hexdigest()[:8] + "+" + encode_base64(b"\x01" + bytes(32))]
    },
)

# ---- the log (step 3)

refused(
    "log-record-changed",
    "A claimed loss is another, under the old checkpoint.",
    3,
    "the checkpoint's root is not that of the log",
    lambda d: d.raw(2, d.leaves[2].replace(b'"0.5"', b'"0.4"', 1)),
)
refused(
    "log-root-of-zeros",
    "The trainer signed another root.",
    3,
    "the checkpoint's root is not that of the log",
    rerooted(encode_base64(bytes(32))),
)
refused(
    "log-shorter-than-checkpoint",
    "The close record is gone, under the whole's checkpoint.",
    3,
    "the log is shorter than its checkpoint",
    lambda d: d.order(0, 1, 2, 3, 4),
)
refused(
    "log-size-7", "The true root under a size of one more.", 3, "the log is shorter than its checkpoint", resized("7")
)
refused(
    "log-size-2-63-1",
    "The true root under the largest size.",
    3,
    "the log is shorter than its checkpoint",
    resized(str(2**63 - 1)),
)
refused(
    "log-size-5",
    "The true root under a size of one less.",
    3,
    "the checkpoint's root is not that of the log",
    resized("5"),
)
refused(
    "log-another-origin",
    "The checkpoint names another run than the header.",
    3,
    "the checkpoint belongs to another log",
    lambda d: d.note("zk-autograd/" + "00" * 16 + d.text()[d.text().index("\n") :], SIGNER),
)
refused(
    "log-another-run-of-the-trainer",
    "The records of one run under the checkpoint of another of the same trainer.",
    3,
    "the checkpoint belongs to another log",
    lambda d: d.set(0, "run", "ab" * 16),
)
less(
    "log-beyond-checkpoint",
    "Records after those that the checkpoint covers don't count: the run is unfinished, and its model is not covered.",
    "none",
    "L0",
    says="no record in this view names",
    change=lambda d: d.sign(SIGNER, size=5),
    auditor={"require": "L0"},
)
shown(
    "log-newest-part-unsigned",
    "The same for a run without model or artefacts.",
    "none-open",
    "L0",
    change=lambda d: None,
    auditor={"require": "L0"},
)
shown(
    "log-header-alone",
    "A log of a header and nothing else: the run has not begun.",
    "none",
    "L0",
    change=lambda d: (d.order(0), d.sign(SIGNER), [d.files.pop(n) for n in list(d.files) if not n.startswith("log/")]),
    auditor={"require": "L0"},
)
refused(
    "log-leaf-swapped",
    "Two records have changed places.",
    3,
    "the checkpoint's root is not that of the log",
    lambda d: d.order(0, 1, 3, 2, 4, 5),
)
refused(
    "log-no-last-newline",
    "The last line of the records does not end.",
    1,
    "does not end",
    lambda d: d.files.update({RECORDS: d.files[RECORDS][:-1]}),
)
refused("log-empty", "No records at all.", 1, "the log has no records", lambda d: d.files.update({RECORDS: b""}))
refused(
    "log-empty-line",
    "An empty line among the records, signed.",
    1,
    "not canonical JSON",
    lambda d: (d.put_leaves([*d.leaves[:2], b"", *d.leaves[2:]]), d.sign(SIGNER)),
)
refused("log-missing", "No records' file.", 1, "records.jsonl can't be read", lambda d: d.files.pop(RECORDS))
refused(
    "log-a-link",
    "The records' file is a symbolic link to a true copy.",
    1,
    "links are not followed",
    lambda d: (d.files.update({"copy.jsonl": d.files[RECORDS]}), d.links.update({RECORDS: "../copy.jsonl"})),
)
refused("log-sparse", "A records' file of 2^40 zeros.", 1, "too large", lambda d: d.zeros.update({RECORDS: 2**40}))
refused(
    "log-checkpoint-sparse",
    "A checkpoint of 2^40 zeros.",
    1,
    "too large",
    lambda d: d.zeros.update({CHECKPOINT: 2**40}),
)

# ---- a root from elsewhere


def rooted(
    name: str,
    about: str,
    head: Callable[[Draft], str] | str,
    status: int,
    says: str = "",
    *levels: str,
    step: int | None = None,
    base: str = "none",
    require: str = "L0",
) -> None:
    """A case of ROOT@SIZE, over the base as it is."""
    text = head(Draft(base)) if callable(head) else head
    if status == 2:
        usage(name, about, says, base, auditor={"root": text, "require": require})
    elif status == 1:
        refused(name, about, step or 3, says, lambda d: None, base, auditor={"root": text, "require": require})
    elif status == 3:
        less(name, about, base, *levels, says=says, auditor={"root": text, "require": require})
    else:
        shown(name, about, base, *levels, auditor={"root": text, "require": require})


rooted("root-true", "The root of the whole log.", lambda d: d.head(), 0, "", "L0")
rooted("root-of-the-open-run", "The root of an unfinished run.", lambda d: d.head(), 0, "", "L0", base="none-open")
rooted(
    "root-of-a-prefix",
    "The root from before the close record: what lies beside it is not covered.",
    lambda d: d.head(5),
    3,
    "no record in this view names",
    "L0",
)
rooted(
    "root-of-a-prefix-native",
    "The root of a native run's header and genesis: no step is shown.",
    lambda d: d.head(2),
    3,
    "no step was recorded",
    "L0",
    base="native",
    require="L1",
)
rooted("root-of-another", "A root of nothing.", "00" * 32 + "@6", 1, "the root that was given is not that of the log")
rooted(
    "root-true-size-wrong",
    "The true root with a size of one less.",
    lambda d: d.head().replace("@6", "@5"),
    1,
    "the root that was given is not that of the log",
)
rooted(
    "root-beyond",
    "A root that the checkpoint does not cover.",
    lambda d: d.head().replace("@6", "@7"),
    1,
    "the checkpoint does not cover the root that was given",
)
rooted(
    "root-of-2-63-1",
    "The largest size.",
    lambda d: d.head().replace("@6", f"@{2**63 - 1}"),
    1,
    "the checkpoint does not cover the root that was given",
)
for text, why in (
    ("@06", "a leading zero"), ("@0", "size 0"), ("@-1", "a sign"), ("@+6", "a plus sign"), ("@", "no size"), ("@6@6", "two sizes"), ("@" + "9" * 20, "20 digits"), (" @6", "a blank"),
):  # fmt: skip
    rooted(
        f"root-mistyped-{why.replace(' ', '-')}",
        f"A root with {why}.",
        Draft("none").head().split("@")[0] + text,
        2,
        "is not a ROOT@SIZE",
    )
rooted("root-mistyped-in-capitals", "A root in capitals.", lambda d: d.head().upper(), 2, "is not a ROOT@SIZE")
rooted("root-mistyped-short", "A root of 63 digits.", lambda d: d.head()[1:], 2, "is not a ROOT@SIZE")
refused(
    "root-hides-a-cut-log",
    "The auditor knows the whole's root, and is given a prefix under a checkpoint that the trainer did sign.",
    3,
    "does not cover the root that was given",
    lambda d: (
        d.order(0, 1, 2, 3, 4),
        d.sign(SIGNER),
        [d.files.pop(n) for n in list(d.files) if not n.startswith("log/")],
    ),
    auditor={"root": Draft("none").head(), "require": "L0"},
)
refused(
    "root-of-a-prefix-with-the-close-record",
    "The prefix of two segments, and the close record of the whole, under the trainer's signature.",
    6,
    "the close record has the wrong last step",
    lambda d: (d.order(0, 1, 2, 3, 5), d.sign(SIGNER)),
    auditor={"require": "L0"},
)
usage("no-run", "An empty folder.", "is not a run", base="empty")
usage("no-such-run", "A path that does not exist.", "no", base="empty", target="nowhere")
usage(
    "a-file-that-is-no-bundle",
    "A file that is no archive.",
    "is not a run",
    base="empty",
    change=lambda d: d.files.update({"x": b"x" * 600}),
    target="x",
)

# ---- from a published file

shown(
    "artefact-weights",
    "The auditor has the published weights, which lie in the run.",
    "none",
    "L0",
    target="model/weights.f32.safetensors",
    auditor={"require": "L0"},
)
less(
    "artefact-own-file",
    "The auditor has a file that the close record names, but not as the model's.",
    "none",
    "L0",
    says="but not as a model's file",
    target="config.toml",
    auditor={"require": "L0"},
)
refused(
    "artefact-unknown",
    "The auditor has a file that the close record does not name.",
    10,
    "the close record names no file with the SHA-256",
    lambda d: d.files.update({"model/other.safetensors": b"x" * 600}),
    target="model/other.safetensors",
    auditor={"require": "L0"},
)
usage(
    "artefact-two-candidates",
    "Two bundles lie beside the file.",
    "there are several beside it",
    base="bundle",
    change=lambda d: d.files.update({"again.tar": d.files["run.tar"], "x.safetensors": b"x" * 600}),
    target="x.safetensors",
)
