"""A broker of keys: it verifies an enclave's attestation, judges it, and releases the key of the
enclave's job to it. `broker.messages` and `broker.decision` are what both sides know."""
