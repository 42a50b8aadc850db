"""The version of this package, for what writes it into a run; Cargo.toml's."""

__version__ = "0.1.0"
