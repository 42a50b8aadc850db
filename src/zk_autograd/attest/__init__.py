"""Statements that leave the log: what a trainer signs for tools that know nothing of a run."""
