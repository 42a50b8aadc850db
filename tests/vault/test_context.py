"""What a sealed file is for, as bytes."""

from itertools import combinations

import pytest

from zk_autograd.core.canonical import Json
from zk_autograd.core.fields import Fields
from zk_autograd.core.records import MAX_STEP
from zk_autograd.vault.context import Context, of_enclave
from zk_autograd.vault.errors import VaultError

RUN = "8c1f" * 8
GOOD = Context("acme", RUN, 40, "checkpoint")


def test_bytes_are_the_parts_each_after_its_length() -> None:
    assert bytes(Context("acme", "8c1f", 40, "checkpoint")) == (
        b"\x00\x00\x00\x05vault"
        b"\x00\x00\x00\x14zk-autograd/vault/v0"
        b"\x00\x00\x00\x04acme"
        b"\x00\x00\x00\x048c1f"
        b"\x00\x00\x00\x0240"
        b"\x00\x00\x00\x0acheckpoint"
    )


def test_no_two_contexts_have_the_same_bytes() -> None:
    """A tenant "a" with a run "bc" would open what was sealed for a tenant "ab" with a run "c"."""
    names = ["a", "b", "c", "ab", "bc", "abc", "a1", "1", "11"]
    contexts = [
        Context(t, r, s, k) for t in names for r in names for s in (0, 1, 11) for k in ("checkpoint", "model", "token")
    ]
    encoded = [bytes(context) for context in contexts]
    assert len(set(encoded)) == len(contexts)
    assert not any(a.startswith(b) or b.startswith(a) for a, b in combinations(encoded[:60], 2))


@pytest.mark.parametrize(
    "name", ["", "-a", "A", "a_b", "a/b", "a.b", "..", "a\n", "ä", "a" * 64, "a b", "\x00", b"a", None, 7]
)
def test_a_name_is_what_it_is_or_refused(name: object) -> None:
    for tenant, run in ((name, RUN), ("acme", name)):
        with pytest.raises(VaultError, match="sealed file has 1 to 63 of a-z, 0-9 and -"):
            Context(tenant, run, 0, "model")  # type: ignore[arg-type]


@pytest.mark.parametrize("step", [-1, MAX_STEP + 1, True, "1", 1.0, None])
def test_a_step_is_a_number_within_its_bounds(step: object) -> None:
    with pytest.raises(VaultError, match="step of a sealed file"):
        Context("acme", RUN, step, "model")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["", "Model", "weights", "model\n", None])
def test_a_kind_is_one_that_is_known(kind: object) -> None:
    with pytest.raises(VaultError, match="kind of a sealed file"):
        Context("acme", RUN, 0, kind)  # type: ignore[arg-type]


def test_no_other_tenant_has_an_enclaves_job() -> None:
    assert of_enclave(bytes(16)) == Context("enclave", "0" * 32, 0, "enclave")
    with pytest.raises(VaultError, match="belongs to the tenant enclave"):
        Context("acme", RUN, 0, "enclave")


def test_read_back() -> None:
    assert Context.of(Fields(GOOD.json, "key.context")) == GOOD


@pytest.mark.parametrize(
    "change", [{"step": "40"}, {"step": -1}, {"tenant": "A"}, {"kind": "other"}, {"more": 1}, {"tenant": "enclavé"}]
)
def test_a_file_that_says_something_else_is_refused(change: dict[str, Json]) -> None:
    with pytest.raises(VaultError):
        Context.of(Fields({**GOOD.json, **change}, "key.context"))
