"""What is true of a run's place in its trainer's register, and of the receipts of the anchor
`file`: step 4, by what was signed (`ideal_register.Registers`) and by trees hashed here."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from tests.verify.ideal import Files, Ledger
from tests.verify.ideal_register import RECEIPTS, VIEWS, apart
from tests.verify.plainly import canonical, plain, require

__all__ = ["RECEIPTS", "VIEWS", "require_register"]

_VIEW = {"format", "checkpoint", "index", "entry", "inclusion", "since", "consistency"}
_HEADS = dict[int, tuple[bytes, ...]]


def require_register(
    files: Files, ledger: Ledger, keys: Sequence[str], leaves: Sequence[bytes], *, closed: bool, chosen: bool
) -> bool:
    """Untrue unless the run is where its header says. `leaves` are the records that are shown,
    `chosen`: the auditor gave their root. False if nothing is known of a part of it: it may be
    refused, too."""
    header = plain(leaves[0])
    origin = header.get("register", "")
    if not origin:
        return True
    own = [ledger.registers.origins.get(key) for key in header["keys"] if isinstance(key, str)]
    require(origin in own, "the register is not that of the header's keys")
    heads: _HEADS = {}
    entries: list[tuple[int, Any]] = []
    known = True
    for line in _lines(files, VIEWS):
        known &= _view(plain(line), ledger, keys, origin, heads, entries)
    require(bool(entries), "no begin")
    for _, entry in entries:
        require(entry["run"] == header["run"], "the entry is another run's")
        if entry["size"] > len(leaves):
            require(chosen, "records were withheld")
            continue
        require(entry["root"] == _root(leaves[: entry["size"]]).hex(), "another view of the log")
        require((entry["kind"] == "close") == (closed and entry["size"] == len(leaves)), "closed or not")
    for line in _lines(files, RECEIPTS):
        known &= _receipt(plain(line), heads)
    return known


def _lines(files: Files, name: str) -> list[bytes]:
    require(name in files, f"{name} is missing")
    data = files[name]
    require(not data or data.endswith(b"\n"), f"the last line of {name} does not end")
    return data.split(b"\n")[:-1]


def _view(
    view: Any, ledger: Ledger, keys: Sequence[str], origin: str, heads: _HEADS, entries: list[tuple[int, Any]]
) -> bool:
    require(view.keys() == _VIEW and view["format"] == "zk-autograd/register-view/v1", "no view")
    require(isinstance(view["checkpoint"], str) and type(view["index"]) is int, "no checkpoint, or no index")
    text, lines = apart(view["checkpoint"])
    signers = [ledger.registers.lines.get((text, line)) for line in lines]
    for key in keys:
        require(key in signers, "a pinned key did not sign the register")
    tree = ledger.registers.trees.get(text)
    if tree is None:
        require(not keys, "nobody signed this tree")
        return False
    require(text.split("\n")[0] == origin, "another register's checkpoint")
    index, entry = view["index"], view["entry"]
    require(0 <= index < len(tree) and canonical(entry) == tree[index], "the entry is not in the tree")
    require(view["inclusion"] == [node.hex() for node in _path(index, tree)], "no inclusion")
    before: tuple[bytes, ...] = next(reversed(heads.values())) if heads else ()
    require(type(view["since"]) is int and view["since"] == len(before), "another tree came before")
    require(tree[: len(before)] == before, "another branch")
    shown = [node.hex() for node in _continued(len(before), tree)]
    require(view["consistency"] == shown, "no consistency")
    heads[len(tree)] = tree
    _enter(index, entry, entries)
    return None not in signers


def _enter(index: int, entry: Any, entries: list[tuple[int, Any]]) -> None:
    require((entry["kind"] == "begin") == (entry["size"] == 1), "a begin is of the header alone")
    if not entries:
        require(entry["kind"] == "begin", "the begin comes first")
    elif entries[-1] != (index, entry):
        last_index, last = entries[-1]
        require(index > last_index and last["kind"] != "close", "out of order")
        require(entry["kind"] != "begin" and entry["size"] > last["size"], "the run did not grow")
    else:
        return
    entries.append((index, entry))


def _receipt(receipt: Any, heads: _HEADS) -> bool:
    require(receipt.keys() == {"format", "kind", "size", "root", "receipt"}, "no receipt")
    require(receipt["format"] == "zk-autograd/receipt/v1" and type(receipt["size"]) is int, "no receipt")
    tree = heads.get(receipt["size"])
    require(tree is not None, "a receipt for a checkpoint that is not shown")
    assert tree is not None
    require(receipt["root"] == _root(tree).hex(), "a receipt for another tree")
    require(isinstance(receipt["receipt"], dict) and isinstance(receipt["kind"], str), "no receipt")
    if receipt["kind"] != "file":
        return False
    line = receipt["receipt"].get("line")
    require(receipt["receipt"].keys() == {"line"} and type(line) is int and line >= 0, "no receipt of a file")
    return True


# ---- RFC 9162, section 2.1, as it stands there ---------------------------------------------------


def _root(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) < 2:
        return sha256(b"\0" + leaves[0] if leaves else b"").digest()
    k = _split(len(leaves))
    return sha256(b"\1" + _root(leaves[:k]) + _root(leaves[k:])).digest()


def _path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = _split(len(leaves))
    if m < k:
        return [*_path(m, leaves[:k]), _root(leaves[k:])]
    return [*_path(m - k, leaves[k:]), _root(leaves[:k])]


def _continued(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    return _subproof(m, leaves, whole=True) if 0 < m < len(leaves) else []


def _subproof(m: int, leaves: Sequence[bytes], *, whole: bool) -> list[bytes]:
    n = len(leaves)
    if m == n:
        return [] if whole else [_root(leaves)]
    k = _split(n)
    if m <= k:
        return [*_subproof(m, leaves[:k], whole=whole), _root(leaves[k:])]
    return [*_subproof(m - k, leaves[k:], whole=False), _root(leaves[:k])]


def _split(n: int) -> int:
    """The largest power of two below n."""
    return 1 << (n - 1).bit_length() - 1
