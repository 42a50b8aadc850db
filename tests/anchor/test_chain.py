"""The chain's rules, in a store in memory: what is refused, and what is asked again."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from tests.anchor.tree import ORIGIN, Tree
from zk_autograd.anchor import chain
from zk_autograd.anchor.chain import Held, publish, read, require_continued
from zk_autograd.anchor.kept import encode_kept
from zk_autograd.core.anchors import Kept, SignedCheckpoint
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import AnchorBehind, AnchorDown, AnchorError, AnchorForked, UsageError
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.register import origin_of, sign_head


class Memory:
    """A store that others fill, too: `busy` is how often somebody else is quicker."""

    name = "the store"

    def __init__(self) -> None:
        self.held: list[Held] = []
        self.busy: list[bytes] = []
        self.asked = 0

    def newest(self, origin: str) -> Held | None:
        self.asked += 1
        return self.held[-1] if self.held else None

    def create(self, origin: str, number: int, body: bytes) -> Held | None:
        if self.busy:
            self.held.append(Held(len(self.held), self.busy.pop(0), {}))
            return None
        if number != len(self.held):
            return None
        self.held.append(Held(number, body, {"number": number}))
        return self.held[-1]

    def everything(self, origin: str) -> Iterable[Held]:
        return self.held


def body_of(tree: Tree, size: int) -> bytes:
    return encode_kept(Kept(tree.checkpoint(size).note, 0, tuple(tree.leaves[:size])))


def test_each_publication_takes_the_leaves_since_the_one_before() -> None:
    store, tree = Memory(), Tree(9)
    for number, size in enumerate((1, 4, 9)):
        receipt = publish("kind", store, tree.checkpoint(size), tree)
        assert (receipt.kind, receipt.size, receipt.root) == ("kind", size, tree.checkpoint(size).head.root)
        assert receipt.body == {"number": number}
    kept = read(store, ORIGIN)
    assert [(one.first, len(one.entries)) for one in kept] == [(0, 1), (1, 3), (4, 5)]
    assert [leaf for one in kept for leaf in one.entries] == tree.leaves


def test_whoever_is_late_reads_again() -> None:
    store, tree = Memory(), Tree(9)
    store.busy = [body_of(tree, size) for size in (1, 2, 5)]
    receipt = publish("kind", store, tree.checkpoint(), tree)
    assert (receipt.body, store.asked) == ({"number": 3}, 4)


def test_whoever_is_late_with_another_branch_is_told() -> None:
    store, tree = Memory(), Tree(9)
    store.busy = [body_of(Tree(4, "other"), 4)]
    with pytest.raises(AnchorForked):
        publish("kind", store, tree.checkpoint(), tree)
    assert len(store.held) == 1


def test_whoever_is_overtaken_is_behind() -> None:
    store, tree = Memory(), Tree(9)
    store.busy = [body_of(tree, 9)]
    with pytest.raises(AnchorBehind):
        publish("kind", store, tree.checkpoint(8), tree)


def test_a_store_is_asked_without_being_written_to() -> None:
    store, tree, other = Memory(), Tree(9), Tree(9, "other", 2)
    require_continued(store, tree.checkpoint(3), tree)
    publish("kind", store, tree.checkpoint(5), tree)
    for size in (5, 9):
        require_continued(store, tree.checkpoint(size), tree)
    with pytest.raises(AnchorBehind, match="the store holds a checkpoint of 5 entries, ours has 4"):
        require_continued(store, tree.checkpoint(4), tree)
    with pytest.raises(AnchorForked, match="another branch"):
        require_continued(store, other.checkpoint(7), other)
    assert len(store.held) == 1


def test_a_store_that_has_no_place_ever_is_left() -> None:
    class Busy(Memory):
        def create(self, origin: str, number: int, body: bytes) -> Held | None:
            return None

    store, tree = Busy(), Tree(1)
    with pytest.raises(AnchorDown, match="written to by others all the time"):
        publish("kind", store, tree.checkpoint(), tree)


def test_a_finding_stops_whoever_would_publish(monkeypatch: pytest.MonkeyPatch) -> None:
    store, tree = Memory(), Tree(2)
    publish("kind", store, tree.checkpoint(1), tree)
    store.held[0] = replace(store.held[0], finding="it was deleted")
    with pytest.raises(AnchorError, match="can't be relied on: it was deleted"):
        publish("kind", store, tree.checkpoint(), tree)
    assert read(store, ORIGIN)[0].finding == "it was deleted"


def test_what_is_missing_is_found() -> None:
    store, tree = Memory(), Tree(5)
    for size in range(1, 6):
        publish("kind", store, tree.checkpoint(size), tree)
    del store.held[3], store.held[0]
    assert [one.finding for one in read(store, ORIGIN)] == [
        "before number 1, 1 publication can't be found",
        "",
        "before number 4, 1 publication can't be found",
    ]


@pytest.mark.parametrize("body", [b"", b"{}", b'{"checkpoint":"x","entries":[],"first":0}'])
def test_what_is_no_publication_is_named(body: bytes) -> None:
    store, tree = Memory(), Tree(1)
    store.held = [Held(0, body, {})]
    with pytest.raises(AnchorError, match="number 0 in the store is no publication"):
        publish("kind", store, tree.checkpoint(), tree)
    with pytest.raises(AnchorError, match="number 0 in the store is no publication"):
        read(store, ORIGIN)


def test_another_registers_publication_is_no_fork() -> None:
    signer = Ed25519Signer("other", bytes(32))
    head = Tree(1).checkpoint().head
    other = sign_head(Checkpoint(origin_of([signer.public_key]), 1, head.root), [signer])
    store, tree = Memory(), Tree(2)
    store.held = [Held(0, encode_kept(Kept(other)), {})]
    with pytest.raises(AnchorError, match="another register's") as caught:
        publish("kind", store, tree.checkpoint(), tree)
    assert not isinstance(caught.value, AnchorForked)


def test_more_than_a_store_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "MAX_BODY", 2_000)
    store, tree = Memory(), Tree(50)
    with pytest.raises(AnchorError, match="50 entries at once are too many for the store"):
        publish("kind", store, tree.checkpoint(), tree)
    assert not store.held


def test_more_than_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    store, tree = Memory(), Tree(9)
    for size in (3, 6, 9):
        publish("kind", store, tree.checkpoint(size), tree)
    monkeypatch.setattr(chain, "MAX_READ", sum(len(held.body) + chain._OVERHEAD for held in store.held))
    assert len(read(store, ORIGIN)) == 3
    monkeypatch.setattr(chain, "MAX_READ", chain.MAX_READ - 1)
    with pytest.raises(AnchorError, match="too much to be read"):
        read(store, ORIGIN)


def test_a_store_that_goes_back_is_left() -> None:
    """A hostile endpoint that an auditor asks could go on for ever."""
    store, tree = Memory(), Tree(9)
    for size in (3, 6, 9):
        publish("kind", store, tree.checkpoint(size), tree)
    store.held.append(store.held[1])
    with pytest.raises(AnchorError, match="number 1 after number 2"):
        read(store, ORIGIN)


def test_however_small_publications_are_they_count(monkeypatch: pytest.MonkeyPatch) -> None:
    store, tree = Memory(), Tree(2)
    publish("kind", store, tree.checkpoint(), tree)
    small = encode_kept(Kept(tree.checkpoint().note, 2, ()))
    store.held += [Held(number, small, {"x": "y" * 500}) for number in range(1, 100)]
    monkeypatch.setattr(chain, "MAX_READ", 100 * (len(small) + 1000))
    with pytest.raises(AnchorError, match="too much to be read"):
        read(store, ORIGIN)


def test_however_small_entries_are_they_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry of no characters takes ten times as much here as there."""
    store, tree = Memory(), Tree(2)
    publish("kind", store, tree.checkpoint(), tree)
    monkeypatch.setattr(chain, "MAX_ENTRIES", 20)
    store.held.append(Held(1, encode_kept(Kept(tree.checkpoint().note, 2, (b"x",) * 18)), {}))
    assert len(read(store, ORIGIN)) == 2
    store.held.append(Held(2, encode_kept(Kept(tree.checkpoint().note, 2, (b"x",))), {}))
    with pytest.raises(AnchorError, match="more than 20 entries"):
        read(store, ORIGIN)


def test_only_registers_that_hold_something() -> None:
    store = Memory()
    stranger = SignedCheckpoint(b"", Checkpoint("example.org/log", 1, bytes(32)))
    with pytest.raises(UsageError, match="only a register's checkpoint"):
        publish("kind", store, stranger, Tree(1))
    with pytest.raises(UsageError, match="empty register"):
        publish("kind", store, Tree(0).checkpoint(), Tree(0))
    with pytest.raises(UsageError, match="only a register's origin"):
        read(store, "../../etc")
    assert store.asked == 0
