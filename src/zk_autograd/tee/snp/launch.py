"""The launch digest of an SEV-SNP guest, computed from what it is started with: what a report calls
its measurement, and an auditor allows.

The library is sev-snp-measure (Apache-2.0): it does what the processor does with the pages that
QEMU, or a cloud, loads before the first instruction (AMD 56860, 8.17): firmware, the hashes of
kernel, initrd and command line, and the first state of each virtual CPU. So the digest is that of
one firmware file, one kernel, and one number and type of CPUs.

What tests show: the library's own published digests come out, for the last 4 kB of an OVMF whose
hash is known as a whole. No real report was compared, for of none are all inputs public.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zk_autograd.core.errors import UnreadableError, UsageError
from zk_autograd.core.text import listed, quoted

DIGEST_BYTES = 48
MAX_CPUS = 1024
MAX_FIRMWARE = 2**26
"""Bytes of a firmware file. OVMF has 4 MiB."""

MAX_IMAGE = 2**32
QEMU, EC2, GCE = "QEMU", "ec2", "gce"
_EXTRA = "the package sev-snp-measure is missing, which computes launch digests: pip install 'zk-autograd[sev-snp]'"


def cpu_types() -> Sequence[str]:
    """QEMU's names of processors that there are digests for. UsageError without [sev-snp]."""
    names: Sequence[str] = sorted(_library()[1])
    return names


def launch_digest(
    firmware: Path,
    *,
    cpus: int,
    cpu_type: str = "EPYC-v4",
    kernel: Path | None = None,
    initrd: Path | None = None,
    command_line: str = "",
    features: int = 1,
    monitor: str = QEMU,
    firmware_hash: bytes = b"",
) -> bytes:
    """48 bytes. `firmware`: an OVMF file; `kernel` and `initrd` with `command_line` if QEMU starts
    them directly (kernel-hashes=on); `features`: the guest's SEV_FEATURES, 1 for SNP alone;
    `monitor`: QEMU, EC2 or GCE; `firmware_hash`: the digest after the firmware's pages, instead of
    computing it from the whole file, of which then only the end is read.

    UsageError for arguments that no guest can be started with; UnreadableError for a file that
    can't be read.
    """
    guest, types, modes, monitors = _library()
    if not 1 <= cpus <= MAX_CPUS:
        raise UsageError(f"a guest has 1 to {MAX_CPUS} CPUs, not {cpus}")
    if cpu_type not in types:
        raise UsageError(f"{quoted(cpu_type)} is no type of CPU: {listed(sorted(types), 20)}")
    if monitor not in (QEMU, EC2, GCE):
        raise UsageError(f"{quoted(monitor)} is no monitor: {QEMU}, {EC2} or {GCE}")
    if kernel is None and (initrd is not None or command_line):
        raise UsageError("an initrd and a command line are measured with a kernel only")
    if not 0 <= features < 2**64:
        raise UsageError(f"SEV_FEATURES has 64 bits: {features}")
    if firmware_hash and len(firmware_hash) != DIGEST_BYTES:
        raise UsageError(f"the firmware's hash has {len(firmware_hash)} bytes, not {DIGEST_BYTES}")
    _require_files(firmware, kernel, initrd)
    try:
        digest = guest.calc_launch_digest(
            modes.SEV_SNP,
            cpus,
            types[cpu_type],
            str(firmware),
            str(kernel or ""),
            str(initrd or ("/dev/null" if kernel else "")),
            command_line,
            features,
            firmware_hash.hex(),
            monitors[monitor],
        )
    except Exception as error:  # of many kinds: the file is no OVMF, or has no place for a kernel's hashes
        raise UsageError(f"no launch digest for {firmware.name}: {quoted(str(error), 120)}") from error
    assert isinstance(digest, bytes) and len(digest) == DIGEST_BYTES
    return digest


def _library() -> tuple[Any, Any, Any, Any]:
    """Its module, CPU signatures by name, modes and monitors."""
    try:
        from sevsnpmeasure import guest
        from sevsnpmeasure.sev_mode import SevMode
        from sevsnpmeasure.vcpu_types import CPU_SIGS
        from sevsnpmeasure.vmm_types import VMMType
    except ImportError as error:
        raise UsageError(_EXTRA) from error
    return guest, CPU_SIGS, SevMode, VMMType


def _require_files(firmware: Path, kernel: Path | None, initrd: Path | None) -> None:
    """The library reads whole files into memory."""
    for path, most in ((firmware, MAX_FIRMWARE), (kernel, MAX_IMAGE), (initrd, MAX_IMAGE)):
        if path is None:
            continue
        try:
            size = path.stat().st_size
        except OSError as error:
            raise UnreadableError(f"{quoted(str(path), 200)} can't be read: {error.strerror}") from error
        if not path.is_file() and str(path) != "/dev/null":
            raise UsageError(f"{quoted(str(path), 200)} is no file")
        if size > most:
            raise UsageError(f"{quoted(str(path), 200)} is too large: {size} bytes, and at most {most} are read")
