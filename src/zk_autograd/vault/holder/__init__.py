"""Who holds a key that wraps others: a recipient's key pair, AWS KMS."""
