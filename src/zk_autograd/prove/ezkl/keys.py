"""The SRS and the keys made from it, in the user's cache folder, found by digest.

    <cache>/srs/<SHA-256 of the file>
    <cache>/keys/<circuit digest>-<SRS digest>/{settings.json, network.onnx, network.compiled,
                                                vk.key, pk.key, digests.json}

Whoever made an SRS can forge proofs under it, so nobody but the user puts one here, and a verifier
takes one only by a digest that the auditor allowed. The verifying key depends on circuit and SRS
alone; a verifier makes it here and takes none from a run. The folder is `$ZK_AUTOGRAD_CACHE`, else
`$XDG_CACHE_HOME/zk-autograd`, else `~/.cache/zk-autograd`. It is refused if anybody but the caller
can write to it. Keys are used only as they were made: digests.json has the SHA-256 of each file,
and if it is missing (an older version's keys) or a file has changed, the keys are regenerated.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from zk_autograd.core.errors import ProverError, UsageError
from zk_autograd.local.named_files import open_named, refusal
from zk_autograd.local.own_folders import home, is_own, make_own, require_own, temporary_folder
from zk_autograd.prove.ezkl.child import Child
from zk_autograd.prove.ezkl.circuit.catalogue import Circuit
from zk_autograd.prove.ezkl.circuit.relations import LOGROWS

SETUP_SECONDS = 900.0
SRS_SECONDS = 3600.0
DIGESTS_FORMAT = "zk-autograd/keys/v1"
DIGESTS = "digests.json"
_MAX_DIGESTS = 4096
_OPEN_CACHE = "set ZK_AUTOGRAD_CACHE to a folder of your own"
_POINT = 64  # an affine point of G1 in the file; one of G2 takes twice that
MAX_LOGROWS = 26
_MAX_FILE = 2**40


def default_cache(environment: Mapping[str, str] = os.environ) -> Path:
    """The cache folder for these environment variables; it need not exist yet. UsageError for one
    that depends on the current folder, and if there is no home folder for it."""
    if chosen := environment.get("ZK_AUTOGRAD_CACHE"):
        if not os.path.isabs(chosen):
            raise UsageError(
                f"ZK_AUTOGRAD_CACHE is {chosen[:100]!r}, which depends on the current folder: give it an absolute path"
            )
        return Path(chosen)
    if os.path.isabs(base := environment.get("XDG_CACHE_HOME", "")):  # its specification ignores relative ones
        return Path(base) / "zk-autograd"
    return home("set ZK_AUTOGRAD_CACHE to a folder of your own") / ".cache" / "zk-autograd"


@dataclass(frozen=True, slots=True)
class Keys:
    """The files that EZKL needs for one circuit under one SRS. `pk` is missing where only a
    verifier needed them."""

    folder: Path
    srs: Path

    @property
    def settings(self) -> Path:
        return self.folder / "settings.json"

    @property
    def compiled(self) -> Path:
        return self.folder / "network.compiled"

    @property
    def vk(self) -> Path:
        return self.folder / "vk.key"

    @property
    def pk(self) -> Path:
        return self.folder / "pk.key"

    def are_as_made(self, circuit: Circuit, *, proving: bool) -> bool:
        """Whether everything that a verifier or a prover needs is there, belongs to the caller, and
        is byte for byte as it was made for this circuit."""
        names = ["network.compiled", "vk.key", *(["pk.key"] if proving else [])]
        files = (self.folder / name for name in (DIGESTS, "settings.json", "network.onnx", *names))
        if not is_own(self.folder) or not all(map(is_own, files)):
            return False
        try:
            if (self.folder / DIGESTS).stat().st_size > _MAX_DIGESTS:
                return False
            made = json.loads((self.folder / DIGESTS).read_bytes())
            return (
                made["format"] == DIGESTS_FORMAT
                and self.settings.read_bytes() == circuit.settings
                and (self.folder / "network.onnx").read_bytes() == circuit.onnx
                and all(file_digest(self.folder / name).hex() == made["files"][name] for name in names)
            )
        except (OSError, UsageError, ValueError, KeyError, TypeError):
            return False


def srs_logrows(path: Path) -> int:
    """The size of an SRS file, as the logarithm of its rows. UsageError if it isn't one,
    StorageError if it can't be read."""
    with open_named(path, "the SRS", _MAX_FILE) as fd:
        logrows = int.from_bytes(os.pread(fd, 4, 0), "little")
        length = os.fstat(fd).st_size
    if not 1 <= logrows <= MAX_LOGROWS or length != 4 + 2 * _POINT * 2**logrows + 4 * _POINT:
        raise UsageError(f"{path} is not an SRS file: its size doesn't agree with its first bytes")
    return logrows


def file_digest(path: Path) -> bytes:
    """SHA-256 of a file. UsageError if it isn't one, StorageError if it can't be read."""
    digest = sha256()
    with open_named(path, "the file", _MAX_FILE) as fd:
        while chunk := os.read(fd, 2**20):
            digest.update(chunk)
    return digest.digest()


