"""How secrets come to an enclave: by AWS KMS, or by a broker."""
