"""What both sides trust: the integer rules, records, the Merkle tree, signed notes, statements,
errors.

Nothing here does I/O, reads a clock, draws randomness or imports another part of the package.
"""
