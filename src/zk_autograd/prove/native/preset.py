"""The native prover's presets, apart from what they name: a command's help must not wait for numpy."""

from enum import StrEnum


class Preset(StrEnum):
    """How much the native prover's soundness assumes: `standard` has small proofs, `strict` assumes
    less about the code's decoding."""

    STANDARD = "standard"
    STRICT = "strict"

    @property
    def assumption(self) -> str:
        """What the proven bits rest on."""
        decoding = {Preset.STANDARD: "Johnson list decoding", Preset.STRICT: "unique decoding"}
        return f"{decoding[self]}, random-oracle model"


DEFAULT_PRESET = Preset.STANDARD
