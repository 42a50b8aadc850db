"""Every attack on an enclave is refused with the words that are meant to, and wins where that check
is taken out; but for those that no check stands against, and a key does (`BY_A_KEY`)."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rfc3161_client", reason="the package rfc3161-client is not installed: [rfc3161]")
pytest.importorskip("cbor2", reason="the package cbor2 is not installed: [tee]")
pytest.importorskip("fastapi", reason="a broker needs the extra [broker]")

from attacks.__main__ import ON_ENCLAVES, program
from attacks.__main__ import main as attack
from attacks.on_enclaves import bill_exchanged, border_moved, jobs_exchanged
from attacks.tools.enclaves import Attempt, shown
from tests.enclave import kms_double
from tests.enclave.images import BILL
from tests.enclave.instances import RUN_ID
from tests.tee.eif.golden import golden, opened
from tests.verify.attested_runs import BEGUN, enclave_run
from zk_autograd.broker import deciding
from zk_autograd.core import note
from zk_autograd.core.anchors import AnchorClaim, Receipt, Standing
from zk_autograd.core.ec_keys import EcPublicKey
from zk_autograd.enclave import checked_proofs, image, main, working
from zk_autograd.enclave.job import Job
from zk_autograd.enclave.release import cms, kms
from zk_autograd.tee.eif import measure
from zk_autograd.tee.nitro import chain, judge
from zk_autograd.vault.context import of_enclave
from zk_autograd.vault.errors import VaultError
from zk_autograd.vault.holder.kms import octets
from zk_autograd.verify import attested, log
from zk_autograd.verify.anchoring import Anchored

CASES = [(name, attempt) for name in ON_ENCLAVES for attempt in program(name).ATTEMPTS]
SLOW = ("foreign_gradient",)

TakenOut = Callable[[pytest.MonkeyPatch], None]


def _cases(chosen: list[tuple[str, Attempt]]) -> pytest.MarkDecorator:
    marked = [pytest.param(n, a, id=f"{n}: {a.name}", marks=[pytest.mark.slow] if n in SLOW else []) for n, a in chosen]
    return pytest.mark.parametrize(("name", "attempt"), marked)


def _require_what_it_needs(name: str, request: pytest.FixtureRequest) -> None:
    if why := str(getattr(program(name), "missing", str)()):
        pytest.skip(why)
    if name == "foreign_gradient":
        request.getfixturevalue("native_prover")


@_cases(CASES)
def test_an_attack_is_refused_with_its_words(
    name: str, attempt: Attempt, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    _require_what_it_needs(name, request)
    assert attempt.words in attempt.make(tmp_path)


def _nothing(*_: object, **__: object) -> str:
    return ""


def _taking_out(*checks: tuple[Any, str]) -> TakenOut:
    def take_out(patch: pytest.MonkeyPatch) -> None:
        for where, name in checks:
            patch.setattr(where, name, _nothing)

    return take_out


def _named(patch: pytest.MonkeyPatch) -> None:
    """The document is the one that the genesis names."""
    patch.setattr(attested, "_named", lambda files, digest: files.attestation())


def _signed(patch: pytest.MonkeyPatch) -> None:
    """Notes are signed by the keys that they should be."""
    patch.setattr(log, "open_note", lambda data, keys: note.parse_unverified(data))
    patch.setattr("zk_autograd.core.register.open_note", lambda data, keys: note.parse_unverified(data))
    patch.setattr(attested, "open_note", lambda data, keys: note.parse_unverified(data))


def _every_key(patch: pytest.MonkeyPatch) -> None:
    """All keys that the document is about signed."""
    patch.setattr(attested, "_require_signed", lambda view, anchoring: ())


def _covered(patch: pytest.MonkeyPatch) -> None:
    """A stamp counts that covers the genesis, which names the document."""
    patch.setattr(attested, "COVERED", 1)


def _time(patch: pytest.MonkeyPatch) -> None:
    """A time is what an anchor shows."""
    claim = AnchorClaim("file", Standing.SHOWN, "the document's own word", int(BEGUN.timestamp()))
    patch.setattr(attested, "earliest", lambda _: Anchored(Receipt("file", 2, bytes(32), {}), 2, claim))


def _one_context(patch: pytest.MonkeyPatch) -> None:
    """What a key is wrapped and used for is in the context."""
    for where in (working, jobs_exchanged):
        patch.setattr(where, "of_enclave", lambda run: of_enclave(bytes(16)))
    _job(patch)


def _job(patch: pytest.MonkeyPatch) -> None:
    """The job says its run once more."""
    parse = Job.parse
    patch.setattr(Job, "parse", lambda data: replace(parse(data), run=RUN_ID))


def _plaintext(patch: pytest.MonkeyPatch) -> None:
    def opened(answer: Any, key: kms.ReleaseKey) -> bytes:
        return cms.open_enveloped(octets(answer, "CiphertextForRecipient", 1, 8192), key.private)

    patch.setattr(kms, "_opened", opened)


def _algorithm(patch: pytest.MonkeyPatch) -> None:
    def content(found: Any) -> dict[str, bytes]:
        iv = found["content_encryption_algorithm"]["parameters"].native
        return {"iv": iv, "encrypted": found["encrypted_content"].native}

    patch.setattr(cms, "_content", content)


def _paddings(patch: pytest.MonkeyPatch) -> None:
    """A content has one length and one padding, and nothing else is said of what does not open."""
    from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.padding import PKCS7

    def decrypted(private: Any, encrypted_key: bytes, iv: bytes, encrypted: bytes, size: int) -> bytes:
        key = private.decrypt(encrypted_key, OAEP(MGF1(SHA256()), SHA256(), None))
        unpadder = PKCS7(128).unpadder()
        try:
            content = unpadder.update(Cipher(algorithms.AES256(key), modes.CBC(iv)).decryptor().update(encrypted))
            content += unpadder.finalize()
        except ValueError:
            raise VaultError("it does not decrypt") from None
        if len(content) != size:
            raise VaultError(f"a key of {len(content)} bytes")
        return content

    patch.setattr(cms, "_decrypted", decrypted)
    patch.setattr(main, "said_of", str)


def _bill(patch: pytest.MonkeyPatch) -> None:
    """The bill that was signed is compared."""
    patch.setattr(image, "_attested", lambda *_: bill_exchanged.CLEAN)


def _image(patch: pytest.MonkeyPatch) -> None:
    """The signature is over the image."""
    patch.setattr(image, "_check_signature", _nothing)
    patch.setattr(image, "_attested", lambda *_: BILL)


_bound = _taking_out((attested, "_require_bound"))
_valid = _taking_out((chain, "_require_valid"))
_root = _taking_out((judge, "_root"))
_measured = _taking_out((judge, "_measured"))
_once = _taking_out((deciding, "_count_refusal"))
_nonce = _taking_out((deciding, "_nonce_refusal"))

TAKEN_OUT: dict[str, dict[str, TakenOut]] = {
    "document_of_another_run": {
        "of another run": _bound,
        "of another header": _bound,
        "of a release": _bound,
        "not the one that the genesis names": _named,
    },
    "log_continued_by_host": {
        "under the host's key": _signed,
        "with the host's key in the header": _bound,
        "beside the enclave's key": _every_key,
    },
    "old_certificate": {
        "stamped too late": _valid,
        "dated back": _valid,
        "stamped before the document": _covered,
        "not stamped": _time,
    },
    "emulated_device": {
        "under the emulated root": _root,
        "under one's own root": _taking_out((chain, "_root")),
        "without a signature": _taking_out((chain, "_require_signature")),
        "in debug mode": _measured,
        "another image": _measured,
    },
    "instance_cloned": {
        "a clone": _once,
        "the same again": _once,
        "with the first one's nonce": _taking_out((deciding, "_count_refusal"), (deciding, "_nonce_refusal")),
        "after the broker stopped": _once,
        "with another run's nonce": _nonce,
    },
    "jobs_exchanged": {
        "with its own key": _one_context,
        "the wrapped key": _one_context,
        "in the seal of this run": _job,
    },
    "foreign_gradient": {
        "another gradient": _taking_out((checked_proofs, "_require_same")),
        "another trajectory": _taking_out((checked_proofs, "_require_same")),
        "another run's proof": _taking_out(
            (checked_proofs, "_require_same"), (checked_proofs.CheckedProofs, "_found")
        ),
    },
    "kms_answer_forged": {
        "in the clear": _plaintext,
        "in another algorithm": _algorithm,
        "to another image": _taking_out((kms_double, "_allow")),
    },
    "kms_answer_questioned": {
        "the key's first half": _paddings,
        "the key's second half": _paddings,
    },
    "border_moved": {
        "the line's beginning": _image,
        "the kernel's end": _image,
        "another device": _root,
    },
    "bill_exchanged": {
        "the bill": _bill,
        "both, under another key": _taking_out((EcPublicKey, "verify")),
        "of another image": _bill,
        "the image": _image,
    },
}  # fmt: skip

BY_A_KEY = {
    ("jobs_exchanged", "the ciphertext"): "its key is another, and its file's name in the key file only says so sooner",
    ("jobs_exchanged", "the ciphertext and its name"): "its key is another",
    ("kms_answer_forged", "for another recipient"): "it is encrypted for another key",
    ("kms_answer_forged", "of a document with the host's key"): "it is encrypted for another key",
}


@_cases([(n, a) for n, a in CASES if a.name in TAKEN_OUT.get(n, {})])
def test_it_wins_without_that_check(
    name: str, attempt: Attempt, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    _require_what_it_needs(name, request)
    with monkeypatch.context() as patch:
        TAKEN_OUT[name][attempt.name](patch)
        assert attempt.make(tmp_path) == ""


def test_no_attempt_is_left_out_here() -> None:
    assert {(n, a.name) for n, a in CASES} == {(n, a) for n, cases in TAKEN_OUT.items() for a in cases} | set(BY_A_KEY)
    assert all(hasattr(program(name), "run") for name in ON_ENCLAVES)


def test_an_honest_enclaves_run_is_accepted(tmp_path: Path) -> None:
    assert shown(enclave_run(), tmp_path) == ""


def test_a_moved_border_leaves_the_measurement_and_changes_the_line() -> None:
    """The one attack that the measurement doesn't see."""
    found, own = opened(border_moved.moved()), opened(golden("unsigned"))
    assert measure(found) == measure(own)
    assert own.cmdline.endswith(found.cmdline) and found.cmdline != own.cmdline


def test_nothing_in_the_image_reads_the_command_line() -> None:
    """But the first program, which is handed the words after "--": a relay, a device, a patience,
    and a self-test."""
    source = Path(__file__).parents[2]
    for folder in ("src", "enclave"):
        for path in (source / folder).rglob("*.py"):
            assert "/proc/cmdline" not in path.read_text(encoding="utf-8"), path
    program_text = (source / "src/zk_autograd/enclave/main.py").read_text(encoding="utf-8")
    assert re.findall(r'add_argument\("(--[a-z-]+)"', program_text) == [
        "--relay",
        "--device",
        "--patience",
        "--self-test",
    ]


def test_its_program_says_what_became_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert attack(["bill_exchanged", "instance_cloned"]) == 0
    said = capsys.readouterr().out
    assert "refused by the launcher" in said
    assert "refused by the broker" in said
