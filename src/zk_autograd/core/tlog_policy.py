"""A transparency log's trust policy: its logs, its witnesses, and which sets of cosignatures are a
quorum.

Source: C2SP tlog-policy. The text is octets: of those with the highest bit set nothing is
understood, so names are bytes. Where the specification leaves a choice, or doesn't say: at most
`MAX_BYTES` bytes, and `MAX_LINES` logs, witnesses and groups each; the last line ends in a newline,
too; k has no leading zero; the name `none` can't be defined.

Keys are verifier keys of C2SP signed-note. A log's has type 0x01 or 0x06 (tlog-checkpoint, of the
types that this project knows), a witness's 0x04 or 0x06 (tlog-cosignature). URLs are kept as they
stand there, and mean nothing here.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from zk_autograd.core.cosigner import CosignerKey, Scheme
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.keys import KEY_ID_BYTES, Algorithm, PublicKey, check_name
from zk_autograd.core.text import SHOWN, decode_base64, quoted

MAX_BYTES = 2**18
MAX_LINES = 256
NONE = b"none"

_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

_LENGTHS = {0x01: 32, 0x04: 32, 0x06: 1312}
_OF_LOGS, _OF_WITNESSES = tuple(map(int, Algorithm)), tuple(map(int, Scheme))


@dataclass(frozen=True, slots=True)
class Log:
    """A log's key, whose name is the log's origin, and its URL, empty if there is none."""

    key: PublicKey
    url: bytes = b""


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness's key and its URL, empty if there is none."""

    key: CosignerKey
    url: bytes = b""


@dataclass(frozen=True, slots=True)
class Group:
    """Has witnessed a checkpoint if at least `k` of its members, witnesses or earlier groups,
    have."""

    k: int
    members: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class TlogPolicy:
    """Witnesses and groups by name, groups in the order of the text; `required` is the name on the
    quorum line."""

    logs: tuple[Log, ...]
    witnesses: Mapping[bytes, Witness]
    groups: Mapping[bytes, Group]
    required: bytes

    def quorum(self, cosigned: Collection[bytes]) -> bool:
        """Whether valid cosignatures by the witnesses of these names are a quorum. Other names,
        those of groups too, count for nothing."""
        if self.required == NONE:
            return True
        witnessed = self.witnesses.keys() & set(cosigned)
        for name, group in self.groups.items():  # its members stand before it
            if sum(member in witnessed for member in group.members) >= group.k:
                witnessed.add(name)
        return self.required in witnessed

    def excludes_two(self) -> bool:
        """Whether any two quorums have a witness in common. If not, honest witnesses may cosign
        two branches of a log, half of them one and half the other."""
        if self.required == NONE:
            return False
        apart: dict[bytes, bool] = dict.fromkeys(self.witnesses, False)
        for name, group in self.groups.items():
            # Each name is a member once, so the members can be dealt out to the branches one by
            # one. Those that can witness both (with disjoint halves of their own) count twice.
            apart[name] = 2 * group.k <= len(group.members) + sum(apart[member] for member in group.members)
        return not apart[self.required]


def parse(data: bytes) -> TlogPolicy:
    """The policy of a text. VerificationError, which names the line, for anything else."""
    if len(data) > MAX_BYTES:
        raise VerificationError("it is too long", expected=f"at most {MAX_BYTES} bytes", found=str(len(data)))
    if data and not data.endswith(b"\n"):
        raise VerificationError("its last line does not end in a newline")
    reader = _Reader()
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        try:
            reader.line(line)
        except VerificationError as error:
            raise VerificationError(
                f"line {number}: {error.message}", expected=error.expected, found=error.found
            ) from error
    return reader.end()


