"""Sealed tasks: who can open one, and what of it can be changed."""

from pathlib import Path

import pytest

from tests.prove.executors.tasks import DIGEST, task
from tests.workers.clusters import Keys
from zk_autograd.core.errors import ProverError, UsageError, VerificationError, ZkError
from zk_autograd.prove.executors.protocol import Place
from zk_autograd.prove.executors.task import proof_of, prove_task
from zk_autograd.vault.errors import VaultError
from zk_autograd.vault.holder.recipient import Recipient, RecipientKey
from zk_autograd.vault.seal import sealed as vault_sealed
from zk_autograd.workers.sealing import (
    KEY_VARIABLE,
    TaskContext,
    answer_sealed,
    open_task,
    read_recipient,
    read_worker_key,
    seal_task,
)

PLACE = Place(DIGEST, 0, 0)
ONE, OTHER = RecipientKey.generate(), RecipientKey.generate()


def test_each_named_key_opens_a_task_and_no_other_does() -> None:
    sealed = seal_task(task(), PLACE, [ONE.recipient, OTHER.recipient])
    assert open_task(sealed, ONE) == open_task(sealed, OTHER) == task()
    with pytest.raises(ProverError, match="is none of those that the task is for"):
        open_task(sealed, RecipientKey.generate())


def test_nothing_of_a_task_is_in_its_seal() -> None:
    sealed = seal_task(task(), PLACE, [ONE.recipient])
    assert not any(
        task()[at : at + 8] in sealed
        for at in range(len(task()) - 4096, len(task()) - 8, 64)
        if task()[at : at + 8].strip(b"\0")
    )
    assert seal_task(task(), PLACE, [ONE.recipient]) != sealed


@pytest.mark.parametrize(
    "place", [Place(bytes(32), 0, 0), Place(DIGEST, 1, 0), Place(DIGEST, 0, 1)], ids=["run", "segment", "block"]
)
def test_a_seal_says_where_its_task_belongs_and_nobody_can_change_that(place: Place) -> None:
    """Whoever carries it could otherwise have a worker prove it as another run's."""
    sealed = seal_task(task(), PLACE, [ONE.recipient])
    for name in ("header_digest", "segment", "block"):
        one, other = getattr(PLACE, name), getattr(place, name)
        if isinstance(one, bytes):
            changed = sealed.replace(one.hex().encode(), other.hex().encode())
        else:
            changed = sealed.replace(f'"{name}":{one}'.encode(), f'"{name}":{other}'.encode())
        if changed != sealed:
            with pytest.raises(VaultError, match="does not open"):
                open_task(changed, ONE)
    with pytest.raises(VerificationError, match="for another place than the seal"):
        open_task(seal_task(task(), place, [ONE.recipient]), ONE)


def test_a_changed_or_cut_task_is_refused() -> None:
    sealed = seal_task(task(), PLACE, [ONE.recipient])
    for data in (sealed[:-1], sealed + b"x", sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed[:1000], b"", b"\xff" * 10):
        with pytest.raises(ZkError):
            open_task(data, ONE)


def test_a_worker_answers_with_the_key_that_its_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = Keys.make(tmp_path)
    sealed = seal_task(task(), PLACE, [keys.key.recipient])
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with pytest.raises(ProverError, match="this worker has no key: start it with ZK_WORKER_KEY=FILE"):
        proof_of(answer_sealed(sealed))
    monkeypatch.setenv(KEY_VARIABLE, str(keys.private))
    assert proof_of(answer_sealed(sealed)) == prove_task(task())
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "none"))
    with pytest.raises(ProverError, match=r"there is no worker's private key at .*zk-key new-worker-key"):
        proof_of(answer_sealed(sealed))


def test_keys_are_told_apart(tmp_path: Path) -> None:
    keys = Keys.make(tmp_path)
    assert read_recipient(keys.public) == keys.key.recipient
    assert read_worker_key(keys.private).public == keys.key.public
    with pytest.raises(UsageError, match=r"this is no recipient's public key.*FILE.pub"):
        read_recipient(keys.private)
    keys.private.chmod(0o644)
    with pytest.raises(UsageError, match="can be read by others"):
        read_worker_key(keys.private)


@pytest.mark.parametrize("place", [Place(bytes(32), 0, 0), Place(DIGEST, 1, 0), Place(DIGEST, 0, 1)])
@pytest.mark.parametrize("what", ["wrap", "ciphertext"])
def test_wrap_and_ciphertext_are_each_bound_to_the_place(
    place: Place, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them alone could otherwise be taken from another place."""
    own, other = TaskContext(PLACE), TaskContext(place)
    assert bytes(own) != bytes(other)
    real_wrap, real_sealed = Recipient.wrap, vault_sealed
    given: list[bytes] = []

    def wrap(self: Recipient, dek: bytes, context: TaskContext) -> bytes:
        given.append(bytes(context))
        return real_wrap(self, dek, other if what == "wrap" else context)

    def sealed(data: bytes, context: TaskContext, dek: bytes) -> bytes:
        given.append(bytes(context))
        return real_sealed(data, other if what == "ciphertext" else context, dek)

    monkeypatch.setattr(Recipient, "wrap", wrap)
    monkeypatch.setattr("zk_autograd.workers.sealing.sealed", sealed)
    changed = seal_task(task(), PLACE, [ONE.recipient])
    with pytest.raises(VaultError):
        open_task(changed, ONE)
    assert given == [bytes(own)] * 2
