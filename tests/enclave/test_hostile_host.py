"""What a hostile host can do to an enclave: the table below says of each whether it stops the run,
and with which words. Whatever it leaves to be shown is, in each case, a part of what the enclave
recorded, or is found false (`fair`): never a run that wasn't.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import pytest

from tests.anchor.rfc3161.authority import OpenSsl, holder, served
from tests.broker.brokers import OTHER_PCRS
from tests.enclave.hostile_host import Cut, Frame, Hook, HostileHost, Stalled
from tests.enclave.hosting import Bench, bench, demonstration, judged, records, secret_job
from tests.enclave.instances import NATIVE, NONE, RUN_ID, make_job
from tests.enclave.instances import table as table_of
from zk_autograd import verify_run
from zk_autograd.core.errors import RunError, VerificationError
from zk_autograd.enclave.host import Hosted
from zk_autograd.enclave.relay.kept import Kept
from zk_autograd.enclave.stamping import anchors_of
from zk_autograd.vault.holder.recipient import RecipientKey
from zk_autograd.verify.outcome import Level

RECORDS = "log/records.jsonl"
STOPS, GOES_ON = True, False


def fair(run: Path, own: list[bytes]) -> str:
    """ "nothing", "false", or what zk-verify shows of the run that lies there: a beginning of the
    records that the enclave made (`own`), and all of them if it is said to be complete."""
    lying = records(run)
    if not lying:
        return "nothing"
    try:
        report = judged(run)
    except VerificationError:
        return "false"
    if report.failure is not None:
        return "false"
    assert own[: len(lying)] == lying
    return f"{report.verdict} of {len(lying)} records"


# ---- what a host does ----------------------------------------------------------------------------


def flipped(data: bytes, at: int = -10) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def where(chosen: Callable[[Frame], bool], act: Callable[[Frame], list[Frame]]) -> Hook:
    return lambda frame: act(frame) if chosen(frame) else [frame]


def altered(frame: Frame) -> list[Frame]:
    return [replace(frame, payload=flipped(frame.payload))]


def cut(frame: Frame) -> list[Frame]:
    raise Cut


def stalled(frame: Frame) -> list[Frame]:
    raise Stalled


def named_otherwise(key_file: bytes) -> bytes:
    """A key file with the next digit in the first place of its ciphertext's name."""
    at = key_file.index(b'"sha256":"') + len(b'"sha256":"')
    return key_file[:at] + f"{(int(key_file[at : at + 1], 16) + 1) % 16:x}".encode() + key_file[at + 1 :]


def of_input(name: str) -> Callable[[Frame], bool]:
    return lambda frame: frame.channel == "input" and frame.name == name and frame.kind == b"D"


def of_broker(frame: Frame) -> bool:
    return frame.channel == "tunnel" and frame.inward and frame.kind == b""


def answer(number: int) -> Callable[[Frame], bool]:
    """The host's answer to one of the enclave's files."""
    return lambda frame: frame.channel == "output" and frame.inward and frame.number == number


@dataclass(frozen=True)
class Attack:
    """`hook` is what the host does; `stops`: whether the enclave stops; `said`: a part of what is
    said then. `gains`: what the cheat would have gained."""

    gains: str
    hook: Callable[[], Hook]
    stops: bool
    said: str = ""


