"""The anchor `witness`: cosignatures of witnesses, which keep one branch of each log (C2SP
tlog-witness)."""

from zk_autograd.anchor.witness.receipt import verify

__all__ = ["verify"]
