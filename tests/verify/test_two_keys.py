"""A run that two keys signed, Ed25519 and ML-DSA-44, for an auditor who pins both: what a stranger,
or a trainer who has lost one, makes of its checkpoint."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.verify.run_builder import KEY, QUANTUM, SECOND, SIGNER, Run, honest, stand_ins
from zk_autograd.core.checkpoint import Checkpoint, checkpoint_text
from zk_autograd.core.cosignature import cosigned_message
from zk_autograd.core.keys import MlDsa44Signer, PublicKey, Signer
from zk_autograd.core.note import sign
from zk_autograd.core.progress import silent
from zk_autograd.core.text import encode_base64
from zk_autograd.evidence.opening import open_run
from zk_autograd.run.files import Files
from zk_autograd.run.packing import pack
from zk_autograd.verify.outcome import Level, Status, Step
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

PQ = QUANTUM.public_key
L0 = frozenset({Level.L0})
BOTH = Policy(keys=(KEY, PQ), require=L0)


@pytest.fixture
def run() -> Run:
    """An honest run of both keys."""
    run = honest("none")
    run.signers = (SIGNER, QUANTUM)
    run.edit_header(keys=tuple(signer.public_key.encode() for signer in run.signers))
    return run


def text_of(run: Run, origin: str = "", size: int = 0, root: bytes = b"") -> str:
    return checkpoint_text(origin or run.header.origin, size or len(run.leaves()), root or run.root())


def note(text: str, *lines: tuple[PublicKey, bytes]) -> bytes:
    """A note of these signatures, each in the line of the key beside it."""
    rows = "".join(f"\u2014 {key.name} {encode_base64(key.key_id + signature)}\n" for key, signature in lines)
    return f"{text}\n{rows}".encode()


def judged(run: Run, folder: Path, checkpoint: bytes | None = None, policy: Policy = BOTH) -> Report:
    path = run.write(folder)
    if checkpoint is not None:
        (path / "log" / "checkpoint").write_bytes(checkpoint)
    with open_run(path) as files:
        return Verifier(policy, stand_ins()).verify(files)


def signed_by(signer: Signer, over: Callable[[Run], str] = text_of) -> Callable[[Run], bytes]:
    return lambda run: signer.sign(over(run))


def beside(key: PublicKey, made: Callable[[Run], bytes]) -> Callable[[Run], bytes]:
    """The trainer's true Ed25519 line, and a line of `key` with what `made` gives."""
    return lambda run: note(text_of(run), (KEY, SIGNER.sign(text_of(run))), (key, made(run)))


def cut(signer: Signer, change: Callable[[bytes], bytes]) -> Callable[[Run], bytes]:
    return lambda run: change(signer.sign(text_of(run)))


def of_name(name: str) -> Callable[[Run], bytes]:
    """A true signature by the ML-DSA-44 key, which says that another name cosigned."""

    def made(run: Run) -> bytes:
        return MlDsa44Signer(name, QUANTUM.seed).sign(text_of(run))

    return made


NAMESAKE = MlDsa44Signer("trainer", bytes(32))
ALIAS = MlDsa44Signer("trainer2", QUANTUM.seed)

CHECKPOINTS: dict[str, tuple[Callable[[Run], bytes], str]] = {
    "without the Ed25519 line": (lambda run: note(text_of(run), (PQ, QUANTUM.sign(text_of(run)))), "is not signed by the key {ed}"),
    "without the ML-DSA-44 line": (lambda run: note(text_of(run), (KEY, SIGNER.sign(text_of(run)))), "is not signed by the key {pq}"),
    "of another size": (beside(PQ, signed_by(QUANTUM, lambda run: text_of(run, size=5))), "wrong signature by the key {pq}"),
    "of another root": (beside(PQ, signed_by(QUANTUM, lambda run: text_of(run, root=bytes(32)))), "wrong signature by the key {pq}"),
    "of another origin": (beside(PQ, signed_by(QUANTUM, lambda run: text_of(run, origin="zk-autograd/00"))), "wrong signature by the key {pq}"),
    "of another name": (beside(PQ, of_name("trainer2")), "wrong signature by the key {pq}"),
    "under another name": (beside(ALIAS.public_key, signed_by(QUANTUM)), "is not signed by the key {pq}"),
    "by a namesake": (beside(NAMESAKE.public_key, signed_by(NAMESAKE)), "is not signed by the key {pq}"),
    "by a namesake in its line": (beside(PQ, signed_by(NAMESAKE)), "wrong signature by the key {pq}"),
    "by Ed25519 in the ML-DSA-44 line": (beside(PQ, signed_by(SIGNER)), "wrong signature by the key {pq}"),
    "by Ed25519 after a time": (beside(PQ, cut(SIGNER, lambda data: bytes(8) + data)), "wrong signature by the key {pq}"),
    "by ML-DSA-44 in the Ed25519 line": (
        lambda run: note(text_of(run), (KEY, QUANTUM.sign(text_of(run))), (PQ, QUANTUM.sign(text_of(run)))),
        "wrong signature by the key {ed}",
    ),
    "with a byte more": (beside(PQ, cut(QUANTUM, lambda data: data + b"\0")), "wrong signature by the key {pq}"),
    "with its time again": (beside(PQ, cut(QUANTUM, lambda data: bytes(8) + data)), "wrong signature by the key {pq}"),
    "without its time": (beside(PQ, cut(QUANTUM, lambda data: data[8:])), "wrong signature by the key {pq}"),
    "with another time": (beside(PQ, cut(QUANTUM, lambda data: b"\0" * 7 + b"\1" + data[8:])), "wrong signature by the key {pq}"),
    "twice": (
        lambda run: note(text_of(run), (KEY, SIGNER.sign(text_of(run))), *[(PQ, QUANTUM.sign(text_of(run)))] * 2),
        "two signatures by the same key",
    ),
}  # fmt: skip


