"""The anchor `rfc3161`: time-stamp authorities sign when a checkpoint existed."""

from zk_autograd.anchor.rfc3161.receipt import verify

__all__ = ["verify"]
