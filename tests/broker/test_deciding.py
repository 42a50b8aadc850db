"""What a broker decides: once for each run, for the enclave that the policy allows, and written
down before it is said."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from tests.broker.brokers import (
    OTHER_PCRS,
    OTHER_RUN,
    PCRS,
    RUN,
    Enclave,
    Place,
    add_job,
    nonce_of,
    policy_text,
    random_nonce,
)
from zk_autograd.broker.deciding import KEPT_SECONDS, MAX_OPEN_NONCES, NONCE_SECONDS, Broker
from zk_autograd.broker.decision import Decision
from zk_autograd.broker.messages import Answer, Release, Request
from zk_autograd.core.attestation import Collateral, release_digest
from zk_autograd.core.errors import StorageError
from zk_autograd.core.merkle import leaf_hash as hashed
from zk_autograd.core.merkle import root, verify_consistency
from zk_autograd.core.note import open_note, parse_checkpoint
from zk_autograd.tee.device import document_of
from zk_autograd.tee.device.emulated import EmulatedDevice
from zk_autograd.vault.context import of_enclave
from zk_autograd.vault.errors import VaultError

NOW = 1_800_000_000


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def broker(place: Place) -> Iterator[Broker]:
    with place.opened() as one:
        yield one


def refused(broker: Broker, request: Request) -> str:
    """The reason of a refusal, which is signed, logged, and has no key."""
    size = parse_checkpoint(open_note(broker.checkpoint(), [broker.key]).text).size
    decision, note = broker.release(request)
    answer = Answer.parse(note, broker.key)
    answer.about(request)
    assert not decision.granted
    assert answer.wrapped == b""
    assert answer.decision == decision
    assert answer.position == size
    assert Decision.parse(broker.entries(size, size + 1)[0]) == decision
    return decision.reason


def test_a_key_is_released_to_the_enclave_that_attests_the_request(place: Place, broker: Broker) -> None:
    enclave = Enclave()
    request = enclave.request(RUN, nonce_of(broker))
    decision, note = broker.release(request)
    assert (decision.granted, decision.release, decision.run) == (True, 1, RUN)
    assert (decision.root, decision.measurement) == ("emulated", f"PCR0 {PCRS[0].hex()}")
    assert decision.document == sha256(request.document.raw).digest()
    assert decision.policy == sha256(place.policy.read_bytes()).digest()
    answer = Answer.parse(note, broker.key)
    answer.about(request)
    context = Release(RUN, request.document.nonce)
    assert enclave.key.unwrap(answer.wrapped, context) == place.deks[RUN]
    for other in (Release(OTHER_RUN, context.nonce), Release(RUN, bytes(32)), of_enclave(RUN)):
        with pytest.raises(VaultError):
            enclave.key.unwrap(answer.wrapped, other)


def test_a_clone_gets_nothing_and_is_named(place: Place, broker: Broker) -> None:
    """Attack: the host starts the image twice. The second instance would train beside the first,
    under the same run."""
    first, clone = Enclave(), Enclave()
    requests = [enclave.request(RUN, nonce_of(broker)) for enclave in (first, clone)]
    assert broker.release(requests[0])[0].granted
    assert "was released before (decision 0 of this log)" in refused(broker, requests[1])
    entries = list(map(Decision.parse, broker.entries(0, 9)))
    assert [entry.granted for entry in entries] == [True, False]
    assert entries[1].release_key == sha256(clone.key.public).digest()
    assert broker.release(Enclave().request(OTHER_RUN, nonce_of(broker, OTHER_RUN)))[0].granted


def test_as_many_releases_as_the_operator_says(tmp_path: Path) -> None:
    with Place(tmp_path, releases=2).opened() as broker:
        found = [broker.release(Enclave().request(RUN, nonce_of(broker)))[0] for _ in range(3)]
    assert [(one.granted, one.release) for one in found] == [(True, 1), (True, 2), (False, 0)]


def test_a_nonce_is_for_one_request(tmp_path: Path) -> None:
    """Attack: the host sends a request again, and would have the key wrapped twice."""
    with Place(tmp_path, releases=5).opened() as broker:
        request = Enclave().request(RUN, nonce_of(broker))
        assert broker.release(request)[0].granted
        assert "nonce was used before" in refused(broker, request)
        assert "nonce was used before" in refused(broker, Enclave().request(RUN, request.document.nonce))


def test_a_refused_request_has_used_its_nonce(broker: Broker) -> None:
    nonce = nonce_of(broker)
    refused(broker, Enclave(EmulatedDevice(OTHER_PCRS)).request(RUN, nonce))
    assert "nonce was used before" in refused(broker, Enclave().request(RUN, nonce))


def test_a_nonce_of_another_run_is_refused_and_not_used_up(broker: Broker) -> None:
    nonce = nonce_of(broker, OTHER_RUN)
    assert "given for another run" in refused(broker, Enclave().request(RUN, nonce))
    assert broker.release(Enclave().request(OTHER_RUN, nonce))[0].granted


def test_a_nonce_that_nobody_gave_is_refused(broker: Broker) -> None:
    assert "was not given by this broker" in refused(broker, Enclave().request(RUN, random_nonce()))


def test_a_nonce_ends(tmp_path: Path) -> None:
    times = [float(NOW)]
    clocked = Place(tmp_path, clock=lambda: times[0], releases=3)
    device = EmulatedDevice(PCRS, lambda: datetime.fromtimestamp(times[0], UTC))
    with clocked.opened() as broker:
        nonces = [nonce_of(broker) for _ in range(3)]
        times[0] += NONCE_SECONDS
        assert broker.release(Enclave(device).request(RUN, nonces[0]))[0].granted
        times[0] += 1
        assert "the nonce has ended" in refused(broker, Enclave(device).request(RUN, nonces[1]))
        times[0] += KEPT_SECONDS + 1
        nonce_of(broker)
        assert "or long ago" in refused(broker, Enclave(device).request(RUN, nonces[2]))


def test_nonces_of_a_run_are_bounded(broker: Broker) -> None:
    """Attack: with 16 requests, somebody would hold the run's enclave off for five minutes. The
    newest is always good, and what is kept is bounded."""
    other = nonce_of(broker, OTHER_RUN)
    nonces = [nonce_of(broker) for _ in range(MAX_OPEN_NONCES + 1)]
    assert "was not given by this broker, or long ago" in refused(broker, Enclave().request(RUN, nonces[0]))
    weak = Enclave(EmulatedDevice(OTHER_PCRS))  # a refusal uses a nonce up, and no release
    assert "the policy allows" in refused(broker, weak.request(RUN, nonces[1]))
    assert broker.release(Enclave().request(RUN, nonces[-1]))[0].granted
    assert broker.release(Enclave().request(OTHER_RUN, other))[0].granted


def test_nothing_is_verified_without_a_nonce(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: requests with nonces of one's own, to have signatures checked and a key unwrapped."""
    used = Enclave().request(RUN, nonce_of(broker))
    broker.release(used)
    monkeypatch.setattr(Broker, "_judged", lambda *_: pytest.fail("it was verified"))
    for request in (Enclave().request(RUN, random_nonce()), used, Enclave().request(RUN, nonce_of(broker, OTHER_RUN))):
        assert "nonce" in refused(broker, request)