def test_both_signed_and_the_report_names_both(run: Run, tmp_path: Path) -> None:
    report = judged(run, tmp_path)
    assert (report.verdict, report.exit_status) == ("L0", 0)
    assert report.findings[Step.SIGNATURES].sentences == (
        f"signed by the pinned key trainer+{KEY.key_id.hex()} (Ed25519)",
        f"signed by the pinned key trainer+{PQ.key_id.hex()} (ML-DSA-44)",
    )
    assert PQ.encode() not in report.text(100)
    for lines in ((PQ, KEY), (KEY, PQ)):  # in either order
        signatures = {KEY: SIGNER.sign(text_of(run)), PQ: QUANTUM.sign(text_of(run))}
        again = note(text_of(run), *((key, signatures[key]) for key in lines))
        assert judged(run, tmp_path / lines[0].key_id.hex(), again).exit_status == 0


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_that_not_both_keys_signed_is_refused(run: Run, tmp_path: Path, name: str) -> None:
    make, message = CHECKPOINTS[name]
    report = judged(run, tmp_path, make(run))
    assert (report.verdict, report.exit_status) == ("FAILED", 1)
    assert report.failure is not None
    assert report.failure.step == (1 if name == "twice" else 2)
    assert message.format(ed=KEY.label, pq=PQ.label) in report.failure.message


def test_a_time_that_the_key_signed_is_taken_as_c2sp_has_it(run: Run, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

    time = 1_700_000_000
    message = cosigned_message(PQ.name, time, Checkpoint(run.header.origin, len(run.leaves()), run.root()))
    signature = time.to_bytes(8, "big") + MLDSA44PrivateKey.from_seed_bytes(QUANTUM.seed).sign(message)
    made = note(text_of(run), (KEY, SIGNER.sign(text_of(run))), (PQ, signature))
    assert judged(run, tmp_path, made).exit_status == 0


@pytest.mark.parametrize("pinned", [SIGNER, QUANTUM])
def test_one_pinned_key_is_enough_and_the_other_is_counted(run: Run, tmp_path: Path, pinned: Signer) -> None:
    report = judged(run, tmp_path, policy=Policy(keys=(pinned.public_key,), require=L0))
    assert report.exit_status == 0
    assert "not pinned, so not looked at: 1 of the keys" in " ".join(report.findings[Step.SIGNATURES].sentences)


def test_a_pinned_key_that_signed_and_that_the_header_does_not_name_is_refused(run: Run, tmp_path: Path) -> None:
    """The header is what the proofs are bound to: a key added to the checkpoint later signs no
    run."""
    for named in (SIGNER, QUANTUM):
        run.edit_header(keys=(named.public_key.encode(), SECOND.public_key.encode()))
        report = judged(run, tmp_path / named.public_key.key_id.hex(), sign(text_of(run), [SIGNER, QUANTUM]))
        assert report.failure is not None
        assert (report.failure.step, report.failure.message) == (2, "the header does not name a pinned key")
        other = PQ if named is SIGNER else KEY
        assert report.failure.expected == other.label


def test_a_header_names_no_key_that_nobody_can_check(run: Run, tmp_path: Path) -> None:
    run.edit_header(keys=(KEY.encode(), "quantum+01020304+BwAA"))
    report = judged(run, tmp_path, sign(text_of(run), [SIGNER]), Policy(keys=(KEY,), require=L0))
    assert report.failure is not None
    assert (report.failure.step, report.failure.record) == (1, 0)
    assert "names an invalid key" in report.failure.message


def test_a_bundle_of_it_is_judged_alike(run: Run, tmp_path: Path) -> None:
    path = run.write(tmp_path / "run")
    shutil.copytree(path, tmp_path / "less")
    (tmp_path / "less" / "log" / "checkpoint").write_bytes(CHECKPOINTS["of another name"][0](run))
    for name, status in (("run", 0), ("less", 1)):
        pack(tmp_path / name, tmp_path / f"{name}.tar", Files(), silent)
        with open_run(tmp_path / f"{name}.tar") as files:
            assert Verifier(BOTH, stand_ins()).verify(files).exit_status == status


def test_nothing_pinned_says_nothing_of_either(run: Run, tmp_path: Path) -> None:
    report = judged(run, tmp_path, CHECKPOINTS["of another name"][0](run), Policy(require=L0))
    assert (report.verdict, report.exit_status) == ("UNPINNED", 3)
    assert report.findings[Step.SIGNATURES].status is Status.SKIPPED
