"""`zk-enclave demo`: the whole way from an image to a verified run, on one machine without an
enclave."""
