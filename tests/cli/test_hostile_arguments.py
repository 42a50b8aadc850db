"""Arguments that a stranger handed to an auditor, or to a trainer: keys, digests and files that are
none."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from tests.verify.hostile import FAILED, IN_ITS_PLACE, LESS, SHOWN, USAGE, huge, said, soon, within
from tests.verify.run_builder import KEY, QUANTUM, SECOND, SIGNER, honest
from zk_autograd.core.bounded_toml import MAX_BYTES
from zk_autograd.core.errors import UsageError
from zk_autograd.core.text import encode_base64
from zk_autograd.local import csv_file
from zk_autograd.local.csv_name import CsvFile
from zk_autograd.train.config import from_toml, read
from zk_autograd.train.settings import Settings

VKEY = KEY.encode()
PQ = QUANTUM.public_key
P = 2**255 - 19


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZK_AUTOGRAD_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return honest("none").write(tmp_path / "run")


# ---- keys


def vkey(material: bytes, name: str = "trainer", key_id: str = "") -> str:
    """The text of a key whose ID is right, whatever its material is."""
    own = sha256(f"{name}\n".encode() + material).digest()[:4].hex()
    return f"{name}+{key_id or own}+{encode_base64(material)}"


RAW = KEY.raw
EIGHTH = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
"""The y of a point of order 8."""

KEYS: dict[str, str] = {
    "of another algorithm": vkey(b"\4" + RAW),
    "of ML-DSA-44, for which anybody signs": vkey(b"\6" + bytes(1312)),
    "of ML-DSA-44, as long as one of Ed25519": vkey(b"\6" + RAW),
    "of ML-DSA-44, a byte short": vkey(b"\6" + PQ.raw[:-1]),
    "of Ed25519, as long as one of ML-DSA-44": vkey(b"\1" + PQ.raw),
    "and another on its line": f"{VKEY} {PQ.encode()}",
    "and a comment": f"{VKEY}\n# the trainer's",
    "of algorithm 0": vkey(b"\0" + RAW),
    "of algorithm 255": vkey(b"\xff" + RAW),
    "of no algorithm": vkey(b""),
    "of no bytes": vkey(b"\1"),
    "of 31 bytes": vkey(b"\1" + RAW[:-1]),
    "of 33 bytes": vkey(b"\1" + RAW + b"\0"),
    **{
        f"of small order, {index}": vkey(b"\1" + (y | sign << 255).to_bytes(32, "little"))
        for index, (y, sign) in enumerate(
            [(y, sign) for y in (0, 1, P - 1, EIGHTH, P - EIGHTH, P, P + 1) for sign in (0, 1)]
        )
    },
    "not reduced": vkey(b"\1" + b"\xff" * 32),
    "with a wrong ID": vkey(b"\1" + RAW, key_id="00000000"),
    "with an ID in capitals": VKEY.replace(KEY.key_id.hex(), KEY.key_id.hex().upper()),
    "with a short ID": VKEY.replace(KEY.key_id.hex(), KEY.key_id.hex()[:-1]),
    "with another name": VKEY.replace("trainer", "Trainer"),
    "with a blank in its name": vkey(b"\1" + RAW, "train er"),
    "with a blank in its base64": VKEY[:-8] + " " + VKEY[-8:],
    "with a blank after it": VKEY + " ",
    "with a newline after it": VKEY + "\n",
    "without padding": vkey(b"\1" + RAW + b"\0").rstrip("="),
    "in base64 for addresses": VKEY.replace("/", "_").replace("+A", "-A"),
    "with a plus more": VKEY + "+",
    "without an ID": VKEY.replace(KEY.key_id.hex() + "+", ""),
    "empty": "",
    "of pluses": "++",
    "of 255 characters": "x" * 255,
    "of 300 characters": "x" * 300,
    "of a megabyte": "x+00000000+" + "A" * 10**5,
    "written from the right": "\u202e" + VKEY,
    "that is a folder": "/",
    "that is a device": "/dev/zero",
    "that is a secret": SIGNER.seed.hex(),
}


@pytest.mark.parametrize("name", KEYS)
def test_a_key_that_is_none_is_wrong_usage(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """As an argument and in a file; beside a good key it isn't left out."""
    text = KEYS[name]
    for flags in (("--key", text), ("--key", VKEY, "--key", text)):
        status, _ = said(capsys, run, *flags, "--require", "L0")
        # White space around a key, as a copy has it, may be taken for none: the key is the same.
        assert status == USAGE or (status == SHOWN and text.strip() == VKEY and len(flags) == 2)
    if text.strip() != VKEY:  # a file may have white space around its key
        (tmp_path / "key.pub").write_text(text + "\n", encoding="utf-8")
        assert said(capsys, run, "--key", str(tmp_path / "key.pub"), "--require", "L0")[0] == USAGE


