"""AMD SEV-SNP: attestation reports, and the certificates of the processors that sign them."""

from zk_autograd.tee.snp.chain import ROOTS, Root, SnpClaim, verify

__all__ = ["ROOTS", "Root", "SnpClaim", "verify"]
