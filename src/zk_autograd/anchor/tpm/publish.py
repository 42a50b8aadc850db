"""The anchor `tpm`: counting one more in a TPM, and having it sign counter and checkpoint together.

In this order, since a value that was signed must never be signed with another checkpoint:

    read            the counter stands at n
    count           from now on at n + 1, or more if another process counts as well
    certify         the TPM signs the checkpoint and where the counter stands
    compare         unless that is n + 1, another process came between, or the counter is new, and
                    begins above all that the TPM ever had: the signature is thrown away, and all is
                    done again
    remember        size, root and value, in tpm.jsonl of the register's state folder
    return

A crash anywhere leaves a value without a receipt, which is no harm: values grow, gaps are allowed.
The TPM itself remembers no checkpoint. What was published before is in `tpm.jsonl`, a file of the
trainer's own: it keeps two processes in order, and a register that was rolled back from going on,
and shows nothing to anybody else.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from zk_autograd.anchor.tpm.device import PATIENCE, Device, in_time, opened, require_tcti
from zk_autograd.anchor.tpm.receipt import KIND, qualifying, verify
from zk_autograd.anchor.tpm.structures import Statement
from zk_autograd.core import canonical
from zk_autograd.core.anchors import History, Receipt, SignedCheckpoint
from zk_autograd.core.canonical import Json
from zk_autograd.core.certificates import MAX_FILE, parse_pem
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import AnchorBehind, AnchorDown, AnchorError, AnchorForked, UsageError, VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.merkle import HASH_BYTES, verify_consistency
from zk_autograd.core.text import encode_base64
from zk_autograd.local.own_folders import home, make_own

MAX_LINE = 512
TRIES = 16
REMEMBERED = "tpm.jsonl"


class TpmAnchor:
    """The TPM that `tcti` names. `certificates`: those of its attestation key, for auditors who
    trust who issued them; `state`: the folder of all registers' folders, None for the user's."""

    kind = KIND

    def __init__(
        self, tcti: str, certificates: Sequence[bytes] = (), *, state: Path | None = None, patience: float = PATIENCE
    ) -> None:
        self._tcti = tcti
        self._certificates = tuple(certificates)
        self._state = state
        self._patience = patience

    @property
    def spec(self) -> str:
        return f"{KIND}:{self._tcti}"

    def publish(self, checkpoint: SignedCheckpoint, history: History) -> Sequence[Receipt]:
        """See core.anchors.Anchor. AnchorBehind and AnchorForked come from what was published
        before, as far as this machine remembers it."""
        with _remembered(self._folder(checkpoint.head), checkpoint) as remember:
            receipt, value = in_time(lambda: self._certified(checkpoint), self._patience)
            remember(value)
        return (receipt,)

    def require_continued(self, checkpoint: SignedCheckpoint, history: History) -> None:
        """See core.anchors.AskableAnchor: of what this machine remembers. The TPM isn't asked."""
        head, folder = checkpoint.head, self._folder(checkpoint.head)
        if not os.path.lexists(folder / REMEMBERED):
            return
        with _remembered(folder, checkpoint) as remember:
            if (before := remember.newest) is None:
                return
        size, root = before
        try:
            verify_consistency(size, head.size, root, head.root, history.consistency(size, head.size))
        except VerificationError as error:
            raise AnchorForked(f"a tree of {size} entries was signed by the TPM that ours does not continue") from error

    def _certified(self, checkpoint: SignedCheckpoint) -> tuple[Receipt, int]:
        with opened(self._tcti, checkpoint.head.origin) as device:
            for _ in range(TRIES):
                expected = device.read() + 1
                device.count()
                statement, signature = device.certify(qualifying(checkpoint.head))
                value = int.from_bytes(Statement.parse(statement).contents, "big")
                if value == expected:
                    return self._receipt(device, checkpoint, statement, signature), value
        raise AnchorDown(f"other processes count in the TPM {self._tcti} all the time")

    def _receipt(self, device: Device, checkpoint: SignedCheckpoint, statement: bytes, signature: bytes) -> Receipt:
        body: dict[str, Json] = {
            "statement": encode_base64(statement),
            "signature": encode_base64(signature),
            "key": device.public.hex(),
            "certificates": [encode_base64(certificate) for certificate in self._certificates],
        }
        receipt = Receipt(KIND, checkpoint.head.size, checkpoint.head.root, body)
        try:
            verify(receipt, checkpoint, None)
        except VerificationError as error:
            raise AnchorError(f"what the TPM {self._tcti} signed is not what it was asked for: {error}") from error
        return receipt

    def _folder(self, head: Checkpoint) -> Path:
        if self._state is not None:
            return self._state / head.origin.rpartition("/")[2]
        named = os.environ.get("XDG_STATE_HOME", "")
        state = Path(named) if os.path.isabs(named) else home("set XDG_STATE_HOME") / ".local" / "state"
        return state / "zk-autograd" / head.origin.rpartition("/")[2]


