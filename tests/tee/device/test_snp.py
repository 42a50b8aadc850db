"""The SEV-SNP device: what can be tested without one. See tee/device/snp.py for what can't."""

import ctypes
import errno
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tee.snp.platforms import platform
from zk_autograd.core.attestation import Binding, Collateral
from zk_autograd.core.errors import RunError, UsageError
from zk_autograd.tee.device import document_of, open_device, sev_guest, snp
from zk_autograd.tee.device.configfs_tsm import ConfigfsTsm
from zk_autograd.tee.device.sev_guest import RESPONSE_BYTES, SevGuest, report_of
from zk_autograd.tee.device.snp import SnpDevice
from zk_autograd.tee.snp.table import table_certificates

GENOA = platform()
DATA = Binding(bytes(16), bytes(32), ("key",)).digest()
VCEK_GUID = bytes.fromhex("63da758de6644564adc5f4b93be8accd")
ASK_GUID = bytes.fromhex("4ab7b379bbac4fe4a02f05aef327c782")
ARK_GUID = bytes.fromhex("c0b406a4a80349529743" + "3fb6014cd0ae")


def table(*entries: tuple[bytes, bytes]) -> bytes:
    """As AMD 56421 has it."""
    head, body = b"", b""
    begin = 24 * (len(entries) + 1)
    for guid, data in entries:
        head += guid + (begin + len(body)).to_bytes(4, "little") + len(data).to_bytes(4, "little")
        body += data
    return head + bytes(24) + body


TABLE = table((VCEK_GUID, GENOA.leaf), (b"\x11" * 16, b"other"), (ASK_GUID, GENOA.ask), (ARK_GUID, GENOA.ark))


class Kernel:
    """Plays configfs-tsm below a folder: its files appear with a folder, and answer what was
    written when they are read. A file can't act, so the report is made when the folder is."""

    def __init__(self, root: Path) -> None:
        self.root, self.made, self.removed = root, 0, 0
        self.files: dict[str, bytes] = {
            "provider": b"sev_guest\n",
            "generation": b"0\n",
            "outblob": GENOA.report(report_data=DATA),
            "auxblob": TABLE,
            "inblob": b"",
        }
        self.written: list[bytes] = []

    def make(self, folder: Path) -> None:
        self.made += 1
        folder.mkdir()
        for name, data in self.files.items():
            (folder / name).write_bytes(data)

    def remove(self, folder: Path) -> None:
        self.removed += 1
        self.written.append((folder / "inblob").read_bytes())
        shutil.rmtree(folder)

    def source(self) -> ConfigfsTsm:
        return ConfigfsTsm(self.root, self.make, self.remove)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """Whose generation counts the writes to inblob."""
    from zk_autograd.tee.device import configfs_tsm

    write = configfs_tsm._write

    def counted(path: Path, data: bytes) -> None:
        write(path, data)
        count = path.parent / "generation"
        count.write_bytes(b"%d\n" % (int(count.read_bytes()) + 1))

    monkeypatch.setattr(configfs_tsm, "_write", counted)
    return Kernel(tmp_path)


def test_a_report_through_configfs(kernel: Kernel) -> None:
    device = SnpDevice(kernel.source())
    assert device.attest(DATA) == kernel.files["outblob"]
    assert kernel.written == [DATA]
    assert device.collateral() == Collateral((GENOA.leaf, GENOA.ask, GENOA.ark))
    assert (kernel.made, kernel.removed, list(kernel.root.iterdir())) == (1, 1, [])
    assert (device.kind, device.name) == ("snp", "AMD SEV-SNP")


def test_a_runs_document(kernel: Kernel) -> None:
    document = document_of(SnpDevice(kernel.source()), DATA, b"release", b"n" * 16)
    assert (document.kind, document.raw, document.nonce) == ("snp", kernel.files["outblob"], b"n" * 16)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("provider", b"tdx_guest\n", "another platform: 'tdx_guest'"),
        ("generation", b"1x", "no number"),
        ("generation", b"", "no number"),
        ("outblob", b"", "0 bytes"),
        ("outblob", GENOA.report(report_data=DATA) + b"\0", "1185 bytes"),
        ("outblob", bytes(1184), "answers with no report"),
        ("outblob", GENOA.report(), "about something else"),
        ("outblob", b"x" * (2**15 + 1), "larger than"),
        ("auxblob", b"x" * (2**15 + 1), "larger than"),
    ],
)
def test_another_answer_is_refused(kernel: Kernel, name: str, data: bytes, message: str) -> None:
    kernel.files[name] = data
    with pytest.raises(RunError, match=message):
        SnpDevice(kernel.source()).attest(DATA)
    assert kernel.removed == kernel.made == 1


