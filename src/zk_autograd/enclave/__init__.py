"""What runs in an enclave, and the host's side of it."""
