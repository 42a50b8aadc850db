"""The verifier with a check taken out: what the tests use to see that an attack is real, and that
nothing else masks it.

Each of these patches one check, or the few that overlap, and gives back the submission as the
weakened auditor would look at it. A check inside a statement can't be taken out of a proof that was
made with it; so `statements` gives the verifier the statements that the proofs were made for, as
one would have who doesn't bind them to the header, the step or the block.
"""

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from attacks.on_runs.links_and_pipes import elsewhere_of
from attacks.on_runs.weight_decay_claimed import HALF
from attacks.tools.attempt import Scene, Submission
from attacks.tools.hollow import HollowSystem
from attacks.tools.victim import CIRCUIT
from zk_autograd.core.records import Header, Log, Prover, Segment
from zk_autograd.core.statement import Statement, StatementBuilder
from zk_autograd.core.trust import Missing
from zk_autograd.evidence.layout import LOG, PROOFS, RECORDS, proof_name
from zk_autograd.evidence.run import Evidence
from zk_autograd.local import own_folders
from zk_autograd.prove.commitments import ProofCommitments
from zk_autograd.prove.ezkl import child
from zk_autograd.prove.ezkl.circuit import catalogue
from zk_autograd.prove.ezkl.verify import EzklSystem, installed_ezkl
from zk_autograd.prove.native import verify as native_verify
from zk_autograd.prove.native.shape import Shape
from zk_autograd.prove.native.verify import NativeCircuit, NativeSystem, Public
from zk_autograd.verify import chain, proofs, verifier
from zk_autograd.verify.outcome import Finding, Level, Outcome, Status
from zk_autograd.verify.uncovered import Uncovered

TakenOut = Callable[[pytest.MonkeyPatch, Scene, Submission], Submission]
Place = tuple[int, int]

_PASSED = Outcome(Finding(Status.PASSED))


def _nothing(*_: object) -> None:
    return None


def _patching(*targets: tuple[object, str, object]) -> TakenOut:
    def take_out(patch: pytest.MonkeyPatch, scene: Scene, submission: Submission) -> Submission:
        for owner, name, value in targets:
            patch.setattr(owner, name, value)
        return submission

    return take_out


def both(*parts: TakenOut) -> TakenOut:
    """Several that overlap."""

    def take_out(patch: pytest.MonkeyPatch, scene: Scene, submission: Submission) -> Submission:
        for part in parts:
            submission = part(patch, scene, submission)
        return submission

    return take_out


def _last_step(log: Log, *_: object) -> int:
    return log.segments[-1].last


signatures = _patching((verifier, "check_signatures", lambda *_: _PASSED))
log = _patching((verifier, "check_log", lambda *_: replace(_PASSED, shown=frozenset({Level.L0}))))
order = _patching((chain, "_check_segments", _last_step))
"""Segments are numbered, their steps follow on, each begins where the one before ended."""
states = _patching((chain, "_compare", _nothing))
"""Each segment begins where the one before ended."""
salts = _patching((chain, "_check_salts", _nothing))
"""No salt of the first state stands there twice."""
zeros = _patching((chain, "_check_zero", _nothing))
end = _patching((chain, "_check_close", _nothing))
one_proof = _patching((proofs, "_check", _nothing), (proofs, "_read", lambda *_: b""))
"""All that is done with a proof: it is there, has the record's hash, verifies, speaks of the
record's commitments."""
spoken = _patching((proofs, "_compare", _nothing))
"""A proof speaks of the record's commitments."""
rates_read = _patching((Header, "declared", None))
"""A record has rates only where the header declares no schedule: here they are read in any case,
and count."""
model = _patching((verifier, "check_model", lambda *_: (None, _PASSED)))
artefacts = _patching((verifier, "check_artefacts", lambda *_: _PASSED))
given = _patching((verifier, "check_given", lambda *_: _PASSED))
"""What the auditor asks about is a file of the model's."""
uncovered = _patching((verifier, "check_uncovered", lambda *_: Uncovered((), False, 0)))
"""Names that no record names are looked for."""
links = both(_patching((os, "O_NOFOLLOW", 0)), uncovered)
"""A link is not followed; and one that bears a file's name is none of the run's files."""


