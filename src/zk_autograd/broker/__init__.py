"""A broker of keys: it verifies an enclave's attestation, judges it, and releases a key to it."""
