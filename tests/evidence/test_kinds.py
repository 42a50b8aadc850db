"""What a path leads to: evidence, a checkpoint, or what may be a run."""

import os
from pathlib import Path

import pytest

from tests.verify.forks import head, log
from zk_autograd.core.note import MAX_NOTE_BYTES
from zk_autograd.evidence.fork_evidence import FORMAT, ForkEvidence
from zk_autograd.evidence.kinds import Kind, kind_of

NOTE = head(log(3)).note
EVIDENCE = ForkEvidence.of(head(log(3)), head(log(3, 1))).encode()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (EVIDENCE, Kind.EVIDENCE),
        (FORMAT.encode(), Kind.EVIDENCE),
        (b"zk-autograd/fork-evidence/v9\n", Kind.EVIDENCE),
        (EVIDENCE + bytes(10**6), Kind.EVIDENCE),
        (NOTE, Kind.CHECKPOINT),
        (NOTE + b"x" * MAX_NOTE_BYTES, Kind.RUN),
        (NOTE + b"\0", Kind.RUN),
        (b"\n" + EVIDENCE, Kind.CHECKPOINT),
        (b"", Kind.RUN),
        (b"text\n", Kind.RUN),
    ],
)
def test_by_the_first_bytes(data: bytes, kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(data)
    (tmp_path / "link").symlink_to("file")
    assert kind_of(str(tmp_path / "file")) is kind
    assert kind_of(str(tmp_path / "link")) is kind


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in (str(tmp_path), str(tmp_path / "pipe"), str(tmp_path / "none"), "https://host/run", "a\0b", ""):
        assert kind_of(name) is Kind.RUN
