"""Attestation reports of AMD SEV-SNP: the bytes, with nothing checked but their form.

Source: AMD 56860, "SEV Secure Nested Paging Firmware ABI", ATTESTATION_REPORT (7.3) and TCB_VERSION
(2.2), of which versions 2 to 5 are read. All have 1184 bytes, little-endian; ECDSA's r and s too.
Version 3 names the processor, version 5 the mitigations. Bytes that a version reserves are zero in
every report that is known, and have to be; so have the bits of the signer's field. Bits of POLICY
and PLATFORM_INFO that this module has no name for are kept, for `judge` to refuse.
"""

from dataclasses import dataclass

from zk_autograd.core.errors import AttestationError

REPORT_BYTES = 1184
SIGNED_BYTES = 0x2A0
VERSIONS = (2, 3, 4, 5)
MILAN, GENOA, TURIN = "milan", "genoa", "turin"
PRODUCTS = (MILAN, GENOA, TURIN)
VCEK, VLEK = "vcek", "vlek"
HOST = 0xFFFFFFFF
"""In place of a VMPL: not the guest but the host asked for the report."""

CHIP_BYTES = 64
TURIN_CHIP_BYTES = 8
"""Of a Turin's chip id, which stands at the beginning of the field."""

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973
"""Of P-384's group (FIPS 186-5, SP 800-186 section 3.2.1.4)."""

DEBUG = 1 << 19
MIGRATION = 1 << 18
_POLICY_ONE = 1 << 17
_ECDSA_P384_SHA384 = 1
_SIGNERS = {0: VCEK, 1: VLEK}
_NO_SIGNER = 7

POLICY_BITS = {
    "smt-allowed": 16,
    "migration-agent": 18,
    "debug": 19,
    "single-socket": 20,
    "cxl-allowed": 21,
    "aes-256-xts": 22,
    "rapl-must-be-off": 23,
    "ciphertext-hiding-demanded": 24,
    "page-swap-off": 25,
}
"""Bits of POLICY (4.3), which the guest's owner set. The lowest 16 are the least version of the
firmware's interface, and bit 17 is always one."""

PLATFORM_BITS = {
    "smt": 0,
    "tsme": 1,
    "ecc": 2,
    "rapl-off": 3,
    "ciphertext-hiding": 4,
    "alias-check": 5,
    "tio": 7,
}
"""Bits of PLATFORM_INFO: how the machine was when the report was made."""

_ZERO = {
    2: ((0x4C, 0x50), (0x188, 0x1A0), (0x1EB, 0x1EC), (0x1EF, 0x1F0), (0x1F8, 0x2A0)),
    3: ((0x4C, 0x50), (0x18B, 0x1A0), (0x1EB, 0x1EC), (0x1EF, 0x1F0), (0x1F8, 0x2A0)),
    4: ((0x4C, 0x50), (0x18B, 0x1A0), (0x1EB, 0x1EC), (0x1EF, 0x1F0), (0x1F8, 0x2A0)),
    5: ((0x4C, 0x50), (0x18B, 0x1A0), (0x1EB, 0x1EC), (0x1EF, 0x1F0), (0x208, 0x2A0)),
}
"""Reserved places by version, from and to; those of the signature have their own check."""


@dataclass(frozen=True, slots=True)
class Tcb:
    """The versions of what a platform must be trusted with, each 0 to 255. `fmc` is Turin's alone,
    None elsewhere."""

    bootloader: int
    tee: int
    snp: int
    microcode: int
    fmc: int | None = None

    @classmethod
    def parse(cls, raw: bytes, product: str) -> "Tcb":
        """Of 8 bytes (2.2), which a Turin orders in its own way: FMC, boot loader, TEE, SNP.
        AttestationError unless the others are zero."""
        turin = product == TURIN
        if any(raw[4:7] if turin else raw[2:6]):
            raise AttestationError(
                f"a TCB version of the report isn't one of {product}",
                expected="reserved bytes of zero",
                found=raw.hex(),
            )
        if turin:
            return cls(raw[1], raw[2], raw[3], raw[7], raw[0])
        return cls(raw[0], raw[1], raw[6], raw[7])

    def parts(self) -> dict[str, int]:
        """The versions by name; "fmc" where there is one."""
        found = {"bootloader": self.bootloader, "tee": self.tee, "snp": self.snp, "microcode": self.microcode}
        return found if self.fmc is None else {"fmc": self.fmc, **found}

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.parts().items())


