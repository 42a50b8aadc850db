"""Proofs made outside: a prover that is shown the witness, and that lies."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.enclave.hostile_host import Cut, Frame, Hook, HostileHost, carry_on
from tests.enclave.hosting import Bench, bench, judged, secret_job
from tests.enclave.instances import NATIVE
from tests.enclave.relay.pairs import hostile, read_until, served
from zk_autograd.core.constants import SgdConstants
from zk_autograd.core.errors import ProverError, VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import OUTSIDE
from zk_autograd.core.statement import Statement
from zk_autograd.enclave.host import Hosted
from zk_autograd.enclave.outside import OutsideProver
from zk_autograd.enclave.prover_host import HostProver
from zk_autograd.enclave.relay.kept import Kept
from zk_autograd.enclave.relay.server import Services
from zk_autograd.prove.native.preset import DEFAULT_PRESET
from zk_autograd.prove.native.shape import Shape, choose
from zk_autograd.prove.protocol import BlockWitness
from zk_autograd.prove.witness_bytes import Wanted


def hosted(table: Bench, hook: Hook, name: str = "job", **options: object) -> tuple[Hosted, HostileHost]:
    host = HostileHost(hook)
    job = secret_job(NATIVE, proving=OUTSIDE, run=name.encode().ljust(16, b"."))
    launch = host.launching(lambda address: table.launch(address, patience=60))
    found = table.host(table.sealed(job, name), f"out-{name}", launch=launch, proves=True, patience=60, **options)
    return found, host


def proof(host: HostileHost) -> bytes:
    """The first proof that the host gave."""
    return next(f.payload for f in host.seen if f.channel == "prove" and f.inward and f.kind == b"D")


def given(act: Callable[[Frame], list[Frame]], *, inward: bool, kind: bytes) -> Hook:
    return lambda f: act(f) if (f.channel, f.inward, f.kind) == ("prove", inward, kind) else [f]


def salted(name: str) -> Hook:
    """The host proves with another salt: a valid proof of the same statement, about other
    commitments."""

    def other(frame: Frame) -> list[Frame]:
        salts = dict(frame.word["salts"])  # type: ignore[call-overload]
        salts[name] = f"{int(salts[name][:2], 16) ^ 1:02x}{salts[name][2:]}"
        return [frame.saying(salts=salts)]

    return given(other, inward=False, kind=b"W")


@pytest.mark.long
def test_proofs_made_outside_are_checked_inside_and_the_run_says_so(tmp_path: Path) -> None:
    with bench(tmp_path) as table:
        found, host = hosted(table, carry_on)
        assert found.complete, (found, table.said)
        report = judged(found.out)
    assert report.verdict == "L0, L1"
    assert b'"proving":"outside"' in (found.out / "log/records.jsonl").read_bytes()
    assert proof(host) == (found.out / "proofs/0-0").read_bytes()


LIES: dict[str, tuple[Hook, str]] = {
    "garbage": (given(lambda f: [replace(f, payload=bytes(len(f.payload)))], inward=True, kind=b"D"), "the proof that the prover gave is refused"),
    "a bit of the proof": (
        given(lambda f: [replace(f, payload=f.payload[:-1] + bytes([f.payload[-1] ^ 1]))], inward=True, kind=b"D"),
        "the proof that the prover gave is refused",
    ),
    "another gradient's commitment": (salted("G"), "not about the gradient that was computed here"),
    "another state's commitment, before": (salted("W_in"), "not about the state before that was computed here"),
    "another state's commitment, after": (salted("W_out"), "not about the state after that was computed here"),
    "another step's proof": (
        given(lambda f: [f.saying(first=2)], inward=False, kind=b"W"), "the proof that the prover gave is refused"
    ),
    "another run's header": (
        given(lambda f: [f.saying(header="00" * 32)], inward=False, kind=b"W"), "the proof that the prover gave is refused"
    ),
    "nothing": (given(lambda f: _cut(), inward=False, kind=b"D"), "could not be proved in 3 attempts"),
    "a refusal": (
        given(lambda f: [replace(f.saying(refused="no time"), payload=b'{"refused":"no time"}')], inward=True, kind=b"W"),
        "the host refuses a proof: no time",
    ),
    "an endless proof": (given(lambda f: [f.saying(size=2**40)], inward=True, kind=b"W"), "word.size"),
}  # fmt: skip


def _cut() -> list[Frame]:
    raise Cut


@pytest.mark.long
@pytest.mark.parametrize("name", LIES)
def test_each_lie_of_a_prover_is_refused_by_name(tmp_path: Path, name: str) -> None:
    """It would sign a step that nobody computed: a foreign gradient, or another run's."""
    hook, said = LIES[name]
    with bench(tmp_path) as table:
        found, host = hosted(table, hook)
    assert host.acted
    assert not found.complete
    assert said in found.reason
    report = judged(found.out)
    assert report.failure is None  # what was recorded before is true: header and genesis
    assert report.summary is not None
    assert (report.summary.size, report.summary.steps, report.summary.finished) == (2, 0, False)


