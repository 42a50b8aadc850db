"""What a host starts: an image that a policy allows, measured as AWS's tools measure it, and the
very bytes that were looked at."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.enclave import images
from tests.tee.eif.golden import golden, packed, parts, registers
from zk_autograd.core.ec_keys import EcPublicKey
from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.enclave import launching
from zk_autograd.enclave.image import SignedImage, verified_image
from zk_autograd.enclave.launching import checked_image
from zk_autograd.tee.eif import Kind

pytest.importorskip("cbor2", reason="attestation documents need the [tee] extra")


def key_file(folder: Path, key: ec.EllipticCurvePrivateKey | None = None) -> Path:
    path = folder / "images.pub"
    path.write_bytes(images.public(key or images.image_key()).pem)
    return path


def policy(folder: Path, allowed: dict[str, str]) -> Path:
    members = ", ".join(f'{name} = "{value}"' for name, value in allowed.items())
    path = folder / "policy.toml"
    path.write_text(
        'format = "zk-autograd/policy/v1"\nrequire = ["L1", "L2"]\n\n[attestation.nitro]\n'
        f"measurements = [{{ {members} }}]\n"
    )
    return path


def test_an_allowed_image_is_taken(tmp_path: Path) -> None:
    image, allowed = images.make(tmp_path, golden("unsigned")), policy(tmp_path, registers("unsigned"))
    with checked_image(image, key_file(tmp_path), allowed) as checked:
        assert checked.measurement == registers("unsigned")
        assert str(allowed) in checked.judged
    with checked_image(image, key_file(tmp_path)) as checked:
        assert "no policy was given" in checked.judged


@pytest.mark.parametrize("same", ["pcr0", "pcr1", "pcr2"])
def test_an_image_that_shares_a_register_with_the_policy_is_another(same: str, tmp_path: Path) -> None:
    """All images with one ramdisk have one PCR2: it alone would let each of them in."""
    wrong = {name: value if name == same else "ab" * 48 for name, value in registers("unsigned").items()}
    image = images.make(tmp_path, golden("unsigned"))
    with (
        pytest.raises(VerificationError, match="its measurement is none that"),
        checked_image(image, key_file(tmp_path), policy(tmp_path, wrong)),
    ):
        pass


def test_what_is_measured_is_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever exchanges the image once its signature was looked at changes nothing."""

    @contextmanager
    def exchanged(image: Path, key: EcPublicKey) -> Iterator[SignedImage]:
        with verified_image(image, key) as found:
            image.write_bytes(golden("one"))
            yield found

    monkeypatch.setattr(launching, "verified_image", exchanged)
    with checked_image(images.make(tmp_path, golden("unsigned")), key_file(tmp_path)) as checked:
        assert checked.measurement == registers("unsigned") != registers("one")
        assert checked.image.path.read_bytes() == golden("unsigned")


def test_an_order_that_aws_measures_otherwise_is_not_started(tmp_path: Path) -> None:
    """It would be compared with the policy under one measurement, and attest another."""
    kernel, cmdline, *others = parts("one")
    assert (kernel[0], cmdline[0]) == (Kind.KERNEL, Kind.CMDLINE)
    image = images.make(tmp_path, packed([cmdline, kernel, *others]))
    with (
        pytest.raises(VerificationError, match="in another order"),
        checked_image(image, key_file(tmp_path), policy(tmp_path, registers("one"))),
    ):
        pass


def test_a_key_of_another_curve_is_named_before_anything_is_copied(tmp_path: Path) -> None:
    path = key_file(tmp_path, ec.derive_private_key(1, ec.SECP384R1()))
    with pytest.raises(UsageError, match="no public key of ECDSA with P-256"), checked_image(tmp_path / "none", path):
        pass
