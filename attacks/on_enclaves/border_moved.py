"""Attack: move the border between an image's kernel and its command line, or between the line and
the first ramdisk. PCR0 is a hash of them strung together, so it stays.

Gain: an enclave with the measurement that the auditor trusts, whose program is begun with other
arguments: what follows on the line is handed to the first program.

Why it fails: it doesn't, as far as the measurement goes, and an auditor can't tell. What it gains
is nothing, since nothing that is attested hangs on the line: it can name another relay, which is
the host's anyway, or another device, whose root is no policy's (step 8). A launcher that checks an
image before it starts it refuses the moved one, too: the signature is over the file.
"""

from datetime import UTC, datetime
from pathlib import Path

from attacks.tools.enclaves import Attempt, outcome, said, shown
from attacks.tools.outcome import Outcome
from tests.enclave.hosting import measurements
from tests.enclave.images import image_key, make, public
from tests.tee.eif.golden import golden, opened, packed, parts
from tests.verify.attested_runs import PCRS, PRODUCTION, enclave_run
from zk_autograd.core.errors import VerificationError
from zk_autograd.enclave.image import verified_image
from zk_autograd.tee.device import open_device
from zk_autograd.tee.eif import Kind, measure

GAIN = "an enclave of the trusted measurement, begun with other arguments"


def moved(size: int = 14) -> bytes:
    """The golden image, with the line's first characters at the kernel's end."""
    (_, kernel), (_, line), *others = parts("unsigned")
    return packed([(Kind.KERNEL, kernel + line[:size]), (Kind.CMDLINE, line[size:]), *others])


def _started(folder: Path, image: bytes) -> str:
    """What a launcher says to this image beside the signature and bill of the golden one."""
    path = make(folder, golden("unsigned"))
    path.write_bytes(image)

    def start() -> None:
        with verified_image(path, public(image_key())) as found:
            assert measure(opened(found.path.read_bytes())) == measure(opened(golden("unsigned")))

    return said(start, VerificationError)


def the_lines_beginning(folder: Path) -> str:
    """Before a launcher that checks what it starts."""
    return _started(folder, moved())


def the_kernels_end(folder: Path) -> str:
    """The other way: the kernel's last bytes become the line's first."""
    (_, kernel), (_, line), *others = parts("unsigned")
    return _started(folder, packed([(Kind.KERNEL, kernel[:-3]), (Kind.CMDLINE, kernel[-3:] + line), *others]))


def another_device(folder: Path) -> str:
    """The most that a line could say to the program inside: to attest by an emulated device, with
    the measurement of the image that it is."""
    by = open_device(f"emulated:{measurements(folder / 'measured.json', PCRS)}")
    made = enclave_run(by=by)
    made.stamps = {2: datetime.now(UTC)}
    return shown(made, folder, attestation=PRODUCTION)


ATTEMPTS = (
    Attempt("the line's beginning", "is not the image that was signed", the_lines_beginning),
    Attempt("the kernel's end", "is not the image that was signed", the_kernels_end),
    Attempt("another device", "comes from the emulated device", another_device),
)


def run() -> Outcome:
    """All attempts."""
    return outcome("a border moved in an image", "the launcher; step 8, Attestation", GAIN, ATTEMPTS)
