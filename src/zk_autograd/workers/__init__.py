"""Proofs made on other machines: sealed tasks, and the clusters that take them."""
