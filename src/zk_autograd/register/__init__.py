"""The trainer's register: one log over all their runs (core.register)."""
