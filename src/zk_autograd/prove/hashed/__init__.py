"""The backend `none`: salted hashes and no proofs (assurance level L0)."""
