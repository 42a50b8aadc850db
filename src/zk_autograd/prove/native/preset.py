"""The native prover's presets, kept apart so that a command's help doesn't wait for numpy."""

from enum import StrEnum


class Preset(StrEnum):
    """How much the native prover's soundness assumes: `standard` has smaller proofs, `strict`
    assumes less about decoding the code."""

    STANDARD = "standard"
    STRICT = "strict"

    @property
    def assumption(self) -> str:
        """What the proven bits rest on."""
        decoding = {Preset.STANDARD: "Johnson list decoding", Preset.STRICT: "unique decoding"}
        return f"{decoding[self]}, random-oracle model"


DEFAULT_PRESET = Preset.STANDARD
