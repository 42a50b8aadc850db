"""Whatever is done to an honest run, no verdict is better than the truth, and no honest run is
refused."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.verify import run_builder
from tests.verify.ideal import WORLDS, world
from tests.verify.simulator import Simulator
from tests.verify.truth import Auditor, truth
from zk_autograd.core import record_bytes, register
from zk_autograd.core.anchors import Receipt
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.note import open_note, parse_unverified
from zk_autograd.core.statement import Statement
from zk_autograd.core.trust import Trust
from zk_autograd.evidence import model_files
from zk_autograd.verify import artefacts, chain, log, model, proofs, registered, statement, verifier
from zk_autograd.verify.outcome import Finding, Outcome, Status
from zk_autograd.verify.policy import TreeHead
from zk_autograd.verify.report import Report
from zk_autograd.verify.uncovered import Uncovered


def simulate(
    examples: int,
    steps: int,
    worlds: tuple[str, ...] = WORLDS,
    *,
    shrink: bool = True,
    seed: int | None = None,
    machine: type[Simulator] = Simulator,
) -> None:
    """So many attacks of so many changes: the same ones each time, others with another seed."""
    Simulator.worlds = worlds
    run_state_machine_as_test(
        machine if seed is None else hypothesis.seed(seed)(type("Seeded", (machine,), {})),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.usefixtures("native_prover")
@pytest.mark.parametrize("name", WORLDS)
def test_no_verdict_is_better_than_the_truth(name: str) -> None:
    simulate(5, 5, (name,))


@pytest.mark.usefixtures("native_prover")
@pytest.mark.long
@pytest.mark.parametrize("name", WORLDS)
def test_no_verdict_is_better_than_the_truth_in_thousands_of_attacks(name: str) -> None:
    simulate(1000, 12, (name,))


def test_honest_runs_are_judged_as_they_are() -> None:
    """The model of the truth says so too, so that no comparison is of two refusals."""
    for name in WORLDS:
        made = world(name)
        keys = tuple(signer.public_key.encode() for signer in made.run.signers)
        level = "L0" if made.backend == "none" else "L1"
        expected = truth(made.run.files, made.ledger, Auditor(keys, level))
        assert expected.levels == frozenset({"L0", level})
        assert (expected.withheld, expected.exact, expected.bad) == (False, True, frozenset())


# ---- the verifier with a check taken out ---------------------------------------------------------


def _nothing(*_: object, **__: object) -> None:
    return None


def _of_another_origin(view: log.LogView, given: TreeHead | None) -> Outcome:
    return _CHECK_LOG(replace(view, checkpoint=replace(view.checkpoint, origin=view.log.header.origin)), given)


def _of_unnamed_keys(view: log.LogView, keys: Sequence[PublicKey]) -> Outcome:
    header = replace(view.log.header, keys=tuple(key.encode() for key in keys))
    return _CHECK_SIGNATURES(replace(view, log=replace(view.log, header=header)), keys)


def _any_of_the_keys(note: bytes, keys: Sequence[PublicKey]) -> object:
    errors = []
    for key in keys:
        try:
            return _OPEN_NOTE(note, [key])
        except VerificationError as error:
            errors.append(error)
    raise errors[0]


def _lenient(data: bytes, **_: object) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        raise VerificationError(f"no JSON: {error}") from error


def _trusting(*_: object) -> Trust:
    return Trust("whoever made it", "nothing")


def _without_the_last(proofs: int, sample: int, *rest: Any) -> tuple[int, ...]:
    return tuple(range(min(sample, proofs)))


_CHECK_LOG, _CHECK_SIGNATURES, _OPEN_NOTE = log.check_log, log.check_signatures, open_note

TAKEN_OUT: dict[str, tuple[Any, str, Any]] = {
    "step 1: records are canonical": (record_bytes, "decode", _lenient),
    "step 1: a record has no other members": (Fields, "end", _nothing),
    "step 2: the pinned keys signed": (log, "open_note", _nothing),
    "step 2: all of them": (log, "open_note", _any_of_the_keys),
    "step 2: the header names them": (verifier, "check_signatures", _of_unnamed_keys),
    "step 3: the root is the log's": (log, "_compare", _nothing),
    "step 3: the note is the run's own": (verifier, "check_log", _of_another_origin),
    "step 1: the register is that of the header's keys": (record_bytes, "check_beginning", _nothing),
    "step 4: the pinned keys signed the register": (register, "open_note", lambda note, _: parse_unverified(note)),
    "step 4: an entry is in the register": (register, "verify_inclusion", _nothing),
    "step 4: each checkpoint continues the one before": (register, "verify_consistency", _nothing),
    "step 4: entries are this run's, its begin first": (
        registered._Reader,
        "_enter",
        lambda self, index, entry: self.entries.append((index, entry)),
    ),
    "step 4: entries are over the log's records": (registered, "require_the_logs", _nothing),
    "step 4: a receipt is for a checkpoint that is shown": (Receipt, "require_head", _nothing),
    "step 5: the circuit is the verifier's own": (statement, "_require_circuit", _nothing),
    "step 5: the SRS is allowed": (run_builder, "trusted_setup", _trusting),
    "step 6: segments are in order": (
        chain,
        "_check_segments",
        lambda log, _: max((s.last for s in log.segments), default=0),
    ),
    "step 6: states follow on": (chain, "_compare", _nothing),
    "step 6: no salt twice": (chain, "_check_salts", _nothing),
    "step 6: the first state is zero": (chain, "_check_zero", _nothing),
    "step 6: the close record agrees": (chain, "_check_close", _nothing),
    "step 7: proofs are looked at": (proofs, "_check", _nothing),
    "step 7: they speak of the records": (proofs, "_compare", _nothing),
    "step 7: they are the run's own": (Statement, "context", property(lambda self: bytes(32))),
    "step 7: first and last are in a sample": (proofs, "draw", _without_the_last),
    "step 10: the model's files are the close record's": (model, "_require", _nothing),
    "step 10: the model is looked at": (verifier, "check_model", lambda *_: (None, Outcome(Finding(Status.PASSED)))),
    "step 10: no entry beside the tensors": (model_files, "_require_bare", _nothing),
    "step 10: no tensor twice": (model_files, "_distinct", lambda name, pairs: dict(pairs)),
    "step 10: floats are the integers' rounding": (np, "flatnonzero", lambda _: np.zeros(0, np.int64)),
    "step 10: the trainer's own files are the close record's": (artefacts, "_require", _nothing),
    "step 10: hashes.json is theirs": (artefacts, "_compare", _nothing),
    "step 10: the auditor's file is one of the model's": (
        verifier,
        "check_given",
        lambda *_: Outcome(Finding(Status.PASSED)),
    ),
    "step 10: nothing lies beside": (verifier, "check_uncovered", lambda *_: Uncovered((), False, 0)),
    "step 11: who pins nothing is told so": (Report, "pinned", True),
}
"""Checks of the verifier, and what stands in their place."""


@pytest.mark.usefixtures("native_prover")
@pytest.mark.long
@pytest.mark.parametrize("check", TAKEN_OUT)
def test_it_sees_that_a_check_is_missing(check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(*TAKEN_OUT[check])
        with pytest.raises(AssertionError):
            if _of_the_register(check):
                simulate(4000, 3, _worlds(check), shrink=False, machine=OnTheRegister)
            else:
                simulate(4000, 8, _worlds(check), shrink=False)


def _worlds(check: str) -> tuple[str, ...]:
    """Those in which the check has something to say: step 4 of runs in a register."""
    return tuple(n for n in WORLDS if n != "golden" and ("registered" in n) == _of_the_register(check))


def _of_the_register(check: str) -> bool:
    return "register" in check or check.startswith("step 4")


_OTHER_RULES = [name for name, value in vars(Simulator).items() if hasattr(value, "hypothesis_stateful_rule")]
OnTheRegister: type[Simulator] = type("OnTheRegister", (Simulator,), dict.fromkeys(_OTHER_RULES))
"""An attacker who changes nothing but what RegisterRules do."""
