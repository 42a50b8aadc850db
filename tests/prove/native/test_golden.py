"""The format is frozen: a stored proof verifies, and proving again gives the same bytes, on every
machine."""

import json
from hashlib import sha256
from typing import Any

import pytest

from tests.prove.native.golden import FOLDER, STORED, cases
from zk_autograd.prove.native.verify import Public, split

pytestmark = pytest.mark.usefixtures("native_prover")

CASES: dict[str, dict[str, Any]] = json.loads((FOLDER / "cases.json").read_text())
PROOF = (FOLDER / f"{STORED}.proof").read_bytes()


def stored_public(name: str) -> Public:
    found = {field: CASES[name][field] for field in Public._fields}
    return Public(
        **{**found, "constants": [tuple(c) for c in found["constants"]], "context": bytes.fromhex(found["context"])}
    )


def test_stored_proof_is_the_one_that_is_listed() -> None:
    assert (len(PROOF), sha256(PROOF).hexdigest()) == (CASES[STORED]["bytes"], CASES[STORED]["sha256"])
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 10**6


def test_stored_proof_verifies_for_its_public_part_alone() -> None:
    from zk_autograd import _native

    commitments, body = split(cases()[STORED].shape, PROOF)
    public = stored_public(STORED)
    _native.verify(*public, commitments, body)
    first, *rest = public.constants
    for other in (
        public._replace(context=bytes(32)),
        public._replace(first=False),
        public._replace(preset="strict"),
        public._replace(rule="adamw"),
        public._replace(constants=[(*first[:2], first[2] + 1, *first[3:]), *rest]),
    ):
        with pytest.raises(_native.ProofError):
            _native.verify(*other, commitments, body)


@pytest.mark.parametrize("name", cases())
def test_public_part_and_circuit_are_those_of_the_format(name: str) -> None:
    assert cases()[name].public == {key: value for key, value in CASES[name].items() if key not in ("bytes", "sha256")}


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n == STORED else pytest.mark.slow) for n in cases()])
def test_proving_again_gives_the_same_bytes(name: str) -> None:
    proof = cases()[name].prove()
    assert (len(proof), sha256(proof).hexdigest()) == (CASES[name]["bytes"], CASES[name]["sha256"])
