"""A host and an enclave, two processes: what leaves, what a host could show of it, and what it is
told."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.anchor.rfc3161.authority import OpenSsl, holder, served
from tests.enclave.hostile_host import HostileHost, carry_on
from tests.enclave.hosting import SECRET, bench, demonstration, records, secret_job
from tests.enclave.instances import NATIVE, RUN_ID, STEPS
from zk_autograd import verify_run
from zk_autograd.core.anchors import Receipt
from zk_autograd.core.errors import RunError, VerificationError
from zk_autograd.core.register import View
from zk_autograd.enclave import host as host_module
from zk_autograd.enclave.host import Hosted
from zk_autograd.enclave.job import Job
from zk_autograd.enclave.relay.kept import Kept, sealed_beside
from zk_autograd.enclave.relay.leaving import SEALED, leaving
from zk_autograd.enclave.stamping import anchors_of
from zk_autograd.evidence.layout import is_public
from zk_autograd.vault.context import of_enclave
from zk_autograd.vault.holder.recipient import RecipientKey
from zk_autograd.vault.keys import RECIPIENT, KeyFile
from zk_autograd.vault.seal import unsealed


@dataclass(frozen=True)
class Change:
    """A file's change, as the enclave sent it."""

    way: str
    path: str
    at: int
    data: bytes


@dataclass(frozen=True)
class Taken:
    """A run that a host took part in without changing anything, and all that it saw."""

    found: Hosted
    host: HostileHost
    job: Job
    policy: Path
    dek: bytes
    recipient: RecipientKey
    said: list[str]

    @property
    def changes(self) -> list[Change]:
        found: list[Change] = []
        for frame in self.host.seen:
            if frame.channel != "output" or frame.inward:
                continue
            if frame.kind == b"W" and frame.word["do"] != "end":
                found.append(Change(str(frame.word["do"]), str(frame.word["path"]), int(str(frame.word["at"])), b""))
            elif frame.kind == b"D":
                last = found.pop()
                found.append(Change(last.way, last.path, last.at, last.data + frame.payload))
        return found


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Taken]:
    path = tmp_path_factory.mktemp("taken")
    host, recipient = HostileHost(carry_on), RecipientKey.generate()
    job = secret_job({**NATIVE, "seed": 123456789}, recipient=recipient.public, checkpoint_every=2)
    root = holder("a root", ca=True)
    policy = demonstration(path / "own", root.pem)
    authority = OpenSsl(path / "tsa", holder("an authority", root))
    with bench(path) as table, served(authority) as url:
        folder, anchors = table.sealed(job), anchors_of([f"rfc3161:{url}"])
        found = table.host(folder, launch=host.launching(table.launch), anchors=anchors)
        key_file = KeyFile.parse((folder / "job.key.json").read_bytes())
        dek = table.place.kek.unwrap(key_file.wrap(RECIPIENT).wrapped, of_enclave(RUN_ID))
        yield Taken(found, host, job, policy, dek, recipient, table.said)


@pytest.mark.slow
def test_what_comes_out_is_a_run_that_zk_verify_passes(taken: Taken) -> None:
    assert taken.found.complete, taken.said
    report = verify_run(taken.found.out, policy=taken.policy)
    assert report.failure is None
    assert report.verdict == "L0, L1, L2 (emulated)"
    assert taken.host.records() == records(taken.found.out)
    assert taken.found.troubles == ()


@pytest.mark.slow
def test_no_private_byte_crosses_the_relay(taken: Taken) -> None:
    """The host sees all that crosses: neither the job nor its key, nor what was computed of it."""
    outward, inward = taken.host.crossed(inward=False), taken.host.crossed(inward=True)
    _, data = taken.job.encode(), taken.job.table
    lines = [line for line in data.split(b"\n")[1:] if line]
    assert SECRET in data
    private = [SECRET, b"sesame", b"kind 0", b"123456789", taken.dek, taken.dek.hex().encode(), *lines]
    for secret in private:
        assert secret not in outward
        assert secret not in inward
        assert not any(secret in line.encode() for line in taken.said)
    # Weights, states and gradients are private too: those that the recipient gets are looked for.
    model = opened(taken, "model")
    from safetensors.numpy import load

    for tensor in load(model).values():
        raw = np.ascontiguousarray(tensor).tobytes()
        for at in range(0, len(raw) - 15, 16):
            if any(raw[at : at + 16]):
                assert raw[at : at + 16] not in outward


def opened(taken: Taken, name: str) -> bytes:
    """What was sealed for the recipient."""
    folder = sealed_beside(taken.found.out)
    key_file = KeyFile.parse((folder / f"{name}.key.json").read_bytes())
    dek = taken.recipient.unwrap(key_file.wrap(RECIPIENT).wrapped, key_file.context)
    return unsealed((folder / f"{name}.enc").read_bytes(), key_file.context, dek, key_file.ciphertext)


@pytest.mark.slow
def test_only_public_and_sealed_files_leave(taken: Taken) -> None:
    paths = {change.path for change in taken.changes}
    assert all(is_public(path) or path.startswith(f"{SEALED}/") for path in paths)
    assert all(leaving(path) is not None for path in paths)
    assert {f"{SEALED}/checkpoint-2.enc", f"{SEALED}/checkpoint-4.key.json", f"{SEALED}/model.enc"} <= paths
    assert len(opened(taken, "checkpoint-2")) > 100


