"""Where the register's checkpoint goes so that it can't be taken back: one folder for each kind,
with `receipt.py`, which verifies (no network), and `publish.py`, which has it anchored."""
