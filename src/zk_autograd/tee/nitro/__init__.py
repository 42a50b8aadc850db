"""AWS Nitro: COSE_Sign1 documents of its secure module."""