def test_a_run_whose_key_is_not_held(place: Place, broker: Broker) -> None:
    third = bytes(16)
    assert broker.nonce(third) is None
    dek = add_job(place.jobs, place.kek, third)
    enclave = Enclave()
    _, note = broker.release(enclave.request(third, nonce_of(broker, third)))
    found = Answer.parse(note, broker.key)
    assert enclave.key.unwrap(found.wrapped, Release(third, found.decision.nonce)) == dek
    request = Enclave().request(RUN, nonce_of(broker))
    (place.jobs / f"{RUN.hex()}.key.json").unlink()
    assert "holds no key of that run" in refused(broker, request)


@pytest.mark.parametrize("what", ["run", "release key", "nonce"])
def test_a_document_about_something_else_is_refused(what: str, broker: Broker) -> None:
    """Attack: a document of an honest enclave, under a request for another run, or with the host's
    own release key: the key would be wrapped for the host."""
    enclave, nonce = Enclave(), nonce_of(broker)
    request = enclave.request(RUN, nonce)
    if what == "run":
        request = enclave.request(RUN, nonce, attested=OTHER_RUN)
    if what == "release key":
        request = replace(request, document=replace(request.document, release_key=Enclave().key.public))
    if what == "nonce":
        request = replace(request, document=replace(request.document, nonce=nonce_of(broker)))
    assert "attests another run, release key or nonce" in refused(broker, request)


def test_another_measurement_is_refused(broker: Broker) -> None:
    """Attack: another image, which would send the key to its host."""
    reason = refused(broker, Enclave(EmulatedDevice(OTHER_PCRS)).request(RUN, nonce_of(broker)))
    assert "is none that the policy allows" in reason


def test_a_debug_enclave_is_refused(broker: Broker) -> None:
    assert "debug" in refused(broker, Enclave(EmulatedDevice({})).request(RUN, nonce_of(broker)))


def test_a_production_policy_refuses_the_emulated_root_by_name(place: Place) -> None:
    place.policy.write_text(policy_text(emulated=False))
    with place.opened() as broker:
        assert "emulated" in refused(broker, Enclave().request(RUN, nonce_of(broker)))


