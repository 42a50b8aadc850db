"""Launch digests: those that the library's authors published, and refusals."""

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tee.snp.platforms import DATA
from zk_autograd.core.errors import UnreadableError, UsageError
from zk_autograd.tee.snp.launch import EC2, GCE, cpu_types, launch_digest

pytest.importorskip("sevsnpmeasure", reason="the package sev-snp-measure of [sev-snp] isn't installed")

OVMF = DATA / "ovmf_AmdSev_suffix.bin"
NOTHING = Path("/dev/null")
WHOLE = bytes.fromhex(
    "086e2e9149ebf45abdc3445fba5b2da8270bdbb04094d7a2c37faaa4b24af3aa16aff8c374c2a55c467a50da6d466b74"
)
"""The digest after the pages of the suffix alone, as sev-snp-measure's tests have it."""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"features": 0x21, "firmware_hash": WHOLE},
            "329c8ce0972ae52343b64d34a434a86f245dfd74f5ed7aae15d22efc78fb9683632b9b50e4e1d7fa41179ef98a7ef198",
        ),
        (
            {"firmware_hash": WHOLE},
            "ddc5224521617a536ee7ce9dd6224d1b58a8d4fda1c741f3ac99fc4bfa04ba6e9fc98646d4a07a9079397fa3852819b5",
        ),
        (
            {"features": 0x21, "command_line": "console=ttyS0 loglevel=7"},
            "803f691094946e42068aaa3a8f9e26a5c89f36f7b73ecfb28c653360fe4b3aba7e534442e7e1e17895dfe778d0228977",
        ),
        (
            {"command_line": "console=ttyS0 loglevel=7"},
            "6d287813eb5222d770f75005c664e34c204f385ce832cc2ce7d0d6f354454362f390ef83a92046c042e706363b4b08fa",
        ),
        (
            {"features": 0x21, "monitor": EC2},
            "0ce9ccc06bab55eebe8abc234f3df6514883977a68a591b71052498ab52b2f1aa415db338033946ef93aa8278c0d67fb",
        ),
        (
            {"monitor": GCE},
            "5da7106cf14cf46b1725ebab123eb9e53bd46a1e9f400cd0c08e7827b04b688ea8b4e403c8404efed4397ea5d5d0722e",
        ),
    ],
)
def test_published_digests(given: dict[str, Any], expected: str) -> None:
    assert launch_digest(OVMF, cpus=1, kernel=NOTHING, initrd=NOTHING, **given).hex() == expected


def test_everything_that_is_started_counts(tmp_path: Path) -> None:
    """Gain: another kernel, initrd, command line, firmware or CPU under an allowed digest."""
    kernel, initrd, other = tmp_path / "kernel", tmp_path / "initrd", tmp_path / "ovmf"
    kernel.write_bytes(b"kernel")
    initrd.write_bytes(b"initrd")
    other.write_bytes(b"\1" + OVMF.read_bytes()[1:])
    base: dict[str, Any] = {"cpus": 1, "kernel": kernel, "initrd": initrd, "command_line": "a"}
    variants: list[tuple[Path, dict[str, Any]]] = [
        (OVMF, base),
        (OVMF, {**base, "kernel": initrd}),
        (OVMF, {**base, "initrd": kernel}),
        (OVMF, {**base, "initrd": None}),
        (OVMF, {**base, "command_line": "b"}),
        (OVMF, {**base, "cpus": 2}),
        (OVMF, {**base, "cpu_type": "EPYC-Genoa"}),
        (OVMF, {**base, "features": 3}),
        (OVMF, {"cpus": 1}),
        (other, base),
    ]
    found = [launch_digest(firmware, **given) for firmware, given in variants]
    assert len(set(found)) == len(found) and all(len(one) == 48 for one in found)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cpus": 0}, "1 to 1024 CPUs"),
        ({"cpus": 1025}, "1 to 1024 CPUs"),
        ({"cpus": 1, "cpu_type": "Xeon"}, "no type of CPU"),
        ({"cpus": 1, "monitor": "kvm"}, "no monitor"),
        ({"cpus": 1, "command_line": "x"}, "with a kernel only"),
        ({"cpus": 1, "initrd": NOTHING}, "with a kernel only"),
        ({"cpus": 1, "firmware_hash": b"x"}, "hash has 1 bytes"),
        ({"cpus": 1, "features": -1}, "64 bits"),
        ({"cpus": 1, "features": 2**64}, "64 bits"),
    ],
)
def test_what_no_guest_is_started_with_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        launch_digest(OVMF, **given)


def test_files(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="can't be read"):
        launch_digest(tmp_path / "none", cpus=1)
    with pytest.raises(UsageError, match="is no file"):
        launch_digest(tmp_path, cpus=1)
    for junk in (b"", b"x" * 5000, OVMF.read_bytes()[:-100]):
        (tmp_path / "junk").write_bytes(junk)
        with pytest.raises(UsageError, match="no launch digest for junk"):
            launch_digest(tmp_path / "junk", cpus=1)
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2**26 + 1)
    with pytest.raises(UsageError, match="too large"):
        launch_digest(tmp_path / "large", cpus=1)


def test_types_of_cpus() -> None:
    assert {"EPYC-Milan", "EPYC-Genoa", "EPYC-Turin"} <= set(cpu_types())


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sevsnpmeasure", None)
    with pytest.raises(UsageError, match=r"zk-autograd\[sev-snp\]"):
        launch_digest(OVMF, cpus=1)
