"""The exact step over a whole state, wherever it is computed: one protocol, several kernels."""