@pytest.mark.slow
def test_nothing_but_the_job_goes_in_so_there_is_no_old_disk_to_restore(taken: Taken) -> None:
    """Sealed checkpoints are for their recipient: an enclave reads none, and asks for none."""
    asked = {(frame.channel, frame.name) for frame in taken.host.seen if frame.inward}
    assert asked == {("input", "start"), ("input", "key"), ("input", "job"), ("tunnel", "broker"), ("output", "")}
    answers = [f for f in taken.host.seen if f.channel == "output" and f.inward]
    assert all(set(frame.word) == {"held", "refused"} for frame in answers)


def stamps(taken: Taken, run: Path) -> list[bytes]:
    """The host's own receipts for what the run shows of its register."""
    path = run / "register/views.jsonl"
    shown = {View.parse(line).head.size for line in path.read_bytes().splitlines()} if path.exists() else set()
    found = (taken.found.out / "anchors/receipts.jsonl").read_bytes().splitlines()
    return [line for line in found if (r := Receipt.parse(line)).kind == "rfc3161" and r.size in shown]


def kept(taken: Taken, root: Path, changes: list[Change]) -> Path:
    """What an honest end makes of these changes."""
    keeping = Kept(root)
    for change in changes:
        keeping.put(change.way, change.path, change.at, len(change.data), iter([change.data]))
    for line in stamps(taken, root):
        keeping.add("anchors/receipts.jsonl", line)
    return root


@pytest.mark.long
def test_what_a_host_holds_is_at_any_moment_a_run_that_stopped_there(taken: Taken, tmp_path: Path) -> None:
    changes = taken.changes
    first = next(i for i, change in enumerate(changes) if change.path == "anchors/receipts.jsonl")
    shown: list[tuple[str, int]] = []
    for end in range(first + 1, len(changes) + 1):
        report = verify_run(kept(taken, tmp_path / str(end), changes[:end]), policy=taken.policy)
        assert report.failure is None, (end, changes[end - 1].path, report.failure)
        assert report.summary is not None
        shown.append((report.verdict, report.summary.steps))
    assert shown[0][1] == 0
    assert shown[-1] == ("L0, L1, L2 (emulated)", STEPS)


# ---- what a host could show, that answers as it should and keeps what it likes -------------------


def _flipped(change: Change) -> Change:
    data = bytearray(change.data)
    data[len(data) // 2] ^= 1
    return Change(change.way, change.path, change.at, bytes(data))


def written(taken: Taken, root: Path, changes: list[Change]) -> Path:
    """The files of these changes, however they follow each other: what a host can write."""
    found: dict[str, bytes] = {}
    for change in changes:
        found[change.path] = (found.get(change.path, b"") if change.way == "append" else b"") + change.data
    for path, data in found.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    with suppress(VerificationError):
        lines = stamps(taken, root)
        with (root / "anchors/receipts.jsonl").open("ab") as file:
            file.write(b"".join(line + b"\n" for line in lines))
    return root


def _variants(changes: list[Change]) -> Iterator[tuple[str, list[Change]]]:
    for i, change in enumerate(changes):
        before, after = changes[:i], changes[i + 1 :]
        yield f"without {change.path}", before + after
        yield f"{change.path} altered", [*before, _flipped(change), *after]
        yield f"{change.path} again", [*changes, change]
        if after:
            yield f"{change.path} later", [*before, after[0], change, *after[1:]]
    for one in [c for c in changes if c.path == "log/checkpoint"][:-1]:
        yield "log/checkpoint older", [*changes, one]


@pytest.mark.long
def test_a_host_that_keeps_what_it_likes_shows_nothing_false(taken: Taken, tmp_path: Path) -> None:
    """Each of the files left out, altered, repeated, in another order: it is found false, or it is
    the run, or its beginning."""
    own, passed = taken.host.records(), set()
    for number, (what, changes) in enumerate(_variants(taken.changes)):
        run = written(taken, tmp_path / str(number), changes)
        report = verify_run(run, policy=taken.policy)
        if report.failure is not None:
            assert not report.levels, what
            continue
        assert report.summary is not None
        size = report.summary.size  # of the view that the signed checkpoint covers: what is judged
        assert (size, records(run)[:size]) == (len(own), own), what
        passed.add(what)
    artefacts = ("environment.json", "config.toml", "hashes.json", "train_log.jsonl")
    for path in ("log/records.jsonl", "proofs/0-0", "register/views.jsonl", "attestation/document.json", *artefacts):
        assert f"{path} altered" not in passed
        assert f"without {path}" not in passed
    assert not {"register/views.jsonl again", "log/checkpoint older"} & passed
    assert {"log/checkpoint again", "without sealed/model.enc"} <= passed  # as a host that does as it should


class Unsure:
    """An instance whose tool fails at the questions with these numbers; it ends at the last."""

    def __init__(self, failing: set[int], last: int) -> None:
        self.asked, self._failing, self._last = 0, failing, last

    def ended(self) -> bool:
        self.asked += 1
        if self.asked in self._failing:
            raise RunError("nitro-cli describe-enclaves failed with 1")
        return self.asked >= self._last

    def stop(self) -> None:
        pass


def test_a_tool_that_fails_for_a_moment_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody could resume it. One that fails for longer than `UNSURE` is an error: an enclave that
    has ended would be waited for without end."""
    times = [100.0]
    monkeypatch.setattr(host_module, "monotonic", lambda: times[0])
    short = Unsure({1, 2, 4}, 5)
    watched = host_module.Watched(short)
    while not watched.ended():
        times[0] += host_module.UNSURE / 2
    assert short.asked == 5
    watched = host_module.Watched(Unsure(set(range(99)), 99))
    assert not watched.ended()
    times[0] += host_module.UNSURE + 1
    with pytest.raises(RunError, match="describe-enclaves failed"):
        watched.ended()