closed_temporary = _patching((own_folders, "_open_to", lambda place, status, sticky: ""))
"""Temporary folders are made only where nobody else can exchange them."""


def own_place(patch: pytest.MonkeyPatch, scene: Scene, submission: Submission) -> Submission:
    """A child process looks for modules in a folder of its own: here it looks where its caller
    stands."""
    popen = subprocess.Popen

    def where_the_caller_stands(*arguments: Any, cwd: object = None, **options: Any) -> "subprocess.Popen[bytes]":
        return popen(*arguments, **options)

    patch.setattr(child, "PYTHON", (sys.executable,))
    patch.setattr(subprocess, "Popen", where_the_caller_stands)
    return submission


def context(patch: pytest.MonkeyPatch, scene: Scene, submission: Submission) -> Submission:
    """Proofs are bound to the header's digest: the verifier takes the victim's."""
    digest = scene.victim.forgery().digest
    original = StatementBuilder.__init__

    def init(self: StatementBuilder, header: Header, _: bytes) -> None:
        original(self, header, digest)

    patch.setattr(StatementBuilder, "__init__", init)
    return submission


@dataclass(frozen=True, slots=True)
class _Moved(Statement):
    """A statement at another segment than the one that its context names."""

    original: Statement

    @classmethod
    def to(cls, segment: int, s: Statement) -> "_Moved":
        return cls(s.header_digest, segment, s.first_step, s.block, s.block_size, s.constants, s)

    @property
    def context(self) -> bytes:
        return self.original.context


_PUBLIC_OF = Public.of


def _public_of_original(shape: Shape, statement: Statement) -> Public:
    """A native proof is bound to whether its segment is the first, besides: that of the place where
    it came from counts."""
    return _PUBLIC_OF(shape, statement.original if isinstance(statement, _Moved) else statement)


def statements(moved: Mapping[Place, Place] | None = None) -> TakenOut:
    """Proofs are bound to header, place and constants: the verifier takes the victim's, of the
    place where a proof came from."""

    def take_out(patch: pytest.MonkeyPatch, scene: Scene, submission: Submission) -> Submission:
        run = scene.victim.forgery()
        builder = StatementBuilder(run.header, run.digest)
        originals = {(s.index, s_.block): s_ for s in run.segments for s_ in builder.of_segment(s)}

        def of_segment(self: StatementBuilder, segment: Segment) -> list[Statement]:
            places = [(segment.index, block) for block in range(len(run.header.blocks))]
            return [_Moved.to(segment.index, originals[(moved or {}).get(place, place)]) for place in places]

        patch.setattr(StatementBuilder, "of_segment", of_segment)
        patch.setattr(Public, "of", _public_of_original)
        return submission

    return take_out


def _of_first_segment(self: StatementBuilder, segment: Segment) -> list[Statement]:
    return [_Moved.to(segment.index, s) for s in _OF_SEGMENT(self, replace(segment, index=0, first=1, last=1))]


_OF_SEGMENT = StatementBuilder.of_segment
place = _patching((StatementBuilder, "of_segment", _of_first_segment), (Public, "of", _public_of_original))
"""Proofs are bound to segment and step: every segment's are taken for the first one's."""


def proof_length(patch: pytest.MonkeyPatch, scene: Scene, submission: Submission) -> Submission:
    """A proof has its circuit's length."""
    if scene.backend == "native":
        honest, split = scene.victim.forgery().proofs, native_verify.split
        cut_off = {proof + b"\0": proof for proof in honest.values()}

        def cut_first(shape: Shape, proof: bytes) -> tuple[list[bytes], bytes]:
            return split(shape, cut_off.get(proof, proof))

        patch.setattr(native_verify, "split", cut_first)
        return submission
    from zk_autograd.prove.ezkl import verify

    original = verify.commitments_of

    def cut(circuit: catalogue.Circuit, proof: bytes) -> ProofCommitments:
        return original(circuit, proof[: circuit.proof_bytes])

    patch.setattr(verify, "commitments_of", cut)
    return replace(submission, systems={"ezkl": EzklSystem(scene.ezkl.cache, installed_ezkl())})


