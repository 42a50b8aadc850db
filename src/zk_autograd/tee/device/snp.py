"""A guest of AMD SEV-SNP asks the processor for reports: through configfs-tsm where the kernel has
it (6.7 and later), else through /dev/sev-guest.

Nothing of this was run on SEV-SNP hardware. Tests run the order of reads and writes of configfs-tsm
in a tree of files that plays the kernel, compare the numbers and structures of /dev/sev-guest with
the kernel's header in a C program, and read answers and tables of the documented form. They show
nothing of what a kernel or a cloud does beyond that; whether OCI's confidential VMs answer at all
isn't known (docs/limitations.md).
"""

from collections.abc import Callable
from pathlib import Path

from zk_autograd.core.attestation import DIGEST_BYTES, Collateral
from zk_autograd.core.errors import AttestationError, RunError, UsageError
from zk_autograd.tee.device.configfs_tsm import ConfigfsTsm
from zk_autograd.tee.device.sev_guest import SevGuest
from zk_autograd.tee.snp.abi import Report
from zk_autograd.tee.snp.table import table_certificates

CONFIGFS = Path("/sys/kernel/config/tsm/report")
SEV_GUEST = Path("/dev/sev-guest")

Source = Callable[[bytes], tuple[bytes, bytes]]
"""From 64 bytes to a report that has them in REPORT_DATA, and a table of certificates. RunError."""


class SnpDevice:
    """See tee.device.Device. The form of a report has no place for `nonce` and `public_key`."""

    kind = "snp"
    name = "AMD SEV-SNP"

    def __init__(self, source: Source) -> None:
        self._source = source
        self._table = b""

    def attest(self, data: bytes, *, nonce: bytes = b"", public_key: bytes = b"") -> bytes:
        """See tee.device.Device. A nonce is bound through `data`, of which it is a part."""
        if len(data) != DIGEST_BYTES:
            raise UsageError(f"a report is about {DIGEST_BYTES} bytes, not {len(data)}")
        if public_key:
            raise UsageError("an SEV-SNP report has no place for a public key: bind its hash")
        report, self._table = self._source(data)
        try:
            about = Report.parse(report).report_data
        except AttestationError as error:
            raise RunError(f"the SEV-SNP device answers with no report: {error.message}") from error
        if about != data:
            raise RunError("the SEV-SNP device answers with a report about something else")
        return report

    def collateral(self) -> Collateral:
        """The certificates that the host laid beside the last report, or beside one that is asked
        for now. Most hosts give some and not all."""
        if not self._table:
            self.attest(bytes(DIGEST_BYTES))
        return Collateral(tuple(table_certificates(self._table)))


def open_device(spec: str) -> SnpDevice:
    """See tee.device.open_device. UsageError unless `spec` is empty; RunError if neither way is
    there."""
    if spec:
        raise UsageError(f"the device snp takes nothing after its name: {spec[:60]!r}")
    if CONFIGFS.is_dir():
        return SnpDevice(ConfigfsTsm(CONFIGFS))
    if SEV_GUEST.exists():
        return SnpDevice(SevGuest(SEV_GUEST))
    raise RunError(
        f"this is no guest of SEV-SNP, or its kernel has no driver: there is neither {CONFIGFS} (modprobe sev-guest, "
        f"mount -t configfs none /sys/kernel/config) nor {SEV_GUEST}"
    )