def test_a_folder_that_someone_else_wrote_into_is_refused(tmp_path: Path) -> None:
    """Gain: a report about the other's data. Here the generation stays what it was."""
    with pytest.raises(RunError, match="someone else wrote"):
        SnpDevice(Kernel(tmp_path).source()).attest(DATA)


@pytest.mark.parametrize("missing", ["provider", "generation", "inblob", "outblob"])
def test_a_file_that_isnt_there_is_named(kernel: Kernel, missing: str) -> None:
    del kernel.files[missing]
    if missing == "inblob":  # it is read when the folder goes
        kernel.remove = shutil.rmtree  # type: ignore[assignment, method-assign]
    with pytest.raises(RunError, match="No such file"):
        SnpDevice(kernel.source()).attest(DATA)
    assert not list(kernel.root.iterdir())


def test_without_certificates(kernel: Kernel) -> None:
    del kernel.files["auxblob"]
    device = SnpDevice(kernel.source())
    assert device.attest(DATA) == kernel.files["outblob"]
    kernel.files["outblob"] = GENOA.report(report_data=bytes(64))
    assert device.collateral() == Collateral()


def test_a_kernel_without_a_driver(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="can't be made"):
        SnpDevice(ConfigfsTsm(tmp_path / "none")).attest(DATA)


def test_what_a_report_has_no_place_for(kernel: Kernel) -> None:
    device = SnpDevice(kernel.source())
    for data, key in ((DATA[:-1], b""), (DATA + b"\0", b""), (DATA, b"key")):
        with pytest.raises(UsageError):
            device.attest(data, public_key=key)
    assert kernel.made == 0


# ---- which way


def test_the_way_that_is_there_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snp, "CONFIGFS", tmp_path / "report")
    monkeypatch.setattr(snp, "SEV_GUEST", tmp_path / "sev-guest")
    with pytest.raises(RunError, match="no guest of SEV-SNP"):
        open_device("snp")
    (tmp_path / "sev-guest").touch()
    assert isinstance(snp.open_device("")._source, SevGuest)
    (tmp_path / "report").mkdir()
    assert isinstance(snp.open_device("")._source, ConfigfsTsm)
    with pytest.raises(UsageError, match="takes nothing"):
        open_device("snp:x")


# ---- /dev/sev-guest


class Driver:
    """Plays the driver: reads the caller's structures as C does, and writes an answer."""

    def __init__(self, *, extended: bool = True, busy: int = 0, status: int = 0) -> None:
        self.extended, self.busy, self.status = extended, busy, status
        self.asked: list[tuple[int, bytes]] = []

    def __call__(self, descriptor: int, number: int, message: object) -> int:
        assert isinstance(message, ctypes.Structure)
        raw = bytes(message)
        request, response = (int.from_bytes(raw[at : at + 8], "little") for at in (8, 16))
        data = ctypes.string_at(request, 96)
        self.asked.append((number, data))
        if self.busy:
            self.busy -= 1
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        if number == 0xC0205302:
            if not self.extended:
                raise OSError(errno.EIO, "Input/output error")
            place = ctypes.string_at(request + 96, 12)
            assert int.from_bytes(place[8:], "little") == 2**14
            ctypes.memmove(int.from_bytes(place[:8], "little"), TABLE, len(TABLE))
        else:
            assert number == 0xC0205300
        answer = self.status.to_bytes(4, "little") + (1184).to_bytes(4, "little") + bytes(24)
        answer += GENOA.report(report_data=data[:64])
        ctypes.memmove(response, answer, len(answer))
        return 0


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sev_guest, "_PAUSE", 0.0)


def device(path: Path, driver: Callable[[int, int, object], object]) -> SnpDevice:
    path.touch()
    return SnpDevice(SevGuest(path, driver))


@pytest.mark.parametrize("busy", [0, 7])
def test_a_report_through_the_device(tmp_path: Path, busy: int) -> None:
    driver = Driver(busy=busy)
    found = device(tmp_path / "sev-guest", driver)
    assert found.attest(DATA) == GENOA.report(report_data=DATA)
    assert set(driver.asked) == {(0xC0205302, DATA + bytes(32))}
    assert found.collateral() == Collateral((GENOA.leaf, GENOA.ask, GENOA.ark))


