"""Step by step what a host refuses to start; and what cosign itself signed is taken."""

import resource
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.enclave.images import BILL, attested, image_key, make, public, signature, write_json
from zk_autograd.core.ec_keys import EcPublicKey
from zk_autograd.core.errors import StorageError, UsageError, VerificationError, ZkError
from zk_autograd.enclave import image as enclave_image
from zk_autograd.enclave.image import verified_image
from zk_autograd.local.named_files import open_named

DATA = Path(__file__).parent.parent / "data" / "supply-chain"


def test_a_signed_image_is_taken_and_its_copy_removed(tmp_path: Path) -> None:
    with verified_image(make(tmp_path), public(image_key())) as found:
        assert (found.digest, found.packages, found.document) == (sha256(b"an image").digest(), 1, "test")
        assert found.path.read_bytes() == b"an image"
        assert found.path != tmp_path / "image.eif"
    assert not found.path.exists()


def test_what_cosign_signed_is_taken() -> None:
    key = EcPublicKey.parse((DATA / "cosign.pub").read_bytes())
    with verified_image(DATA / "image.eif", key) as found:
        assert found.packages > 0


def _replaced(name: str, value: Callable[[bytes], object]) -> Callable[[Path], None]:
    return lambda folder: write_json(folder / name, value((folder / "image.eif").read_bytes()))


def _appended(folder: Path) -> None:
    (folder / "image.eif").write_bytes(b"an image.")


def _garbage(path: Path) -> None:
    path.write_bytes(b"\xff")


def _two_signatures(image: bytes) -> object:
    bundle = attested(image, BILL, image_key())
    bundle["dsseEnvelope"]["signatures"] *= 2
    return bundle


