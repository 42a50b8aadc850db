"""Time stamps that a host has made of its enclave's register."""

from collections.abc import Callable
from pathlib import Path

from tests.anchor.rfc3161.authority import OpenSsl, holder, served
from tests.verify.attested_runs import enclave_run
from zk_autograd.core.anchors import Receipt
from zk_autograd.enclave.stamping import RECEIPTS_PATH, VIEWS_PATH, Stamper, anchors_of

AUTHORITY = holder("an authority")


class Kept:
    def __init__(self) -> None:
        self.lines: list[tuple[str, bytes]] = []
        self.said: list[str] = []

    def add(self, path: str, line: bytes) -> None:
        self.lines.append((path, line))


def views(tmp_path: Path) -> list[bytes]:
    return (enclave_run("none").write(tmp_path / "made") / VIEWS_PATH).read_bytes().splitlines(keepends=True)


def show(root: Path, stamper: Stamper, lines: list[bytes]) -> None:
    (root / VIEWS_PATH).parent.mkdir(parents=True, exist_ok=True)
    (root / VIEWS_PATH).write_bytes(b"".join(lines))
    stamper.tell(VIEWS_PATH)


def until(condition: Callable[[], bool]) -> None:
    import time

    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_first_entry_over_header_and_document_is_stamped_at_once_and_the_last_one(tmp_path: Path) -> None:
    kept, lines = Kept(), views(tmp_path)
    with served(OpenSsl(tmp_path / "tsa", AUTHORITY)) as url:
        stamper = Stamper(tmp_path, anchors_of([f"rfc3161:{url}"]), kept.add, kept.said.append)
        show(tmp_path, stamper, lines[:1])  # of the header alone
        show(tmp_path, stamper, lines[:2])
        until(lambda: len(kept.lines) == 1)
        show(tmp_path, stamper, lines)
        assert stamper.finish(20) == []
    assert {path for path, _ in kept.lines} == {RECEIPTS_PATH}
    assert [Receipt.parse(line).size for _, line in kept.lines] == [2, 3]


def test_an_authority_that_refuses_is_named_and_not_waited_for(tmp_path: Path) -> None:
    kept = Kept()
    with served(lambda query: b"garbage") as url:
        stamper = Stamper(tmp_path, anchors_of([f"rfc3161:{url}"]), kept.add, kept.said.append)
        show(tmp_path, stamper, views(tmp_path))
        [sentence] = stamper.finish(1)
    assert url in sentence
    assert kept.lines == []


def test_a_view_of_garbage_is_said_and_not_stamped(tmp_path: Path) -> None:
    kept = Kept()
    with served(lambda query: b"", status=503) as url:
        stamper = Stamper(tmp_path, anchors_of([f"rfc3161:{url}"]), kept.add, kept.said.append)
        show(tmp_path, stamper, [b"{}\n"])
        assert stamper.finish(0.1) == []
    assert "can't be stamped" in kept.said[0]
