"""The run directory, written by the trainer with crash recovery (`writer`)."""
