"""The enclave's image: `make enclave-image` builds it (enclave/README.md)."""
