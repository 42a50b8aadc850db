"""How messages repeat what somebody typed, or what a stranger's run says."""

import pytest

from zk_autograd.core.errors import UsageError
from zk_autograd.train.names import model_called, shown


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("mlp", "mlp"),
        ("x verdict: FULL", "'x\\x20verdict:\\x20FULL'"),
        ("caf\u00e9", "'caf\\xe9'"),
        ("", "''"),
        ("a\nb", "'a\\nb'"),
    ],
)
def test_what_is_shown_is_one_word(text: str, word: str) -> None:
    assert shown(text) == word


def test_a_model_of_a_runs_makes_no_line_of_its_own() -> None:
    with pytest.raises(UsageError) as caught:
        model_called("x verdict: FULL", "model")
    assert "verdict: FULL" not in str(caught.value)
