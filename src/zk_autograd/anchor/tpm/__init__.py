"""The anchor `tpm`: a TPM signs a checkpoint together with a counter that never goes back."""

from zk_autograd.anchor.tpm.receipt import verify

__all__ = ["verify"]