class Cache:
    """The cache folder. Files appear in it whole or not at all."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` None: the default one, looked up when needed (judging a native run needs
        none)."""
        self._folder = None if folder is None else folder.absolute()

    @property
    def folder(self) -> Path:
        """UsageError as `default_cache`."""
        if self._folder is None:
            self._folder = default_cache()
        return self._folder

    def srs_path(self, digest: bytes) -> Path:
        """Where the SRS of a digest is, or would be."""
        return self.folder / "srs" / digest.hex()

    def srs_digests(self) -> list[bytes]:
        """Digests of the SRS files here, newest first. UsageError if others can write to the
        cache."""
        self._require_own()
        try:
            found = sorted((self.folder / "srs").iterdir(), key=lambda p: p.stat().st_mtime, reverse=True)
        except OSError:
            return []
        return [bytes.fromhex(p.name) for p in found if len(p.name) == 64 and not p.name.strip("0123456789abcdef")]

    def add_srs(self, path: Path) -> bytes:
        """Copies an SRS file into the cache and returns its digest. UsageError if it isn't one or
        is too small for the circuits."""
        logrows = srs_logrows(path)
        if logrows < LOGROWS:
            raise UsageError(
                f"the SRS {path} is for 2^{logrows} rows, and the circuits need 2^{LOGROWS}: take a larger one"
            )
        digest = file_digest(path)
        target = self.srs_path(digest)
        if not target.exists():
            with self._staging("srs") as folder:
                copy = Path(folder) / "srs"
                shutil.copyfile(path, copy)
                copy.chmod(0o600)
                if file_digest(copy) != digest:
                    raise UsageError(f"the SRS {path} changed while it was read")
                os.replace(copy, target)
        return digest

    def require_srs(self, digest: bytes) -> Path:
        """The file of an SRS. UsageError if it isn't here, or no longer matches its name."""
        self._require_own()
        path = self.srs_path(digest)
        if not path.exists():
            raise UsageError(
                f"the SRS {digest.hex()} is not in {path.parent}: add it with --srs FILE (srs=) or `zk-circuit srs --add FILE`"
            )
        if not is_own(path):
            raise UsageError(f"the SRS {path} is a link, or others can write to it: delete it and add it again")
        if file_digest(path) != digest:
            raise UsageError(f"the SRS {path} is damaged: delete it and add it again")
        return path

    def keys(self, circuit: Circuit, srs_digest: bytes, child: Child, *, proving: bool) -> Keys:
        """The keys of a circuit under an SRS, made if missing (about 10 s). ProverError if that
        fails."""
        srs = self.require_srs(srs_digest)
        target = self.folder / "keys" / f"{circuit.digest.hex()}-{srs_digest.hex()}"
        keys = Keys(target, srs)
        if keys.are_as_made(circuit, proving=proving):
            return keys
        with self._staging("keys") as staging:
            folder = Path(staging) / "made"
            folder.mkdir(0o700)
            (folder / "network.onnx").write_bytes(circuit.onnx)
            (folder / "settings.json").write_bytes(circuit.settings)
            made = child.run(
                {
                    "do": "setup",
                    "folder": str(folder),
                    "onnx": str(folder / "network.onnx"),
                    "settings": str(folder / "settings.json"),
                    "srs": str(srs),
                },
                seconds=SETUP_SECONDS,
            )
            if made is not True:
                raise ProverError("setup: EZKL made no keys")
            if not proving:
                (folder / "pk.key").unlink()  # 300 MB that a verifier has no use for
            files = {path.name: file_digest(path).hex() for path in sorted(folder.iterdir())}
            (folder / DIGESTS).write_text(json.dumps({"format": DIGESTS_FORMAT, "files": files}))
            for path in folder.iterdir():
                path.chmod(0o600)
            old = Path(staging) / "old"
            if target.exists():
                os.replace(target, old)
            try:
                os.replace(folder, target)
            except OSError:
                if not keys.are_as_made(circuit, proving=proving):  # else another process was first
                    raise
        return keys

    def _staging(self, part: str) -> "tempfile.TemporaryDirectory[str]":
        """A temporary folder on the cache's file system, so that a rename into place is atomic."""
        try:
            make_own(self.folder / part)
            self._require_own()
            return tempfile.TemporaryDirectory(prefix=".new-", dir=self.folder / part)
        except OSError as error:
            advice = "set ZK_AUTOGRAD_CACHE to another"
            raise refusal(error, f"the cache folder {self.folder} can't be written", advice) from error

    def _require_own(self) -> None:
        """UsageError if anybody else can replace what is in the cache."""
        for folder in (self.folder, self.folder / "srs", self.folder / "keys"):
            if os.path.lexists(folder):
                require_own(folder, _OPEN_CACHE)


def make_srs(path: Path, child: Child, logrows: int = LOGROWS) -> bytes:
    """Makes a random SRS and returns its digest. Whoever does so can forge proofs under it: it is
    for the auditor, and for tests."""
    if path.exists():
        raise UsageError(f"{path} exists: an SRS is never overwritten, choose another name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(".new-", path.parent) as staging:
            made = staging / "srs"
            child.run({"do": "srs", "srs": str(made), "logrows": logrows}, seconds=SRS_SECONDS)
            srs_logrows(made)
            os.replace(made, path)
    except OSError as error:
        raise refusal(error, f"the SRS can't be written to {path}") from error
    return file_digest(path)