def open_anchor(rest: str) -> TpmAnchor:
    """The anchor of `tpm:TCTI` or `tpm:TCTI@FILE`, a PEM file with the certificates of the
    attestation key, its own first. UsageError."""
    tcti, _, file = rest.partition("@")
    if not tcti:
        raise UsageError(
            "the anchor tpm needs a TPM: tpm:device:/dev/tpmrm0, or tpm:swtpm:host=127.0.0.1,port=2321 for a software TPM"
        )
    require_tcti(tcti)
    return TpmAnchor(tcti, _certificates(Path(file)) if file else ())


def attestation_key(tcti: str, origin: str) -> bytes:
    """The TPMT_PUBLIC of the TPM's attestation key, which an auditor names. Makes the register's
    counter. AnchorDown, AnchorError."""

    def public() -> bytes:
        with opened(tcti, origin) as device:
            return device.public

    return in_time(public)


def _certificates(path: Path) -> list[bytes]:
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE + 1)
        return [certificate.public_bytes(Encoding.DER) for certificate in parse_pem(text, str(path))]
    except OSError as error:
        raise UsageError(f"the certificates of the TPM's key, {path}, can't be read: {error.strerror}") from error
    except VerificationError as error:
        raise UsageError(f"the certificates of the TPM's key can't be used: {error}") from error


class _Memory:
    """The publications so far, in an open, locked file: lines {"size": ..., "root": ..., "value":
    ...}. A torn last line, which a crash leaves, is written over."""

    def __init__(self, fd: int, path: Path, checkpoint: SignedCheckpoint) -> None:
        self._fd, self._path, self._head = fd, path, checkpoint.head
        end = os.fstat(fd).st_size
        tail = os.pread(fd, 2 * MAX_LINE, max(0, end - 2 * MAX_LINE))
        whole, _, torn = tail.rpartition(b"\n")
        self._end = end - len(torn)
        self.newest: tuple[int, bytes] | None = None
        if not whole:
            return
        size, root = self.newest = self._read(whole.rpartition(b"\n")[2])
        if size > self._head.size:
            raise AnchorBehind(
                f"a tree of {size} entries was signed by the TPM already, and ours has {self._head.size}"
            )
        if size == self._head.size and root != self._head.root:
            raise AnchorForked(f"another tree of {size} entries of this register was signed by the TPM: see {path}")

    def __call__(self, value: int) -> None:
        """Remembers the publication, with the counter's value."""
        line = canonical.encode({"size": self._head.size, "root": self._head.root.hex(), "value": str(value)}) + b"\n"
        try:
            os.ftruncate(self._fd, self._end)
            if os.pwrite(self._fd, line, self._end) != len(line):
                raise OSError(0, "only a part was written")
            os.fsync(self._fd)
        except OSError as error:
            raise AnchorDown(f"{self._path} can't be written: {error.strerror}; free some space") from error

    def _read(self, line: bytes) -> tuple[int, bytes]:
        try:
            fields = Fields(canonical.decode(line, max_bytes=MAX_LINE), "line")
            size, root = fields.integer("size", 0, canonical.MAX_INTEGER), fields.hex("root", HASH_BYTES)
            fields.text("value", 20)
            fields.end()
        except VerificationError as error:
            raise AnchorError(f"the last line of {self._path} was altered: {error}; restore the file") from error
        return size, root


@contextmanager
def _remembered(folder: Path, checkpoint: SignedCheckpoint) -> Iterator[_Memory]:
    """What was published before, and that nobody else publishes now. AnchorError."""
    path = folder / REMEMBERED
    try:
        make_own(folder)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise AnchorError(f"{path} can't be opened: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield _Memory(fd, path, checkpoint)
    finally:
        os.close(fd)