def test_a_host_that_gives_no_certificates(tmp_path: Path) -> None:
    driver = Driver(extended=False)
    found = device(tmp_path / "sev-guest", driver)
    assert found.attest(DATA) == GENOA.report(report_data=DATA)
    assert [number for number, _ in driver.asked] == [0xC0205302, 0xC0205300]
    assert found.collateral() == Collateral()


def test_a_device_that_gives_no_report(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="temporarily unavailable"):
        device(tmp_path / "a", Driver(busy=99)).attest(DATA)
    with pytest.raises(RunError, match="status 0x16"):
        device(tmp_path / "b", Driver(status=0x16)).attest(DATA)
    with pytest.raises(RunError, match="gives no report"):  # a file knows no ioctl
        SnpDevice(SevGuest(tmp_path / "a")).attest(DATA)
    with pytest.raises(RunError, match="can't be opened"):
        SnpDevice(SevGuest(tmp_path / "none")).attest(DATA)


@pytest.mark.parametrize("size", [0, 1183, 1185, 2**32 - 1])
def test_an_answer_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(RunError, match="gives no report"):
        report_of(bytes(4) + size.to_bytes(4, "little") + bytes(RESPONSE_BYTES - 8))


HEADER = Path("/usr/include/linux/sev-guest.h")
PROGRAM = r"""
#include <stdio.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <linux/sev-guest.h>
int main(void) {
    printf("%lu %lu %zu %zu %zu %zu %zu %zu %zu %zu %zu\n",
        (unsigned long)SNP_GET_REPORT, (unsigned long)SNP_GET_EXT_REPORT,
        sizeof(struct snp_guest_request_ioctl), offsetof(struct snp_guest_request_ioctl, req_data),
        offsetof(struct snp_guest_request_ioctl, resp_data), offsetof(struct snp_guest_request_ioctl, exitinfo2),
        sizeof(struct snp_report_req), sizeof(struct snp_ext_report_req),
        offsetof(struct snp_ext_report_req, certs_address), offsetof(struct snp_ext_report_req, certs_len),
        sizeof(struct snp_report_resp));
    return 0;
}
"""


def test_numbers_and_structures_are_the_kernels(tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None or not HEADER.exists():
        pytest.skip(f"no C compiler, or no {HEADER} (linux-libc-dev)")
    (tmp_path / "a.c").write_text(PROGRAM)
    subprocess.run([compiler, "-o", tmp_path / "a", tmp_path / "a.c"], check=True)
    found = subprocess.run([tmp_path / "a"], capture_output=True, text=True, check=True).stdout.split()
    request, extended = sev_guest._Request, sev_guest._ExtendedRequest
    ours = [
        sev_guest.SNP_GET_REPORT,
        sev_guest.SNP_GET_EXT_REPORT,
        ctypes.sizeof(request),
        request.req_data.offset,
        request.resp_data.offset,
        request.exitinfo2.offset,
        ctypes.sizeof(sev_guest._ReportRequest),
        ctypes.sizeof(extended),
        extended.certs_address.offset,
        extended.certs_len.offset,
        RESPONSE_BYTES,
    ]
    assert [int(number) for number in found] == ours


# ---- the host's table


def test_a_table_may_be_empty_or_padded() -> None:
    assert table_certificates(b"") == table_certificates(bytes(2**14)) == []
    assert table_certificates(TABLE + bytes(4000)) == [GENOA.leaf, GENOA.ask, GENOA.ark]


def test_a_table_may_hold_pem() -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    pem = x509.load_der_x509_certificate(GENOA.ask).public_bytes(Encoding.PEM)
    assert table_certificates(table((ASK_GUID, pem))) == [GENOA.ask]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x11" * 16 + bytes(4) + (24).to_bytes(4, "little"), "has no end"),
        (TABLE[:24], "outside"),
        (TABLE[: 24 * 4], "outside"),
        (TABLE[:-1], "outside"),
        (VCEK_GUID + bytes(8), "outside"),
        (VCEK_GUID + b"\xff" * 8 + bytes(24), "outside"),
        (VCEK_GUID, "outside"),
        (table((VCEK_GUID, b"junk")), "VCEK can't be read"),
        (table((VCEK_GUID, b"-----BEGIN JUNK")), "doesn't hold"),
        (table(*[(ASK_GUID, GENOA.ask)] * 17), "more than 16"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(RunError, match=message):
        table_certificates(data)