ATTACKS = {
    "a bit of the sealed job": Attack(
        "other data under the owner's name",
        lambda: where(of_input("job"), altered),
        STOPS,
        "is not the one that the key file of run",
    ),
    "a sealed job cut short": Attack(
        "fewer rows than the owner gave",
        lambda: where(of_input("job"), lambda f: [replace(f, payload=f.payload[:-100])]),
        STOPS,
        "ended the connection",
    ),
    "a key file that names another ciphertext": Attack(
        "as above, with the key file to match",
        lambda: where(of_input("key"), lambda f: [replace(f, payload=named_otherwise(f.payload))]),
        STOPS,
        "is not the one that the key file of run",
    ),
    "no answer about the job": Attack(
        "an enclave that waits for ever", lambda: where(of_input("job"), stalled), STOPS, "says nothing"
    ),
    "a bit of the broker's answer": Attack(
        "a key of the host's choice",
        lambda: where(lambda f: of_broker(f) and len(f.payload) > 1000, altered),
        STOPS,
        "does not open here",
    ),
    "a broker that ends": Attack("nothing: it can always", lambda: where(of_broker, cut), STOPS, "broker"),
    "a broker that stalls": Attack(
        "an enclave that waits for ever", lambda: where(of_broker, stalled), STOPS, "broker"
    ),
    "an answer that a file is held, of another size": Attack(
        "an enclave that goes on without its record",
        lambda: where(answer(5), lambda f: [f.saying(held=7)]),
        STOPS,
        "says that it holds 7 bytes",
    ),
    "an answer cut": Attack("a record half kept", lambda: where(answer(5), cut), STOPS, "ended without a word"),
    "an answer that never comes": Attack(
        "an enclave that waits for ever", lambda: where(answer(5), stalled), STOPS, "says nothing for 3 seconds"
    ),
    "an answer twice": Attack(
        "an answer for a record that isn't kept yet",
        lambda: where(answer(5), lambda f: [f, f]),
        STOPS,
        "says that it holds",
    ),
    "an answer of garbage": Attack(
        "an enclave that fails in words of its own",
        lambda: where(answer(5), lambda f: [replace(f, payload=b"\xff{")]),
        STOPS,
        "protocol",
    ),
    "no lines for people": Attack("nothing", lambda: where(lambda f: f.channel == "say", cut), GOES_ON),
    "lines for people of its own": Attack(
        "words that the enclave didn't say: they are the host's, and no evidence",
        lambda: where(lambda f: f.channel == "say" and f.kind == b"W", lambda f: [f.saying(text="accuracy 100 %")]),
        GOES_ON,
    ),
    "an end said to be a failure": Attack(
        "a complete run called a failure: the host's word, which no verdict rests on",
        lambda: where(
            lambda f: f.channel == "output" and f.word.get("do") == "end", lambda f: [f.saying(ended="failed")]
        ),
        GOES_ON,
        "",
    ),
}


def attacked(
    table: Bench, hook: Hook, settings: object = NONE, **options: object
) -> tuple[Hosted | RunError, HostileHost]:
    """How a run under a hostile host ended."""
    host = HostileHost(hook)
    try:
        launch = host.launching(lambda address: table.launch(address, patience=3))
        return table.host(table.sealed(secret_job(settings)), launch=launch, **options), host  # type: ignore[arg-type]
    except RunError as error:
        return error, host


@pytest.mark.long
@pytest.mark.parametrize("name", ATTACKS)
def test_each_attack_stops_the_run_or_changes_nothing(tmp_path: Path, name: str) -> None:
    chosen = ATTACKS[name]
    with bench(tmp_path) as table:
        found, host = attacked(table, chosen.hook())
    assert host.acted, "the attack was never made"
    shown = fair(tmp_path / "out", host.records())
    if chosen.stops:
        assert not isinstance(found, Hosted) or not found.complete
        assert chosen.said in (str(found) if isinstance(found, RunError) else found.reason)
        assert not shown.endswith(" 4 records")
    else:
        assert isinstance(found, Hosted)
        assert shown == "L0 of 4 records"


# ---- what becomes of the job ---------------------------------------------------------------------


def reason(found: Hosted | RunError) -> str:
    return str(found) if isinstance(found, RunError) else found.reason


@pytest.mark.long
def test_an_image_started_twice_gets_the_jobs_key_once(tmp_path: Path) -> None:
    """Two runs of one job would let a host choose the one that it likes."""
    with bench(tmp_path) as table:
        job = table.sealed(secret_job())
        assert table.host(job, "first").complete
        second = table.host(job, "second")
        assert not second.complete
        assert "the broker refuses the key" in second.reason
    assert not (tmp_path / "second").exists()


@pytest.mark.long
def test_where_the_key_is_released_twice_there_are_two_logs_and_no_log_of_two_branches(tmp_path: Path) -> None:
    with bench(tmp_path, releases=2) as table:
        job = table.sealed(secret_job())
        runs = [table.host(job, name).out for name in ("first", "second")]
    one, other = [judged(run) for run in runs]
    assert one.failure is None
    assert other.failure is None
    keys = {record for run in runs for record in [records(run)[0]]}
    assert len(keys) == 2  # headers with two log keys, made in two instances
    mixed = tmp_path / "mixed"
    for run in runs:  # what a host could splice of the two
        kept = Kept(mixed / run.name)
        other_run = runs[1 - runs.index(run)]
        for path in sorted(p.relative_to(run) for p in run.rglob("*") if p.is_file()):
            data = ((other_run if path.name == "checkpoint" else run) / path).read_bytes()
            way = (
                "append"
                if path.suffix == ".jsonl" and path.parent.name
                else "replace"
                if path.name in ("checkpoint", "collateral.json")
                else "once"
            )
            kept.put(way, str(path), 0, len(data), iter([data]))
        assert fair(mixed / run.name, records(run)) == "false"


