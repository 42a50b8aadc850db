"""The anchor `file`: a list of checkpoints on the trainer's own disk, outside of every run."""

from zk_autograd.anchor.file.receipt import verify

__all__ = ["verify"]
