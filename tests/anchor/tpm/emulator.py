"""A software TPM, swtpm, for the tests (attacks.tools.software_tpm)."""

import pytest

from attacks.tools.software_tpm import Emulator, missing

__all__ = ["Emulator", "require_swtpm"]


def require_swtpm() -> None:
    """Skips the test where there is no swtpm, or what talks to it."""
    if why := missing():
        pytest.skip(why)
