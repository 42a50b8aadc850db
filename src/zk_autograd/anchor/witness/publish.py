"""The anchor `witness`: a register's checkpoint is cosigned by the witnesses of a C2SP tlog-policy,
each at the URL of its line there (C2SP tlog-witness, its submission prefix).

All of them are asked at once; a publication succeeds if those that cosigned are the policy's
quorum. `log` lines of the policy with the register's origin are the keys that sign it: with them a
witness that has another branch is told from one that lies.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

from zk_autograd.anchor.witness.client import LIMITS, Client
from zk_autograd.anchor.witness.receipt import KIND, require_no_log_key, require_usable
from zk_autograd.anchor.witness.submission import Given, LockedHistory, Submission, by_url
from zk_autograd.core.anchors import History, Kept, Receipt, SignedCheckpoint
from zk_autograd.core.errors import AnchorBehind, AnchorDown, AnchorError, AnchorForked, UsageError, VerificationError
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.note import SignatureLine, signature_line
from zk_autograd.core.text import counted, quoted
from zk_autograd.core.tlog_policy import MAX_BYTES, TlogPolicy, parse
from zk_autograd.evidence.pace import Limits
from zk_autograd.evidence.url import Address, parse_url
from zk_autograd.local.named_files import read_named

_AT_ONCE = 32
_T = TypeVar("_T")


class WitnessAnchor:
    """The witnesses of a policy, as many as have a URL there.

    `keys`: the register's own, under its origin, beside those of the policy's `log` lines.
    `failures`: of the last publication, what is to be said of each witness that didn't cosign,
    also where the quorum was reached without it.
    """

    kind = KIND

    def __init__(self, policy: TlogPolicy, spec: str, keys: Sequence[PublicKey] = (), limits: Limits = LIMITS) -> None:
        """UsageError for a policy by which nothing can be anchored."""
        self.spec = spec
        self.failures: tuple[str, ...] = ()
        self._policy = policy
        self._keys = tuple(keys)
        self._limits = limits
        self._cosigned: dict[bytes, int] = {}  # by URL, what it cosigned for us last: never what it only names
        try:
            require_usable(policy)
        except VerificationError as error:
            raise UsageError(f"{spec}: {error}") from error
        self._names = {url: names for url, names in by_url(policy).items() if url}
        self._addresses = {url: _address(url, spec) for url in self._names}
        if not policy.quorum([name for names in self._names.values() for name in names]):
            raise UsageError(f"{spec}: the witnesses that have a URL in this tlog-policy are no quorum of it: add URLs")

    def publish(self, checkpoint: SignedCheckpoint, history: History) -> Sequence[Receipt]:
        """See core.anchors.Anchor. One receipt with all cosignatures."""
        try:
            require_no_log_key(checkpoint, self._policy)
        except VerificationError as error:
            raise AnchorError(f"{self.spec}: {error}") from error
        submission = Submission(checkpoint, LockedHistory(history), self._policy, self._own(checkpoint.head.origin))
        lines: dict[bytes, SignatureLine] = {}
        errors: dict[bytes, AnchorError] = {}
        lost: list[str] = []
        for url, result in _at_once(lambda url: self._asked(url, submission), self._names):
            if isinstance(result, AnchorError):
                errors[url] = result
                continue
            lines |= result.lines
            if result.lost is not None:
                lost.append(
                    f"the witness at {self._addresses[url]} has forgotten a tree of {self._cosigned[url]} entries that it cosigned, and named "
                    f"{result.lost}: it was restored from a copy, or has two databases, and no longer excludes forks"
                )
        self.failures = (*lost, *self._told(lines, errors))
        for fork in errors.values():
            if isinstance(fork, AnchorForked) and fork.note:
                raise AnchorForked(self._message(), fork.note)
        if not self._policy.quorum(lines):
            raise self._failed(lines, errors)
        for url, names in self._names.items():
            if any(name in lines for name in names):
                self._cosigned[url] = checkpoint.head.size
        text = "".join(
            signature_line(line.name, line.key_id, line.signature)
            for name in self._policy.witnesses
            if (line := lines.get(name))
        )
        head = checkpoint.head
        return (Receipt(KIND, head.size, head.root, {"signatures": text}),)

    def know(self, keys: Sequence[PublicKey]) -> None:
        """See core.anchors.KnowingAnchor."""
        self._keys = tuple({key.raw: key for key in (*self._keys, *keys)}.values())

    def require_continued(self, checkpoint: SignedCheckpoint, history: History) -> None:
        """See core.anchors.AskableAnchor: of what each witness shows to monitors. One that shows
        nothing holds nothing as far as is known; AnchorDown unless a quorum of them answers."""
        own = self._own(checkpoint.head.origin)
        if not own:
            raise AnchorDown(f"{self.spec} can't be asked before: it has no log lines with the register's keys")
        submission = Submission(checkpoint, LockedHistory(history), self._policy, own)
        errors: dict[bytes, AnchorError] = {}
        for url, error in _at_once(lambda url: self._compared(url, submission), self._names):
            if error is not None:
                errors[url] = error
        told = "; ".join(f"the witness at {self._addresses[url]}: {error}" for url, error in errors.items())
        for error in errors.values():
            if isinstance(error, AnchorForked):
                raise AnchorForked(told, error.note)
        if any(isinstance(error, AnchorBehind) for error in errors.values()):
            raise AnchorBehind(told)
        if not self._policy.quorum([name for url, names in self._names.items() if url not in errors for name in names]):
            raise AnchorDown(f"those that answered are no quorum of {self.spec}: {told}")

    def _compared(self, url: bytes, submission: Submission) -> AnchorError | None:
        client = Client(self._addresses[url], self._limits)
        try:
            submission.require_continued(client)
        except AnchorError as error:
            return error
        finally:
            client.close()
        return None

    def read(self, origin: str) -> Sequence[Kept]:
        """See core.anchors.ReadableAnchor: the newest checkpoint that each witness shows, without
        entries, which witnesses don't keep. AnchorDown unless a quorum of them answers, be it that
        they have none."""
        found: list[Kept] = []
        errors: dict[bytes, AnchorError] = {}
        for url, shown in _at_once(lambda url: self._shown(url, origin), self._names):
            if isinstance(shown, AnchorError):
                errors[url] = shown
            elif shown is not None:
                found.append(Kept(shown))
        self.failures = tuple(f"the witness at {self._addresses[url]}: {error}" for url, error in errors.items())
        if not self._policy.quorum([name for url, names in self._names.items() if url not in errors for name in names]):
            raise AnchorDown(f"those that answered are no quorum of {self.spec}: {self._message()}")
        return found

    def _shown(self, url: bytes, origin: str) -> bytes | AnchorError | None:
        client = Client(self._addresses[url], self._limits)
        try:
            return client.checkpoint(origin)
        except AnchorError as error:
            return error
        finally:
            client.close()

    def _own(self, origin: str) -> tuple[PublicKey, ...]:
        """The keys that sign the register, as far as they are known."""
        listed = [log.key for log in self._policy.logs if log.key.name == origin]
        return tuple({key.raw: key for key in (*self._keys, *listed) if key.name == origin}.values())

    def _asked(self, url: bytes, submission: Submission) -> Given | AnchorError:
        client = Client(self._addresses[url], self._limits)
        old = self._cosigned.get(url, 0)
        try:
            return submission.send(client, old if old <= submission.checkpoint.head.size else 0)
        except AnchorError as error:
            return error
        finally:
            client.close()

    def _told(self, lines: Mapping[bytes, SignatureLine], errors: Mapping[bytes, AnchorError]) -> list[str]:
        told = []
        for url, names in self._names.items():
            for name in names:
                if name not in lines:
                    why = errors.get(url, "it gave no cosignature by this key")
                    told.append(f"the witness {quoted(name.decode('latin-1'))} at {self._addresses[url]}: {why}")
        return told

    def _message(self) -> str:
        return "; ".join(self.failures)

    def _failed(self, lines: Mapping[bytes, SignatureLine], errors: Mapping[bytes, AnchorError]) -> AnchorError:
        """The most telling error: a larger tree that was signed; else whether trying again may
        help, which it does if those that are down make the quorum, whatever one of the others says
        of a fork without showing it."""
        message = f"{counted(len(lines), 'cosignature')} and no quorum of {self.spec}: {self._message()}"
        if any(isinstance(error, AnchorBehind) for error in errors.values()):
            return AnchorBehind(message)
        down = [name for url, error in errors.items() if isinstance(error, AnchorDown) for name in self._names[url]]
        if self._policy.quorum([*lines, *down]):
            return AnchorDown(message)
        forked = any(isinstance(error, AnchorForked) for error in errors.values())
        return AnchorForked(message) if forked else AnchorError(message)


def open_anchor(rest: str) -> WitnessAnchor:
    """The anchor of `witness:POLICYFILE`. UsageError without a file, for one that is no
    tlog-policy, or by which nothing can be anchored; StorageError if it can't be read."""
    if not rest:
        raise UsageError(
            "the anchor witness needs a file with a C2SP tlog-policy, whose witnesses have URLs: witness:POLICYFILE"
        )
    path = Path(rest).absolute()
    data = read_named(path, "the tlog-policy", MAX_BYTES)
    try:
        policy = parse(data)
    except VerificationError as error:
        raise UsageError(f"{path} is no tlog-policy: {error}") from error
    return WitnessAnchor(policy, f"{KIND}:{path}")


def _at_once(ask: "Callable[[bytes], _T]", urls: Iterable[bytes]) -> "list[tuple[bytes, _T]]":
    """What is answered for each URL, in their order; at most `_AT_ONCE` are asked at a time. The
    threads hold up no process that ends."""
    asked = list(urls)
    left: SimpleQueue[bytes] = SimpleQueue()
    for url in asked:
        left.put(url)
    answers: dict[bytes, Future[_T]] = {url: Future() for url in asked}

    def work() -> None:
        with suppress(Empty):
            while True:
                url = left.get_nowait()
                try:
                    answers[url].set_result(ask(url))
                except BaseException as error:
                    answers[url].set_exception(error)

    for _ in range(min(len(asked), _AT_ONCE)):
        Thread(target=work, name="witness", daemon=True).start()
    return [(url, answers[url].result()) for url in asked]


def _address(url: bytes, spec: str) -> Address:
    try:
        return parse_url(url.decode("ascii"))
    except (UsageError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{spec}: the URL {quoted(url.decode('latin-1'))} of a witness can't be used: {error}"
        ) from error