def test_a_changed_document_is_refused(broker: Broker) -> None:
    request = Enclave().request(RUN, nonce_of(broker))
    for position in (0, len(request.document.raw) // 2, len(request.document.raw) - 1):
        raw = bytearray(request.document.raw)
        raw[position] ^= 1
        changed = replace(request, document=replace(request.document, raw=bytes(raw), nonce=nonce_of(broker)))
        assert refused(broker, changed)
    assert broker.release(request)[0].granted


def test_a_document_that_has_ended_is_refused(tmp_path: Path) -> None:
    """By the broker's clock: a document's own says what its maker likes."""
    with Place(tmp_path, clock=lambda: NOW).opened() as broker:
        assert refused(broker, Enclave().request(RUN, nonce_of(broker)))


@pytest.mark.parametrize("kind", ["snp", "sgx"])
def test_a_kind_that_the_policy_has_no_table_for_is_refused(kind: str, broker: Broker) -> None:
    request = Enclave().request(RUN, nonce_of(broker))
    other = replace(request, document=replace(request.document, kind=kind))
    assert f"no attestation of kind {kind}" in refused(broker, other)


@pytest.mark.parametrize("what", ["short", "no element of ML-KEM's", "an X25519 point of small order"])
def test_a_release_key_of_no_use_is_refused(what: str, broker: Broker) -> None:
    """Attack: to the last one, X25519's part of the key would be known to everybody."""
    enclave, nonce = Enclave(), nonce_of(broker)
    key = enclave.key.public
    bad = {"short": key[:-1], "no element of ML-KEM's": b"\xff" * 1184 + key[1184:]}.get(what, key[:1184] + bytes(32))
    document = document_of(enclave.device, release_digest(RUN, bad, nonce), bad, nonce)
    assert "the run's key can't be released" in refused(broker, Request(RUN, document, Collateral()))


def test_a_clock_that_is_not_set_releases_nothing(tmp_path: Path) -> None:
    with Place(tmp_path, clock=lambda: 0.0).opened() as broker, pytest.raises(StorageError, match="clock is not set"):
        broker.release(Enclave().request(RUN, random_nonce()))


def test_two_enclaves_with_one_nonce_and_eight_at_once(place: Place, broker: Broker) -> None:
    """Attack: eight instances ask at the same time, two with one nonce each. One gets the key."""
    nonces = [nonce_of(broker) for _ in range(4)]
    requests = [Enclave().request(RUN, nonces[number // 2]) for number in range(8)]
    barrier, found = threading.Barrier(8), list[tuple[Decision, bytes]]()

    def ask(request: Request) -> None:
        barrier.wait()
        found.append(broker.release(request))

    threads = [threading.Thread(target=ask, args=(request,)) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert sum(decision.granted for decision, _ in found) == 1
    assert sum(bool(Answer.parse(note, broker.key).wrapped) for _, note in found) == 1
    leaves = broker.entries(0, 100)
    assert sum(Decision.parse(leaf).granted for leaf in leaves) == 1
    head = parse_checkpoint(open_note(broker.checkpoint(), [broker.key]).text)
    assert (head.size, head.root) == (8, root(list(map(hashed, leaves))))
    assert sum("nonce was used before" in decision.reason for decision, _ in found) == 4


def test_nonces_and_the_count_outlive_the_broker(place: Place) -> None:
    with place.opened() as broker:
        key = broker.key
        used, unused, late = (nonce_of(broker) for _ in range(3))
        assert broker.release(Enclave().request(RUN, used))[0].granted
    with place.opened() as broker:
        assert broker.key == key
        assert "nonce was used before" in refused(broker, Enclave().request(RUN, used))
        assert "was released before" in refused(broker, Enclave().request(RUN, unused))
    place.releases = 2
    with place.opened() as broker:
        assert broker.release(Enclave().request(RUN, late))[0].release == 2


def test_the_log_only_grows(broker: Broker) -> None:
    heads = []
    for _ in range(9):
        broker.release(Enclave().request(RUN, random_nonce()))
        heads.append(parse_checkpoint(open_note(broker.checkpoint(), [broker.key]).text))
    for one in heads:
        for other in heads[one.size - 1 :]:
            proof = broker.consistency(one.size, other.size)
            assert proof is not None
            verify_consistency(one.size, other.size, one.root, other.root, proof)
    assert broker.consistency(3, 10) is None
    assert broker.consistency(4, 3) is None
    assert len(broker.entries(2, 5)) == 3
    assert broker.entries(9, 99) == []


def test_no_key_is_in_what_the_broker_keeps(place: Place) -> None:
    with place.opened() as broker:
        broker.release(Enclave().request(RUN, nonce_of(broker)))
        broker.release(Enclave().request(RUN, nonce_of(broker)))
    for path in place.state.iterdir():
        data = path.read_bytes()
        for secret in (*place.deks.values(), place.kek.secret_text.split()[1].encode()):
            assert secret not in data
            assert secret.hex().encode() not in data