class _Reader:
    """Takes the lines one after the other."""

    def __init__(self) -> None:
        self._logs: dict[bytes, Log] = {}  # by the key itself
        self._witnesses: dict[bytes, Witness] = {}
        self._groups: dict[bytes, Group] = {}
        self._members: set[bytes] = set()
        self._required: bytes | None = None

    def line(self, line: bytes) -> None:
        if control := _CONTROL.search(line):
            raise VerificationError(f"it has the control character 0x{control[0].hex()}")
        items = line.replace(b"\t", b" ").split(b" ")
        word, *rest = [item for item in items if item] or [b"#"]
        if word.startswith(b"#"):
            return
        kinds = {b"log": self._log, b"witness": self._witness, b"group": self._group, b"quorum": self._quorum}
        if word not in kinds:
            raise VerificationError("it begins with no known word", expected=_and(kinds), found=_shown(word))
        kinds[word](rest)

    def end(self) -> TlogPolicy:
        if self._required is None:
            raise VerificationError("it has no quorum line; `quorum none` asks for no cosignature")
        return TlogPolicy(tuple(self._logs.values()), self._witnesses, self._groups, self._required)

    def _log(self, items: Sequence[bytes]) -> None:
        _require_items(items, 1, 2, "log <vkey> [<url>]")
        name, kind, raw = _key(items[0], "log", _OF_LOGS)
        if raw in self._logs:
            raise VerificationError(f"the key of the log {quoted(name)} is given twice")
        _require_room(self._logs, "logs")
        self._logs[raw] = Log(PublicKey(name, Algorithm(kind), raw), _url(items[1:]))

    def _witness(self, items: Sequence[bytes]) -> None:
        _require_items(items, 2, 3, "witness <name> <vkey> [<url>]")
        self._require_new(items[0])
        name, kind, raw = _key(items[1], "witness", _OF_WITNESSES)
        if any(raw == other.key.raw for other in self._witnesses.values()):
            raise VerificationError(f"the key of the witness {_shown(items[0])} is given twice")
        _require_room(self._witnesses, "witnesses")
        self._witnesses[items[0]] = Witness(CosignerKey(name, Scheme(kind), raw), _url(items[2:]))

    def _group(self, items: Sequence[bytes]) -> None:
        _require_items(items, 3, len(items), "group <name> all|any|<k> <name>...")
        name, threshold, *members = items
        self._require_new(name)
        for member in members:
            self._require_defined(member)
            if member in self._members:
                raise VerificationError(f"{_shown(member)} is a member twice; each name can be one once")
            self._members.add(member)
        _require_room(self._groups, "groups")
        self._groups[name] = Group(_threshold(threshold, len(members)), tuple(members))

    def _quorum(self, items: Sequence[bytes]) -> None:
        _require_items(items, 1, 1, "quorum <name>")
        if self._required is not None:
            raise VerificationError("it is a second quorum line")
        if items[0] != NONE:
            self._require_defined(items[0])
        self._required = items[0]

    def _require_new(self, name: bytes) -> None:
        if name == NONE:
            raise VerificationError("the name none can't be defined")
        if name in self._witnesses or name in self._groups:
            raise VerificationError(f"the name {_shown(name)} is defined twice")

    def _require_defined(self, name: bytes) -> None:
        if name not in self._witnesses and name not in self._groups:
            raise VerificationError(f"{_shown(name)} is not the name of a witness or a group on a line before it")


def _threshold(text: bytes, n: int) -> int:
    if text in (b"all", b"any"):
        return n if text == b"all" else 1
    decimal = text.isdigit() and not text.startswith(b"0") and len(text) <= len(str(n))
    if not decimal or not 1 <= int(text) <= n:
        raise VerificationError(
            "the threshold is none", expected=f"all, any, or a number from 1 to {n}", found=_shown(text)
        )
    return int(text)


def _url(items: Sequence[bytes]) -> bytes:
    return items[0] if items else b""


def _key(text: bytes, what: str, kinds: Sequence[int]) -> tuple[str, int, bytes]:
    """The name, signature type and material of a vkey text. The material itself is not checked."""
    name, *rest = text.split(b"+", 2)
    whose = f"the {what}'s key {_shown(name)}"
    if len(rest) != 2:
        raise VerificationError(f"{whose} is not of the form name+ID+base64")
    try:
        plain, encoded = name.decode("utf-8"), rest[1].decode("ascii")
    except UnicodeDecodeError as error:
        raise VerificationError(f"{whose} is no vkey: it is not UTF-8, or its key is not base64") from error
    check_name(plain)
    material = decode_base64(encoded, whose)
    if not material or material[0] not in kinds:
        raise VerificationError(
            f"{whose} has a signature type that no {what} uses",
            expected=" or ".join(f"{kind:02x}" for kind in kinds),
            found=material[:1].hex() or "nothing",
        )
    kind, raw = material[0], material[1:]
    if len(raw) != _LENGTHS[kind]:
        raise VerificationError(f"{whose} has the wrong length", expected=str(_LENGTHS[kind]), found=str(len(raw)))
    expected = sha256(name + b"\n" + material).digest()[:KEY_ID_BYTES].hex()
    if rest[0].decode("latin-1") != expected:
        raise VerificationError(
            f"{whose} has an ID that is not the hash of its name and key", expected=expected, found=_shown(rest[0])
        )
    return plain, kind, raw


def _require_items(items: Sequence[bytes], least: int, most: int, form: str) -> None:
    if not least <= len(items) <= most:
        raise VerificationError("it has too many or too few items", expected=form, found=f"{len(items)} after the word")


def _require_room(defined: Collection[bytes], what: str) -> None:
    if len(defined) == MAX_LINES:
        raise VerificationError(f"there are too many {what}", expected=f"at most {MAX_LINES}", found="more")


def _and(words: Collection[bytes]) -> str:
    return ", ".join(word.decode("ascii") for word in words)


def _shown(name: bytes) -> str:
    """A name for a message: octets that are not ASCII escaped."""
    return quoted(name.decode("latin-1"), SHOWN)
