"""Attack: put another bill of materials beside a signed image.

Gain: a library with a known hole, or one that nobody licensed, that the bill doesn't name; or an
older image, with holes, that passes under the newer one's bill.

Why it fails: the bill is in a statement that the pinned key signed, and that names the image by its
SHA-256; what lies beside the image has to be equal to it (enclave.image).
"""

from collections.abc import Callable
from pathlib import Path

from attacks.tools.enclaves import Attempt, outcome, said
from attacks.tools.outcome import Outcome
from tests.enclave.images import BILL, attested, image_key, make, public, signature, write_json
from zk_autograd.core.errors import VerificationError
from zk_autograd.enclave.image import verified_image

GAIN = "an image with parts that its bill of materials doesn't name"
CLEAN = {**BILL, "packages": [{"name": "python3.13"}]}


def _checked(folder: Path, change: Callable[[Path, bytes], None]) -> str:
    """What a launcher says after the host changed something beside the image."""
    path = make(folder)
    change(folder, path.read_bytes())

    def check() -> None:
        with verified_image(path, public(image_key())):
            pass

    return said(check, VerificationError)


def the_bill(folder: Path) -> str:
    """The file that people read."""
    return _checked(folder, lambda here, _: write_json(here / "image.eif.spdx.json", CLEAN))


def both_under_another_key(folder: Path) -> str:
    """And the signed statement, under the host's key."""

    def change(here: Path, image: bytes) -> None:
        write_json(here / "image.eif.spdx.json", CLEAN)
        write_json(here / "image.eif.sbom.json", attested(image, CLEAN, image_key(2)))

    return _checked(folder, change)


def of_another_image(folder: Path) -> str:
    """A newer image's bill, truly signed."""

    def change(here: Path, image: bytes) -> None:
        write_json(here / "image.eif.spdx.json", CLEAN)
        write_json(here / "image.eif.sbom.json", attested(b"a newer image", CLEAN, image_key()))

    return _checked(folder, change)


def the_image(folder: Path) -> str:
    """The image is exchanged, and its signature is the host's; the bill stays."""

    def change(here: Path, _: bytes) -> None:
        (here / "image.eif").write_bytes(b"an older image")
        write_json(here / "image.eif.sig.json", signature(b"an older image", image_key(2)))

    return _checked(folder, change)


ATTEMPTS = (
    Attempt("the bill", "is not the bill of materials that was signed", the_bill),
    Attempt("both, under another key", "is not signed by the pinned key", both_under_another_key),
    Attempt("of another image", "is about another image", of_another_image),
    Attempt("the image", "is not signed by the pinned key", the_image),
)


def run() -> Outcome:
    """All attempts."""
    return outcome("a bill of materials exchanged", "the launcher", GAIN, ATTEMPTS)
