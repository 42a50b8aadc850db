"""Step 10, the model signature: right ones pass, each false word fails, what can't be compared is
not shown, and nothing is said where no key is pinned."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.attest.signed_runs import OTHER, SIGNER, signed, written
from tests.verify.run_builder import LOG_POLICY, honest, refused, stand_ins
from zk_autograd.core.dsse import IN_TOTO, pae
from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.records import Close
from zk_autograd.credentials.model_key import ModelSigner
from zk_autograd.evidence.bundle import Bundle
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.run.files import Files
from zk_autograd.run.packing import pack
from zk_autograd.verify.log import parse
from zk_autograd.verify.model_signature import check_model_signature
from zk_autograd.verify.outcome import Status, Step
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

PINNED = replace(LOG_POLICY, model_key=SIGNER.public_key)
Json = dict[str, Any]


def judged(run: Path, policy: Policy = PINNED) -> Report:
    with Bundle(run) if run.is_file() else RunFolder(run) as files:
        return Verifier(policy, stand_ins()).verify(files)


def said(report: Report) -> str:
    return " ".join(report.findings[Step.MODEL].sentences)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return signed(written(tmp_path / "run"))


def bundle_of(run: Path) -> Json:
    found: Json = json.loads((run / "model.sig").read_bytes())
    return found


def statement_of(run: Path) -> Json:
    found: Json = json.loads(base64.b64decode(bundle_of(run)["dsseEnvelope"]["payload"]))
    return found


def write(run: Path, bundle: Json | bytes) -> None:
    (run / "model.sig").write_bytes(bundle if isinstance(bundle, bytes) else json.dumps(bundle, indent=1).encode())


def sign_again(run: Path, statement: Json | bytes, signer: ModelSigner = SIGNER, kind: str = IN_TOTO) -> None:
    """The bundle with another statement, signed by whoever holds the key."""
    payload = statement if isinstance(statement, bytes) else json.dumps(statement).encode()
    bundle = bundle_of(run)
    signature = base64.b64encode(signer.sign(pae(kind, payload))).decode()
    bundle["dsseEnvelope"] = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": kind,
        "signatures": [{"sig": signature, "keyid": ""}],
    }
    write(run, bundle)


def with_root(statement: Json) -> Json:
    """The statement with the root digest that follows from its resources."""
    digests = b"".join(bytes.fromhex(r["digest"]) for r in statement["predicate"]["resources"])
    statement["subject"][0]["digest"]["sha256"] = sha256(digests).hexdigest()
    return statement


def not_shown(report: Report, why: str) -> None:
    assert (report.failure, report.unreadable, report.exit_status) == (None, None, 3), report.text()
    assert report.findings[Step.MODEL].status is Status.NOT_SHOWN
    assert why in said(report)
    assert any(why in reason for reason in report.missing)
    assert (report.model_signer, "zk-run sign" in report.fix) == (None, True)
    assert "pinned model key, fingerprint" not in said(report)
    assert not any("model signature" in limit for limit in report.limits)


# ---- right ones ----------------------------------------------------------------------------------


def test_10_a_model_signature_passes_from_folder_and_bundle_and_from_elsewhere(run: Path, tmp_path: Path) -> None:
    pack(run, tmp_path / "run.tar", Files(), lambda *_: None)
    data = (run / "model.sig").read_bytes()
    elsewhere = written(tmp_path / "elsewhere")
    for place, policy in (
        (run, PINNED),
        (tmp_path / "run.tar", PINNED),
        (elsewhere, replace(PINNED, model_signature=data)),
    ):
        report = judged(place, policy)
        assert (report.exit_status, report.findings[Step.MODEL].status) == (0, Status.PASSED), report.text()
        assert f"by the pinned model key, fingerprint {SIGNER.public_key.fingerprint}: exactly the 3 files" in said(
            report
        )
        assert statement_of(run)["subject"][0]["digest"]["sha256"] in said(report)
        assert any("who signed the published files" in limit for limit in report.limits)
        assert report.uncovered == ()
        assert report.model_signer == SIGNER.public_key.fingerprint


def test_10_without_a_key_it_is_not_looked_at_and_counts_for_nothing(run: Path) -> None:
    write(run, b"anything")
    report = judged(run, LOG_POLICY)
    assert (report.exit_status, report.findings[Step.MODEL].status) == (0, Status.PASSED)
    assert "model.sig is there, and was not looked at: no model key is pinned" in said(report)
    (run / "model.sig").unlink()
    plain = judged(run, LOG_POLICY)
    assert "model.sig" not in plain.text()
    assert (plain.levels, plain.claims, plain.limits) == (report.levels, report.claims, report.limits)
    assert (plain.model_signer, report.model_signer) == (None, None)


def test_a_signature_without_a_key_is_refused() -> None:
    with pytest.raises(UsageError, match="give --model-key"):
        Policy(model_signature=b"{}")


def test_10_the_form_of_the_json_is_free_and_extra_words_change_nothing(run: Path) -> None:
    statement = statement_of(run)
    statement["predicate"]["note"] = "x"
    statement["predicate"]["resources"][0]["size"] = 5
    statement["subject"][0]["name"] = "any name"
    sign_again(run, json.dumps(statement, indent=7).encode())
    assert judged(run).exit_status == 0


@pytest.mark.parametrize("paths", [[], [".git", ".gitattributes", ".github", ".gitignore"], ["model.sig", "x/y"]])
def test_10_paths_may_be_left_out_where_nothing_is(paths: list[str], run: Path) -> None:
    statement = statement_of(run)
    statement["predicate"]["serialization"] |= {"ignore_paths": paths, "allow_symlinks": True}
    sign_again(run, statement)
    assert judged(run).exit_status == 0


def test_10_a_hint_may_be_missing(run: Path) -> None:
    bundle = bundle_of(run)
    bundle["verificationMaterial"] = {"publicKey": {}}
    write(run, bundle)
    assert judged(run).exit_status == 0


# ---- what lies beside ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [".git", "pytorch_model.bin", "subdir"])
def test_10_what_is_not_signed_is_said_and_weighs(name: str, run: Path) -> None:
    place = run / "model" / name
    if name == "pytorch_model.bin":
        place.write_bytes(b"x")
    else:
        (place / ".git").mkdir(parents=True)
    report = judged(run)
    assert (report.exit_status, report.findings[Step.MODEL].status) == (3, Status.NOT_SHOWN)
    assert f"not signed, though in model/: 'model/{name}'" in said(report)
    accepted = judged(run, replace(PINNED, accept_uncovered=frozenset({f"model/{name}"})))
    assert accepted.exit_status == 0
    assert f"not signed, though in model/: 'model/{name}'" in said(accepted)


def test_10_a_harmless_name_is_not_signed_either(run: Path) -> None:
    (run / "model" / ".gitignore").write_bytes(b"x")
    report = judged(run)
    assert report.exit_status == 0
    assert "not signed, though in model/: 'model/.gitignore'" in said(report)


def test_10_a_link_in_place_of_the_signature_is_not_followed(run: Path, tmp_path: Path) -> None:
    (run / "model.sig").rename(tmp_path / "model.sig")
    (run / "model.sig").symlink_to(tmp_path / "model.sig")
    refused(judged(run), 10, "model.sig can't be read: it is a link")
    assert judged(run, LOG_POLICY).exit_status == 3


def test_10_a_false_file_is_a_failure_whatever_the_signature(run: Path) -> None:
    path = run / "model" / "opening.json"
    path.write_bytes(path.read_bytes() + b" ")
    refused(judged(run), 10, "opening.json does not match the close record", 5)


def test_10_a_huge_signature_is_not_read(run: Path) -> None:
    with (run / "model.sig").open("r+b") as file:
        file.truncate(2**40)
    refused(judged(run), 10, "model.sig is too large")


# ---- false ones ----------------------------------------------------------------------------------


def test_10_another_key_fails_with_and_without_its_hint(run: Path) -> None:
    signed(run, OTHER)
    refused(judged(run), 10, "names another key than the pinned model key")
    bundle = bundle_of(run)
    bundle["verificationMaterial"]["publicKey"]["hint"] = SIGNER.public_key.fingerprint
    write(run, bundle)
    refused(judged(run), 10, "the model signature is not by the pinned model key")


def resource(change: Callable[[list[Json]], object]) -> Callable[[Json], None]:
    """Changes the resources, and the root digest with them, as whoever signs could."""

    def changed(statement: Json) -> None:
        change(statement["predicate"]["resources"])
        with_root(statement)

    return changed


def ignoring(*paths: str) -> Callable[[Json], None]:
    return lambda s: s["predicate"]["serialization"].update(ignore_paths=list(paths))


FALSE: dict[str, tuple[Callable[[Json], object], str]] = {
    "another digest": (resource(lambda r: r[1].update(digest="00" * 32)), "has another digest for weights.f32.safetensors"),
    "one file less": (resource(lambda r: r.pop()), "is not over exactly the files of the close record"),
    "no file": (resource(lambda r: r.clear()), "is not over exactly the files"),
    "one file more": (resource(lambda r: r.append({**r[0], "name": "z.bin"})), "is not over exactly the files"),
    "a file renamed": (resource(lambda r: r[2].update(name="weights.i65.safetensors")), "is not over exactly the files"),
    "another spelling": (resource(lambda r: r[0].update(name="./opening.json")), "is not over exactly the files"),
    "another case": (resource(lambda r: r[0].update(name="Opening.json")), "is not over exactly the files"),
    "a file twice": (resource(lambda r: r.insert(0, dict(r[0]))), "names 'opening.json' twice"),
    "another order": (resource(lambda r: r.reverse()), "does not list its files in order of name"),
    "two digests exchanged": (
        resource(lambda r: r.__setitem__(slice(0, 2), [{**r[0], "digest": r[1]["digest"]}, {**r[1], "digest": r[0]["digest"]}])),
        "has another digest for opening.json",
    ),
    "another root": (lambda s: s["subject"][0]["digest"].update(sha256="11" * 32), "the root digest of the model signature"),
    "a second root": (lambda s: s["subject"][0]["digest"].update(sha512="11" * 64), "unknown fields"),
    "no subject": (lambda s: s["subject"].clear(), "subject is invalid"),
    "two subjects": (lambda s: s["subject"].append(s["subject"][0]), "subject is invalid"),
    "another hash for one": (resource(lambda r: r[0].update(algorithm="blake2b")), "algorithm is invalid"),
    "capital digits": (lambda s: s["predicate"]["resources"][0].update(digest="AA" * 32), "digest is invalid"),
    "another kind of statement": (lambda s: s.update(_type="https://in-toto.io/Statement/v0.1"), "_type is invalid"),
    "everything left out": (ignoring("."), "leaves out opening.json, which it names"),
    "a file left out": (ignoring("weights.i64.safetensors/"), "leaves out weights.i64.safetensors, which it names"),
}  # fmt: skip


@pytest.mark.parametrize("name", FALSE)
def test_10_each_false_word_fails_though_its_key_signed_it(name: str, run: Path) -> None:
    change, message = FALSE[name]
    statement = statement_of(run)
    change(statement)
    sign_again(run, statement)
    refused(judged(run), 10, message)


def test_10_a_signature_for_another_run_fails(run: Path, tmp_path: Path) -> None:
    other = honest("none", lengths=(3, 3, 1))
    signed(other.write(tmp_path / "other"))
    write(run, (tmp_path / "other" / "model.sig").read_bytes())
    refused(judged(run), 10, "has another digest for")


BENT: dict[str, tuple[Callable[[Json], object], str]] = {
    "another payload": (
        lambda b: b["dsseEnvelope"].update(payload=base64.b64encode(b"{}").decode()), "is not by the pinned model key"
    ),
    "another payload type": (lambda b: b["dsseEnvelope"].update(payloadType="x"), "is not by the pinned model key"),
    "no signature": (lambda b: b["dsseEnvelope"]["signatures"].clear(), "signatures is invalid"),
    "an empty signature": (lambda b: b["dsseEnvelope"]["signatures"][0].update(sig=""), "is not by the pinned model key"),
    "two signatures": (lambda b: b["dsseEnvelope"]["signatures"].append(b["dsseEnvelope"]["signatures"][0]), "several signatures"),
    "no bundle": (lambda b: b.update(mediaType="application/json"), "is no Sigstore bundle"),
    "one field more": (lambda b: b.update(messageSignature={}), "unknown fields"),
    "no material": (lambda b: b.pop("verificationMaterial"), "verificationMaterial is missing"),
    "null": (lambda b: b.update(mediaType=None), "mediaType is invalid"),
}  # fmt: skip


@pytest.mark.parametrize("name", BENT)
def test_10_a_bent_bundle_fails(name: str, run: Path) -> None:
    change, message = BENT[name]
    bundle = bundle_of(run)
    change(bundle)
    write(run, bundle)
    refused(judged(run), 10, message)


def test_10_a_key_given_twice_fails_wherever_it_stands(run: Path) -> None:
    text = (run / "model.sig").read_bytes()
    write(run, text.replace(b'{"dsseEnvelope"', b'{"mediaType":"x","dsseEnvelope"', 1))
    refused(judged(run), 10, "duplicate key")
    signed_text = json.dumps(statement_of(run)).replace('"subject"', '"predicateType": "x", "subject"').encode()
    sign_again(run, signed_text)
    refused(judged(run), 10, "duplicate key")


def test_10_another_payload_type_that_its_key_signed_fails(run: Path) -> None:
    sign_again(run, statement_of(run), kind="application/json")
    refused(judged(run), 10, "is over no statement")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"[" * 100, b" " * 2**20 + b"{}"])
def test_10_what_is_no_json_object_fails(data: bytes, run: Path) -> None:
    report = judged(run, replace(PINNED, model_signature=data))
    refused(report, 10, "the model signature")


def test_10_each_flipped_bit_fails_or_changes_nothing_that_was_signed(run: Path) -> None:
    """Only a name or a space outside of what is signed may differ, and then the same was signed."""
    data = (run / "model.sig").read_bytes()
    whole = json.loads(data)["dsseEnvelope"]
    with RunFolder(run) as files:
        view, _ = parse(files, None)
        for place in range(len(data)):
            flipped = bytearray(data)
            flipped[place] ^= 1 << place % 8
            policy = replace(PINNED, model_signature=bytes(flipped))
            try:
                outcome = check_model_signature(view.log, files, policy)
            except VerificationError:
                continue
            if outcome.finding.status is Status.PASSED:
                found = json.loads(flipped)["dsseEnvelope"]
                assert found["payload"] == whole["payload"]
                assert found["signatures"][0]["sig"] == whole["signatures"][0]["sig"]
            else:
                assert outcome.withheld


# ---- what can't be compared ----------------------------------------------------------------------


OF_ANOTHER_KIND: dict[str, tuple[Callable[[Json], object], str]] = {
    "shards": (
        lambda s: s["predicate"]["serialization"].update(method="shards", shard_size=10**9), "it is over 'shards' of files"
    ),
    "blake2b": (lambda s: s["predicate"]["serialization"].update(hash_type="blake2b"), "its digests are 'blake2b'"),
    "another setting": (lambda s: s["predicate"]["serialization"].update(order="size"), "in a way that is not known here"),
    "an older statement": (lambda s: s.update(predicateType="https://model_signing/Digests/v0.1"), "of another type"),
    "an absolute path": (ignoring("/model"), "which files that is depends on the machine"),
    "a path upwards": (ignoring("../model/opening.json"), "which files that is depends on the machine"),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_ANOTHER_KIND)
def test_10_a_statement_of_another_kind_is_not_shown(name: str, run: Path) -> None:
    change, why = OF_ANOTHER_KIND[name]
    statement = statement_of(run)
    change(statement)
    sign_again(run, statement)
    not_shown(judged(run), why)
    sign_again(run, statement, OTHER)  # a wrong signature is one whatever it is over
    refused(judged(run), 10, "is not by the pinned model key")


OTHER_BUNDLES: dict[str, tuple[Callable[[Json], object], str]] = {
    "a certificate": (lambda b: b.update(verificationMaterial={"certificate": {"rawBytes": ""}}), "with a certificate"),
    "another version": (
        lambda b: b.update(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.2"), "of another version"
    ),
    "over bytes": (lambda b: b.update(messageSignature=b.pop("dsseEnvelope")), "over bytes"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER_BUNDLES)
def test_10_a_bundle_of_another_kind_is_not_shown(name: str, run: Path) -> None:
    change, why = OTHER_BUNDLES[name]
    bundle = bundle_of(run)
    change(bundle)
    write(run, bundle)
    not_shown(judged(run), why)


def test_10_no_signature_and_no_model_are_not_shown(run: Path, tmp_path: Path) -> None:
    data = (run / "model.sig").read_bytes()
    (run / "model.sig").unlink()
    not_shown(judged(run), "there is no model.sig in the run")
    for close in (None, Close):
        bare = honest("none")
        assert bare.close is not None
        bare.model, bare.close = {}, None if close is None else replace(bare.close, model=())
        folder = bare.write(tmp_path / f"bare-{close}")
        not_shown(judged(folder, replace(PINNED, model_signature=data)), "name no published model")


def test_10_each_curve_of_model_signing_is_verified(tmp_path: Path) -> None:
    for curve in (ec.SECP384R1(), ec.SECP521R1()):
        signer = ModelSigner(ec.derive_private_key(7, curve))
        run = signed(written(tmp_path / curve.name), signer)
        assert judged(run, replace(PINNED, model_key=signer.public_key)).exit_status == 0
        refused(judged(run), 10, "names another key")