@pytest.mark.long
def test_another_measurement_gets_no_key(tmp_path: Path) -> None:
    """A host's own image would send the data to the host."""
    with bench(tmp_path) as table:
        found = table.host(table.sealed(secret_job()), launch=lambda address: table.launch(address, OTHER_PCRS))
        assert not found.complete
        assert "the broker refuses the key" in found.reason
    assert not (tmp_path / "out").exists()


@pytest.mark.long
def test_sealed_jobs_cant_be_swapped_between_runs(tmp_path: Path) -> None:
    """One owner's data would be trained, and its model published, under another run."""
    other_id = bytes(reversed(RUN_ID))
    with bench(tmp_path) as table:
        one, other = table.sealed(secret_job()), table.sealed(secret_job(run=other_id), "other")
        data = (one / "job.enc").read_bytes()
        (one / "job.enc").write_bytes((other / "job.enc").read_bytes())
        assert "is not the one that the key file of run" in table.host(one, "swapped").reason
        (one / "job.enc").write_bytes(data)
        # The other's key file, made to say this run: the key that is released for it is another.
        key_file = (other / "job.key.json").read_bytes().replace(other_id.hex().encode(), RUN_ID.hex().encode())
        (other / "job.key.json").write_bytes(key_file)
        found = table.host(other, "renamed")
        assert "does not open here" in found.reason, found
    assert not (tmp_path / "swapped").exists()
    assert not (tmp_path / "renamed").exists()


@pytest.mark.long
def test_a_job_of_the_hosts_own_under_the_owners_run_id_is_told_apart(tmp_path: Path) -> None:
    """The host seals another table under the owner's run id and for the owner's recipient, and a
    broker of its own releases the key: the owner's image trains it, and the model opens for the
    owner. What tells is the sealed job's hash, which the device signed."""
    owner = RecipientKey.generate()
    for name in ("owner", "host"):
        (tmp_path / name).mkdir()
    ca = holder("a root", ca=True)
    policy = demonstration(tmp_path / "auditor", ca.pem)
    authority = OpenSsl(tmp_path / "authority", holder("an authority", ca))
    with bench(tmp_path / "owner") as table, served(authority) as url:
        honest = table.sealed(make_job(NATIVE, recipient=owner.public))
        own = table.host(honest, anchors=anchors_of([f"rfc3161:{url}"]))
        with bench(tmp_path / "host") as other:
            mine = make_job({**NATIVE, "seed": 99}, table=table_of(rows=30, seed=666), recipient=owner.public)
            swapped = other.host(other.sealed(mine), anchors=anchors_of([f"rfc3161:{url}"]))
    text = policy.read_text()
    job = sha256((honest / "job.enc").read_bytes()).hexdigest()
    policy.write_text(text.replace("[attestation.nitro]", f'[attestation]\njob = "{job}"\n[attestation.nitro]'))
    assert Level.L2 in verify_run(own.out, policy=policy).levels
    report = verify_run(swapped.out, policy=policy)
    assert report.verdict == "UNPINNED"
    assert report.attestation is not None
    assert f"and not the policy's, {job}" in report.attestation.short[0]
    policy.write_text(text)  # whoever doesn't name the job is told that it may be anybody's
    report = verify_run(swapped.out, policy=policy)
    assert Level.L2 in report.levels
    assert any("whose it is" in limit for limit in report.limits)


@pytest.mark.long
def test_a_job_in_the_seal_of_another_run_is_refused(tmp_path: Path) -> None:
    with bench(tmp_path) as table:
        found = table.host(table.sealed(secret_job(), run=bytes(reversed(RUN_ID))))
        assert "the job in the seal is for another run" in found.reason
    assert not (tmp_path / "out").exists()


@pytest.mark.long
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{}", "what the host says of the start is malformed"),
        (b"\xff" * 100, "what the host says of the start is malformed"),
        (None, "start it with --broker"),
    ],
)
def test_a_start_that_makes_no_sense_is_one_sentence(tmp_path: Path, content: bytes | None, said: str) -> None:
    with bench(tmp_path) as table:
        if content is None:
            found: Hosted | RunError = table.host(table.sealed(secret_job()), start=table.start(broker=None))
        else:
            said_start = content

            def start(frame: Frame) -> list[Frame]:
                if frame.kind == b"W":
                    return [frame.saying(size=len(said_start))]
                return [replace(frame, payload=said_start)]

            found, _ = attacked(table, where(lambda f: f.channel == "input" and f.name == "start" and f.inward, start))
        assert said in reason(found)
