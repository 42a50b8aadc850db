"""Keys of workers, and a small run that a cluster proves."""

from dataclasses import dataclass
from pathlib import Path

from tests.run.native_run import create, train
from tests.run.test_coordinator import require_right
from zk_autograd.run.events import Event, ProofDone, ProofFailed
from zk_autograd.vault.holder.recipient import RecipientKey
from zk_autograd.workers.choice import Proving

STEPS = 28
"""Three segments and a half, of two blocks each."""


@dataclass(frozen=True)
class Keys:
    """A worker's key, in its two files."""

    key: RecipientKey
    private: Path
    public: Path

    @classmethod
    def make(cls, folder: Path, name: str = "worker.key") -> "Keys":
        key, private = RecipientKey.generate(), folder / name
        public = folder / (name + ".pub")
        private.write_text(key.secret_text, encoding="ascii")
        private.chmod(0o600)
        public.write_text(key.recipient.text, encoding="ascii")
        return cls(key, private, public)


def proved_by(path: Path, name: str, keys: Keys, *, steps: int = STEPS, during: object = None) -> list[Event]:
    """The events of a run that these workers prove; `during()` is called at its first proof."""
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        if isinstance(event, ProofDone) and callable(during) and sum(isinstance(e, ProofDone) for e in events) == 1:
            during()

    writer = create(path, workers=Proving(name, (keys.public,)).workers(), on_event=listen)
    try:
        train(writer, steps)
        writer.close()
    except BaseException:
        writer.abandon()
        raise
    require_right(path, steps)
    return events


def done(events: list[Event]) -> list[tuple[int, int]]:
    """Which proofs were made, in their order."""
    return [(e.segment, e.block) for e in events if isinstance(e, ProofDone)]


def reasons(events: list[Event]) -> list[str]:
    """Why proofs failed."""
    return [e.reason for e in events if isinstance(e, ProofFailed)]


ALL = [(segment, block) for segment in range(4) for block in range(2)]
