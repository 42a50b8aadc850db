"""The native backend: a transparent, zero-knowledge STARK for every rule, made and verified by the
compiled module `_native`."""