FILES: dict[str, Callable[[Path], object]] = {
    **{name: make for name, make in IN_ITS_PLACE.items() if name not in ("a link",)},
    "nothing in it": lambda path: path.write_bytes(b""),
    "two lines": lambda path: path.write_text(f"{VKEY}\n{VKEY}\n"),
    "two keys on a line": lambda path: path.write_text(f"{VKEY} {VKEY}\n"),
    "a line before it": lambda path: path.write_text(f"key\n{VKEY}\n"),
    "a byte order mark": lambda path: path.write_text(f"\ufeff{VKEY}\n"),
    "no UTF-8": lambda path: path.write_bytes(VKEY.encode() + b"\xff\n"),
    "UTF-16": lambda path: path.write_bytes(VKEY.encode("utf-16")),
    "NUL": lambda path: path.write_bytes(VKEY.encode() + b"\0\n"),
    "64 KiB of blanks": lambda path: path.write_bytes(b" " * (64 * 1024) + VKEY.encode()),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_a_key_that_is_none_is_wrong_usage(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    path = tmp_path / "a" / "folder" / "key.pub"
    path.parent.mkdir(parents=True)
    path.write_text(VKEY + "\n")
    assert said(capsys, run, "--key", str(path), "--require", "L0")[0] == SHOWN
    FILES[name](path)
    with within(2**24):
        status, value = said(capsys, run, "--key", str(path), "--require", "L0")
    assert status == USAGE, value


def test_a_root_longer_than_a_files_name_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, f"{'00' * 200}@3", "--key", VKEY)[0] == USAGE


def test_the_same_key_twice_is_wrong_usage(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "key.pub").write_text(VKEY)
    alias = vkey(b"\1" + RAW, "alias")
    for second in (VKEY, str(tmp_path / "key.pub"), alias):
        assert said(capsys, run, "--key", VKEY, "--key", second, "--require", "L0")[0] == USAGE


def test_a_file_or_text_of_several_keys_pins_each_of_them(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run is signed by the trainer's Ed25519 key alone, though its header names another."""
    path = tmp_path / "log.key.pub"
    for other in (SECOND.public_key, PQ):
        both = f"{VKEY}\n{other.encode()}\n"
        path.write_text(both)
        for given in (both, str(path), f"{other.encode()}\r\n\r\n{VKEY}\r\n"):
            status, report = said(capsys, run, "--key", given, "--require", "L0")
            assert status == FAILED
            assert report["failure"]["message"] == f"note is not signed by the key {other.label}"
    for wrong in (f"{VKEY}\nno key", f"no key\n{VKEY}", f"{VKEY}\n{VKEY}", "\n", f"{VKEY}\n{path}"):
        path.write_text(wrong)
        assert said(capsys, run, "--key", wrong, "--require", "L0")[0] == USAGE, wrong
        assert said(capsys, run, "--key", str(path), "--require", "L0")[0] == USAGE, wrong


def test_a_good_key_under_another_name_signed_nothing(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, run, "--key", vkey(b"\1" + RAW, "alias"), "--require", "L0")[0] == FAILED


@pytest.mark.parametrize(
    "flags",
    [
        ("--sample", "99999999999999999999"),
        ("--sample", "3", "--beacon", "\u202e"),
        ("--sample", "3", "--beacon", ""),
        ("--sample", "3", "--beacon", "x" * 1001),
        ("--srs-digest", "\u0661" * 64),
        ("--srs-digest", "00" * 31 + " 00 "),
        ("--srs-digest", "x" * 10**5),
        ("--require", "L0\n"),
        ("--require", "L0,,L1"),
        ("--require", "l0"),
        ("--srs", "/dev/zero"),
        ("--srs", "/"),
        ("--srs", "x" * 300),
        ("--from", "x" * 300),
    ],
    ids=lambda flags: ascii(" ".join(flags)[:30]),
)
def test_other_flags_of_a_stranger_never_make_the_verdict_better(
    run: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...]
) -> None:
    status, value = said(capsys, run, "--key", VKEY, *flags)
    assert status in (FAILED, USAGE, LESS), value
    assert value.get("levels", []) in ([], ["L0"])


# ---- TOML

TOML: dict[str, str] = {
    "deep arrays": "a = " + "[" * 30_000 + "]" * 30_000,
    "deep tables": "a = " + "{a = " * 5000 + "1" + "}" * 5000,
    "a dotted key": "a." * 20_000 + "b = 1",
    "a dotted table": "[" + "a." * 20_000 + "b]",
    "dotted keys of one table": "".join(f"a.b.c.k{i} = 1\n" for i in range(3000)),
    "a long integer": "steps = " + "9" * 60_000,
    "a long hexadecimal": "steps = 0x" + "f" * 60_000,
    "a long decimal": "lr = 0." + "1" * 60_000,
    "a huge exponent": "lr = 1e999999999",
    "a huge negative exponent": "lr = 1e-999999999",
    "5,000 groups": "[[groups]]\nlr=1\n" * 3000 + "[[groups]]\n" * 1000,
    "5,000 empty groups": "[[groups]]\n" * 5000,
    "5,000 groups of one array": "groups = [" + "{}," * 5000 + "]",
    "5,000 settings that are none": "".join(f"s{i} = 1\n" for i in range(5000)),
    "a date": "steps = 1979-05-27T07:32:00Z",
    "a local time": "steps = 07:32:00",
    "an open string": 'data = "' + "x" * 60_000,
    "an open comment": "# " + "x" * 65_534 + "\n",
    "NUL": "steps = 1\0",
    "an escape": 'label = "\x1b[2J"',
    "a surrogate": 'label = "\\ud800"',
    "a carriage return": "steps = 1\r",
    "Arabic digits": "steps = \u0661",
    "a setting twice": "steps = 1\nsteps = 2",
    "a table twice": "[a]\n[a]",
}


@pytest.mark.parametrize("name", TOML)
def test_a_config_of_a_stranger_is_a_sentence(tmp_path: Path, name: str) -> None:
    text = TOML[name]
    (tmp_path / "train.toml").write_text(text, newline="")
    ways: list[Callable[[], Settings]] = [
        lambda: from_toml(text, "train.toml"),
        lambda: read(tmp_path / "train.toml"),
    ]
    for way in ways:
        with within(2**26), pytest.raises(UsageError) as caught:
            way()
        assert "train.toml" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 1000


def test_the_longest_config_is_read_and_a_longer_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "train.toml"
    path.write_text("#" * (MAX_BYTES - 1) + "\n")
    read(path)
    huge(path)
    with within(2**20), soon(), pytest.raises(UsageError, match=r"65536 bytes|can't be read|too large"):
        read(path)


@pytest.mark.parametrize("what", ["a device", "2^40 bytes", "a folder", "a link to nothing", "nothing"])
def test_what_is_no_file_of_text_is_no_config_and_no_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """No more is read of it than a table may have."""
    monkeypatch.setattr(csv_file, "MAX_BYTES", 2**20)
    path = tmp_path / "a" / "folder" / "train"
    path.parent.mkdir(parents=True)
    path.touch()
    IN_ITS_PLACE[what](path)
    with within(2**24), soon(), pytest.raises(UsageError, match="train"):
        read(path)
    with within(2**24), soon(), pytest.raises(UsageError, match="train"):
        csv_file.read(CsvFile(str(path)))
