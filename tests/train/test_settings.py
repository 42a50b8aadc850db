"""Bounds of settings, written where nothing has to be loaded for a command's help."""

from zk_autograd.core.records import MAX_SEGMENT_STEPS
from zk_autograd.train.settings import MAX_SYNC_EVERY


def test_a_sync_of_the_journal_may_be_as_rare_as_a_segment_is_long() -> None:
    assert MAX_SYNC_EVERY == MAX_SEGMENT_STEPS