def srs(patch: pytest.MonkeyPatch, scene: Scene, submission: Submission) -> Submission:
    """An SRS is allowed by its digest: here every SRS that the run names is."""
    return replace(submission, policy=replace(submission.policy, srs=frozenset({scene.ezkl.trapdoor_run.srs})))


def sample(beacon: str | None) -> TakenOut:
    """A sample is not L1, and its seed is the verifier's: here the auditor accepts one, drawn from
    a beacon (None: the policy's)."""

    def take_out(patch: pytest.MonkeyPatch, scene: Scene, submission: Submission) -> Submission:
        policy = submission.policy
        changed = replace(policy, sample=policy.sample or 3, beacon=beacon or policy.beacon, accept_sample=True)
        return replace(submission, policy=changed)

    return take_out


def own_circuit(patch: pytest.MonkeyPatch, scene: Scene, submission: Submission) -> Submission:
    """The circuit is the verifier's own: here it is the run's, and so is the key."""
    hollow = scene.ezkl.hollow
    return replace(submission, systems={"ezkl": HollowSystem(scene.ezkl.cache, hollow.circuit, hollow.verifier)})


def own_key(patch: pytest.MonkeyPatch, scene: Scene, submission: Submission) -> Submission:
    """The verifying key is made by the verifier: here it is the run's."""
    system = HollowSystem(scene.ezkl.cache, catalogue.load(CIRCUIT), scene.ezkl.hollow.verifier)
    return replace(submission, systems={"ezkl": system})


def proved_as(change: Callable[[Public], Public]) -> TakenOut:
    """The public part of a native proof is rebuilt from the records: here it is what the proof was
    made for."""
    return _patching((Public, "of", lambda shape, statement: change(_PUBLIC_OF(shape, statement))))


def _decayed(public: Public) -> Public:
    (c1, c2, rate, eps, _), *rest = public.constants
    return public._replace(decay=True, constants=[(c1, c2, rate, eps, HALF), *rest])


decayed = proved_as(_decayed)
undecayed = proved_as(lambda p: p._replace(decay=False, constants=[(*c[:4], 0) for c in p.constants]))
standard = proved_as(lambda p: p._replace(preset="standard"))
not_first = proved_as(lambda p: p._replace(first=False))
adamw = proved_as(lambda p: _decayed(p)._replace(rule="adamw"))


class _AnyDigest(NativeSystem):
    """Takes every digest for its own."""

    def circuit(self, prover: Prover) -> NativeCircuit | Missing:
        found = super().circuit(prover)
        if not isinstance(found, Missing):
            return replace(found, digest=prover.circuit_digest)
        return found


own_digest = both(adamw, lambda patch, scene, submission: replace(submission, systems={"native": _AnyDigest()}))
"""The circuit is the verifier's own: here it is the one that the run's digest is of."""


def read_once(patch: pytest.MonkeyPatch, scene: Scene, submission: Submission) -> Submission:
    """Each file is read once: here a proof is read again after its hash was found right."""
    original = proofs._read

    def twice(segment: Segment, block: int, files: Evidence) -> bytes:
        original(segment, block, files)
        return (submission.path / PROOFS / proof_name(segment.index, block)).read_bytes()

    patch.setattr(proofs, "_read", twice)
    return submission


def regular(name: str) -> TakenOut:
    """A file is a regular one: here it may be a pipe, which is none of the run's files either, and
    somebody writes to it what the file held."""

    def take_out(patch: pytest.MonkeyPatch, scene: Scene, submission: Submission) -> Submission:
        uncovered(patch, scene, submission)
        patch.setattr(stat, "S_ISREG", lambda mode: True)
        patch.setattr(os, "O_NONBLOCK", 0)
        path, data = submission.path / name, elsewhere_of(submission.path).read_bytes()
        threading.Thread(target=path.write_bytes, args=(data,), daemon=True).start()
        return submission

    return take_out


records_pipe = regular(f"{LOG}/{RECORDS}")
proof_pipe = regular(f"{PROOFS}/{proof_name(0, 0)}")
