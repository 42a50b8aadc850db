"""The anchor `evm`: a contract that keeps tree heads, on a chain that many run."""

from zk_autograd.anchor.evm.receipt import verify

__all__ = ["verify"]