@dataclass(frozen=True, slots=True)
class Report:
    """A report's fields, by AMD's names. Those that end in _tcb are raw: their order depends on the
    product (`Tcb.parse`). `product` is None in version 2, which doesn't say it. `signed` are the
    bytes under the signature `r`, `s`."""

    version: int
    guest_svn: int
    policy: int
    family_id: bytes
    image_id: bytes
    vmpl: int
    signer: str
    mask_chip_key: bool
    author_key_en: bool
    current_tcb: bytes
    platform_info: int
    report_data: bytes
    measurement: bytes
    host_data: bytes
    id_key_digest: bytes
    author_key_digest: bytes
    report_id: bytes
    report_id_ma: bytes
    reported_tcb: bytes
    processor: tuple[int, int, int] | None
    product: str | None
    chip_id: bytes
    committed_tcb: bytes
    current_version: tuple[int, int, int]
    committed_version: tuple[int, int, int]
    launch_tcb: bytes
    launch_mitigations: int
    current_mitigations: int
    r: int
    s: int
    signed: bytes

    @classmethod
    def parse(cls, data: bytes) -> "Report":
        """The report that `data` is, all of it. AttestationError."""
        if len(data) != REPORT_BYTES:
            raise AttestationError(
                "the report has another length", expected=f"{REPORT_BYTES} bytes", found=str(len(data))
            )
        version = _number(data, 0x00, 4)
        if version not in VERSIONS:
            raise AttestationError(
                "the report is of an unknown version", expected=f"{VERSIONS[0]} to {VERSIONS[-1]}", found=str(version)
            )
        for start, end in _ZERO[version]:
            _require_zero(data, start, end)
        signer, masked, authored = _signer(_number(data, 0x48, 4))
        r, s = _signature(data)
        processor = (data[0x188], data[0x189], data[0x18A]) if version > 2 else None
        report = cls(
            version=version,
            guest_svn=_number(data, 0x04, 4),
            policy=_number(data, 0x08, 8),
            family_id=data[0x10:0x20],
            image_id=data[0x20:0x30],
            vmpl=_number(data, 0x30, 4),
            signer=signer,
            mask_chip_key=masked,
            author_key_en=authored,
            current_tcb=data[0x38:0x40],
            platform_info=_number(data, 0x40, 8),
            report_data=data[0x50:0x90],
            measurement=data[0x90:0xC0],
            host_data=data[0xC0:0xE0],
            id_key_digest=data[0xE0:0x110],
            author_key_digest=data[0x110:0x140],
            report_id=data[0x140:0x160],
            report_id_ma=data[0x160:0x180],
            reported_tcb=data[0x180:0x188],
            processor=processor,
            product=product_of(*processor) if processor else None,
            chip_id=data[0x1A0:0x1E0],
            committed_tcb=data[0x1E0:0x1E8],
            current_version=_version(data, 0x1E8),
            committed_version=_version(data, 0x1EC),
            launch_tcb=data[0x1F0:0x1F8],
            launch_mitigations=_number(data, 0x1F8, 8),
            current_mitigations=_number(data, 0x200, 8),
            r=r,
            s=s,
            signed=data[:SIGNED_BYTES],
        )
        report._require_sense()
        return report

    def _require_sense(self) -> None:
        if not self.policy & _POLICY_ONE:
            raise AttestationError("bit 17 of the report's guest policy is zero, and no guest starts under such a one")
        if self.vmpl > 3 and self.vmpl != HOST:
            raise AttestationError("the report has no such VMPL", expected="0 to 3", found=str(self.vmpl))
        if any(self.author_key_digest) and not self.author_key_en:
            raise AttestationError("the report has an author's key, and says that there is none")
        if self.mask_chip_key and self.signer == VCEK:
            raise AttestationError("the report says both that its chip's key signed it and that this key is masked")

    def flags(self) -> frozenset[str]:
        """Names of the bits of POLICY_BITS and PLATFORM_BITS that are set."""
        policy = {name for name, bit in POLICY_BITS.items() if self.policy >> bit & 1}
        return frozenset(policy | {name for name, bit in PLATFORM_BITS.items() if self.platform_info >> bit & 1})

    def unknown_bits(self) -> tuple[int, int]:
        """What is set of POLICY and of PLATFORM_INFO that has no name here."""
        named = 0xFFFF | _POLICY_ONE | sum(1 << bit for bit in POLICY_BITS.values())
        return self.policy & ~named, self.platform_info & ~sum(1 << bit for bit in PLATFORM_BITS.values())


def product_of(family: int, model: int, stepping: int) -> str:
    """The product line of a processor by its combined family and model, as CPUID says them (AMD
    57230, "Determining the Product Name"). AttestationError for one that isn't known."""
    if family == 0x19 and model <= 0x0F:
        return MILAN
    if family == 0x19 and (0x10 <= model <= 0x1F or 0xA0 <= model <= 0xAF):
        return GENOA  # 0xA0..: Bergamo and Siena, under the same root
    if family == 0x1A and model <= 0x11:
        return TURIN
    raise AttestationError(
        "the report is of a processor of no known product line",
        expected=", ".join(PRODUCTS),
        found=f"family {family:#x}, model {model:#x}, stepping {stepping}",
    )


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")


def _version(data: bytes, at: int) -> tuple[int, int, int]:
    """Major, minor, build, which stand the other way round."""
    return data[at + 2], data[at + 1], data[at]


def _require_zero(data: bytes, start: int, end: int) -> None:
    if any(data[start:end]):
        raise AttestationError(f"reserved bytes of the report, from {start:#x} to {end:#x}, are not zero")


def _signer(field: int) -> tuple[str, bool, bool]:
    """Who signed, MASK_CHIP_KEY, AUTHOR_KEY_EN."""
    kind = field >> 2 & 7
    if kind == _NO_SIGNER:
        raise AttestationError("the report says that nobody signed it")
    if kind not in _SIGNERS or field >> 5:
        raise AttestationError("the report has an unknown signer", expected="VCEK or VLEK", found=f"{field:#x}")
    return _SIGNERS[kind], bool(field & 2), bool(field & 1)


def _signature(data: bytes) -> tuple[int, int]:
    """r and s, each 72 bytes of which P-384 fills 48."""
    algorithm = _number(data, 0x34, 4)
    if algorithm != _ECDSA_P384_SHA384:
        raise AttestationError(
            "the report is signed with an unknown algorithm",
            expected="1, ECDSA P-384 with SHA-384",
            found=str(algorithm),
        )
    _require_zero(data, SIGNED_BYTES + 144, REPORT_BYTES)
    r, s = _number(data, SIGNED_BYTES, 72), _number(data, SIGNED_BYTES + 72, 72)
    if not (0 < r < ORDER and 0 < s < ORDER):
        raise AttestationError(
            "the report's signature is none of P-384: r and s are from 1 to the group's order less 1"
        )
    return r, s