@pytest.mark.long
def test_a_proof_of_another_witness_is_refused(tmp_path: Path) -> None:
    """One training's proof under another's record."""
    with bench(tmp_path) as table:
        _, host = hosted(table, carry_on, "first")
        old = proof(host)

        def replayed(frame: Frame) -> list[Frame]:
            if (frame.channel, frame.inward) != ("prove", True):
                return [frame]
            return [frame.saying(size=len(old))] if frame.kind == b"W" else [replace(frame, payload=old)]

        found, _ = hosted(table, replayed, "second")
    assert not found.complete
    assert "the proof that the prover gave is refused" in found.reason


@pytest.mark.long
def test_a_host_that_proves_nothing_says_so(tmp_path: Path) -> None:
    with bench(tmp_path) as table:
        job = secret_job(NATIVE, proving=OUTSIDE)
        found = table.host(table.sealed(job))
    assert "this host proves nothing: it was started without a prover" in found.reason


# ---- bytes ---------------------------------------------------------------------------------------


def small() -> tuple[Wanted, Statement, BlockWitness]:
    """A witness of zeros under steps that change nothing."""
    shape: Shape = choose(Rule.SGD, [4], 2, DEFAULT_PRESET)
    prover = shape.prover
    steps, block = prover.steps, prover.block
    start, end = np.arange(2 * block, dtype=np.int64).reshape(2, block)
    gradients = -1 - np.arange(steps * block, dtype=np.int32).reshape(steps, block)
    salts = {"W_in": b"1" * 32, "W_out": b"2" * 32, "G": b"3" * 32}
    witness = BlockWitness({"W": start}, {"W": end + 2**40}, gradients, salts)
    statement = Statement(bytes(range(32)), 3, 7, 0, 4, (SgdConstants.no_op(15),) * steps)
    return Wanted.of(prover, statement, witness), statement, witness


def test_what_is_wanted_is_read_as_it_was_written() -> None:
    wanted, statement, witness = small()
    data = b"".join(wanted.data(statement, witness))
    assert len(data) == wanted.size
    again = Wanted.parse(Fields(dict(wanted.word()), "word"))
    assert again == wanted
    read, found = again.read(data)
    assert read == statement
    assert found.salts == witness.salts
    for got, given in ((found.start, witness.start), (found.end, witness.end)):
        assert got["W"].dtype == np.int64
        assert np.array_equal(got["W"], given["W"])
    assert found.gradients.dtype == np.int32
    assert np.array_equal(found.gradients, witness.gradients)


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 1}, {"salts": {}}, {"salts": {"W_in": "0", "W_out": "00", "G": "00"}}, {"elements": 0}, {"elements": 2**20}, {"elements": 2**30}, {"more": 1},
        {"header": "00"}, {"segment": -1}, {"prover": {}},
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_is_refused(changes: dict[str, object]) -> None:
    wanted, _, _ = small()
    with pytest.raises(VerificationError):
        Wanted.parse(Fields(dict(wanted.word()) | changes, "word"))  # type: ignore[arg-type]


@pytest.mark.parametrize("changes", [{"block": 2**22}, {"backend": "none"}, {"circuit": "x"}, {"steps": 3}])
def test_another_prover_is_refused(changes: dict[str, object]) -> None:
    wanted, _, _ = small()
    word: dict[str, Any] = dict(wanted.word())
    word["prover"] = word["prover"] | changes
    with pytest.raises(VerificationError):
        Wanted.parse(Fields(word, "word"))


def test_a_witness_that_breaks_the_rule_is_refused_by_the_host(tmp_path: Path) -> None:
    wanted, statement, witness = small()
    services = Services({}, Kept(tmp_path / "run"), prove=HostProver(tmp_path))
    with (
        served(tmp_path, services, 60) as (relay, _),
        pytest.raises(ProverError, match="the host refuses a proof: no proof was made"),
    ):
        OutsideProver(wanted.prover, relay.prover).prove(statement, witness)


def test_a_prover_that_stalls_is_not_waited_for_without_end(tmp_path: Path) -> None:
    wanted, statement, witness = small()
    end = b"".join(wanted.data(statement, witness))[-8:]

    def stall(connection) -> None:  # type: ignore[no-untyped-def]
        read_until(connection, end)
        connection.recv(1)

    with (
        hostile(tmp_path, stall, 5) as relay,
        pytest.raises(ProverError, match=r"no proof came from outside: the host says nothing for 0\.3 s"),
    ):
        OutsideProver(wanted.prover, relay.prover, patience=0.3).prove(statement, witness)


def test_who_proves_outside_neither_commits_nor_checks() -> None:
    wanted, statement, _ = small()
    prover = OutsideProver(wanted.prover, lambda: pytest.fail("asked"))
    for call in (
        prover.draw_salt, lambda: prover.commit(None, b""), lambda: prover.commit_all([]), lambda: prover.check(statement, b""),
    ):  # fmt: skip
        with pytest.raises(NotImplementedError):
            call()
