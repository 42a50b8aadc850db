"""AMD SEV-SNP: attestation reports, and the certificates of the processors that sign them."""
