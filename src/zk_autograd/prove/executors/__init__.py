"""Proofs made elsewhere: a task is bytes, what comes back is bytes, and nobody who makes one is
believed."""