OTHER = b"another image"
ATTACKS: dict[str, tuple[Callable[[Path], None], str]] = {
    "no signature": (lambda folder: (folder / "image.eif.sig.json").unlink(), "sig.json is missing"),
    "no bill": (lambda folder: (folder / "image.eif.spdx.json").unlink(), "spdx.json is missing"),
    "bill not signed": (lambda folder: (folder / "image.eif.sbom.json").unlink(), "sbom.json is missing"),
    "a byte more": (_appended, "is not the image that was signed"),
    "another key": (
        _replaced("image.eif.sig.json", lambda i: signature(i, image_key(2))),
        "not signed by the pinned key",
    ),
    "signature of another image": (
        _replaced("image.eif.sig.json", lambda _: signature(OTHER, image_key())),
        "not the image",
    ),
    "digest and signature apart": (
        _replaced(
            "image.eif.sig.json",
            lambda i: (
                signature(OTHER, image_key())
                | {
                    "messageSignature": signature(OTHER, image_key())["messageSignature"]
                    | {"messageDigest": signature(i, image_key())["messageSignature"]["messageDigest"]}
                }
            ),
        ),
        "not signed by the pinned key",
    ),
    "bill altered": (_replaced("image.eif.spdx.json", lambda _: BILL | {"name": "other"}), "that was signed"),
    "bill by another key": (_replaced("image.eif.sbom.json", lambda i: attested(i, BILL, image_key(2))), "pinned key"),
    "bill of another image": (
        _replaced("image.eif.sbom.json", lambda _: attested(OTHER, BILL, image_key())),
        "about another image",
    ),
    "bill of two images": (
        _replaced(
            "image.eif.sbom.json",
            lambda i: attested(
                i,
                BILL,
                image_key(),
                subject=[{"name": "", "digest": {"sha256": sha256(x).hexdigest()}} for x in (i, OTHER)],
            ),
        ),
        "about another image",
    ),
    "another predicate": (
        _replaced("image.eif.sbom.json", lambda i: attested(i, BILL, image_key(), predicateType="https://slsa.dev/x")),
        "predicateType",
    ),
    "another statement": (
        _replaced("image.eif.sbom.json", lambda i: attested(i, BILL, image_key(), _type="https://example.com/")),
        "_type",
    ),
    "another payload type": (
        _replaced("image.eif.sbom.json", lambda i: attested(i, BILL, image_key(), "text/plain")),
        "not one signature over one in-toto statement",
    ),
    "two signatures": (_replaced("image.eif.sbom.json", _two_signatures), "not one signature"),
    "the signature's bundle as the bill's": (
        _replaced("image.eif.sbom.json", lambda i: signature(i, image_key())),
        "dsseEnvelope",
    ),
    "a certificate": (
        _replaced(
            "image.eif.sig.json", lambda i: signature(i, image_key()) | {"verificationMaterial": {"certificate": {}}}
        ),
        "signed with a certificate",
    ),
    "no JSON": (lambda folder: _garbage(folder / "image.eif.sig.json"), "can't be read"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_host_refuses(attack: str, tmp_path: Path) -> None:
    image = make(tmp_path)
    change, why = ATTACKS[attack]
    change(tmp_path)
    with pytest.raises(VerificationError, match=why), verified_image(image, public(image_key())):
        pass


def test_an_empty_bill_is_none(tmp_path: Path) -> None:
    image, bill = make(tmp_path), BILL | {"packages": []}
    write_json(tmp_path / "image.eif.spdx.json", bill)
    write_json(tmp_path / "image.eif.sbom.json", attested(b"an image", bill, image_key()))
    with pytest.raises(VerificationError, match="names no packages"), verified_image(image, public(image_key())):
        pass


def test_a_bill_of_another_form_is_none(tmp_path: Path) -> None:
    """Also one that was signed as it is."""
    for version in ("SPDX-3.0", 2, None):
        bill = BILL | {"spdxVersion": version}
        image = make(tmp_path)
        write_json(tmp_path / "image.eif.spdx.json", bill)
        write_json(tmp_path / "image.eif.sbom.json", attested(b"an image", bill, image_key()))
        with pytest.raises(VerificationError, match="is not SPDX 2"), verified_image(image, public(image_key())):
            pass


@pytest.mark.parametrize(
    ("signed", "beside"), [(True, 1), (1, True), (False, 0), ([True], [1]), ({"a": 0}, {"a": False})]
)
def test_true_is_not_one(signed: object, beside: object, tmp_path: Path) -> None:
    """To Python they are equal."""
    image = make(tmp_path)
    write_json(tmp_path / "image.eif.spdx.json", BILL | {"x": beside})
    write_json(tmp_path / "image.eif.sbom.json", attested(b"an image", BILL | {"x": signed}, image_key()))
    with pytest.raises(VerificationError, match="that was signed"), verified_image(image, public(image_key())):
        pass


def test_the_copy_is_read_only(tmp_path: Path) -> None:
    with verified_image(make(tmp_path), public(image_key())) as found:
        assert stat.S_IMODE(found.path.stat().st_mode) == 0o400
        assert stat.S_IMODE(found.path.parent.stat().st_mode) == 0o700


def test_an_image_that_grows_while_it_is_read_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def growing(path: Path, what: str, limit: int) -> Iterator[int]:
        with open_named(path, what, limit) as found:
            path.write_bytes(bytes(limit + 1))
            yield found

    monkeypatch.setattr(enclave_image, "MAX_IMAGE", 100)
    monkeypatch.setattr(enclave_image, "open_named", growing)
    with (
        pytest.raises(VerificationError, match="has more than 100 bytes"),
        verified_image(make(tmp_path), public(image_key())),
    ):
        pass


def test_what_is_missing_is_told_before_the_image_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = make(tmp_path)
    (tmp_path / "image.eif.sbom.json").unlink()
    monkeypatch.setattr(enclave_image, "_copied", lambda *paths: pytest.fail("it was copied"))
    with pytest.raises(VerificationError, match=r"sbom\.json is missing"), verified_image(image, public(image_key())):
        pass


def test_no_room_for_the_copy_names_where_there_may_be_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = make(tmp_path, bytes(10_000))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
    try:
        with (
            pytest.raises(StorageError, match="TMPDIR names another folder"),
            verified_image(image, public(image_key())),
        ):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(StorageError, match="TMPDIR names another folder"), verified_image(image, public(image_key())):
        pass


def test_a_key_of_another_curve_signs_no_image(tmp_path: Path) -> None:
    key = ec.derive_private_key(1, ec.SECP384R1())
    with pytest.raises(VerificationError, match="another curve"), verified_image(make(tmp_path), public(key)):
        pass


def test_an_image_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the image"), verified_image(tmp_path / "none.eif", public(image_key())):
        pass


def test_no_byte_of_the_signed_files_can_change(tmp_path: Path) -> None:
    """Each byte of image and bundles flipped, one at a time: refused, or it means the same."""
    for name in ("image.eif", "image.eif.sig.json", "image.eif.sbom.json", "image.eif.spdx.json"):
        data = (DATA / name).read_bytes()
        folder = tmp_path / name
        shutil.copytree(DATA, folder)
        key = EcPublicKey.parse((DATA / "cosign.pub").read_bytes())
        step = max(1, len(data) // 150)
        for at in range(0, len(data), step):
            changed = bytearray(data)
            changed[at] ^= 1
            (folder / name).write_bytes(changed)
            try:
                with verified_image(folder / "image.eif", key):
                    accepted = True
            except ZkError:
                accepted = False
            if accepted:  # a hint isn't signed
                assert name.endswith((".sig.json", ".sbom.json"))
                hint = data.index(b'"hint":"') + len(b'"hint":"')
                assert hint <= at < data.index(b'"', hint)
