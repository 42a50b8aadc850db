"""The TPM itself: its attestation key, the register's counter in it, and its signature over both.

The key is a primary key of the owner's hierarchy: the same template gives the same key for as long
as the TPM isn't cleared, so nothing of it is stored. The owner's authorization must be empty, as
it is unless somebody set it.

What the TPM's library (tpm2-tss) writes to standard error is switched off: what went wrong is in
the error.
"""

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from zk_autograd.anchor.tpm.structures import COUNTER_BYTES, KEY_TEMPLATE, counter_public, place_of
from zk_autograd.core.errors import AnchorDown, AnchorError, UsageError
from zk_autograd.core.text import printable, quoted

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds that a TPM may take for everything."""

_TCTI = re.compile(r"device(:/dev/tpm[a-z0-9]*)?|(swtpm|mssim|tabrmd)(:[^\0]*)?", re.DOTALL)
"""What may be named. tpm2-tss knows more: `cmd:` has a shell run what follows, `device:` writes to
any file, and a path is a library that is loaded."""

_NO_SUCH_INDEX, _BAD_AUTHORIZATION = 0x8B, (0x8E, 0xA2)
_LIBRARY_LAYERS = 0xFFFF0000
_FULL = 0x902


class Device:
    """The attestation key of an open TPM, and the counter of the register of this origin."""

    def __init__(self, esapi: Any, origin: str) -> None:
        """The counter is made if there is none. AnchorError if something else is in its place."""
        from tpm2_pytss import TPM2B_PUBLIC, TPM2B_SENSITIVE_CREATE, TPMT_PUBLIC

        self._esapi, self._origin = esapi, origin
        template = TPMT_PUBLIC.unmarshal(KEY_TEMPLATE + bytes(4))[0]
        self._key, public, *_ = esapi.create_primary(TPM2B_SENSITIVE_CREATE(), TPM2B_PUBLIC(publicArea=template))
        self.public: bytes = public.publicArea.marshal()
        self._counter = self._found() or self._made()

    def close(self) -> None:
        """The key is dropped."""
        self._esapi.flush_context(self._key)

    def read(self) -> int:
        """Where the counter stands; 0 if it was never counted with."""
        from tpm2_pytss import ESYS_TR

        public, _ = self._esapi.nv_read_public(self._counter)
        if public.nvPublic.marshal() == counter_public(self._origin, written=False):
            return 0
        contents = self._esapi.nv_read(self._counter, COUNTER_BYTES, 0, auth_handle=ESYS_TR.OWNER)
        return int.from_bytes(bytes(contents), "big")

    def count(self) -> None:
        """One more."""
        from tpm2_pytss import ESYS_TR

        self._esapi.nv_increment(self._counter, auth_handle=ESYS_TR.OWNER)

    def certify(self, extra: bytes) -> tuple[bytes, bytes]:
        """The TPM's statement about the counter, with `extra` in it, and the signature in DER."""
        from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
        from tpm2_pytss import ESYS_TR, TPM2_ALG, TPMT_SIG_SCHEME

        scheme = TPMT_SIG_SCHEME(scheme=TPM2_ALG.NULL)  # the key's own
        statement, signed = self._esapi.nv_certify(
            self._key, self._counter, extra, scheme, COUNTER_BYTES, 0, auth_handle=ESYS_TR.OWNER
        )
        halves = signed.signature.ecdsa
        r, s = (int.from_bytes(bytes(half), "big") for half in (halves.signatureR, halves.signatureS))
        return bytes(statement), encode_dss_signature(r, s)

    def _found(self) -> Any | None:
        from tpm2_pytss import TSS2_Exception

        try:
            handle = self._esapi.tr_from_tpmpublic(place_of(self._origin))
        except TSS2_Exception as error:
            if error.error == _NO_SUCH_INDEX:
                return None
            raise
        public, _ = self._esapi.nv_read_public(handle)
        if public.nvPublic.marshal() not in [
            counter_public(self._origin, written=written) for written in (True, False)
        ]:
            raise AnchorError(
                f"the TPM has something else than this register's counter at {place_of(self._origin):#x}: "
                f"if it isn't needed, remove it (tpm2_nvundefine {place_of(self._origin):#x})"
            )
        return handle

    def _made(self) -> Any:
        from tpm2_pytss import TPM2B_NV_PUBLIC, TPMS_NV_PUBLIC

        public = TPMS_NV_PUBLIC.unmarshal(counter_public(self._origin, written=False))[0]
        return self._esapi.nv_define_space(b"", TPM2B_NV_PUBLIC(nvPublic=public))


def in_time(work: Callable[[], T], patience: float = PATIENCE) -> T:
    """What `work` returns or raises. AnchorDown if it takes longer: a TPM that hangs can't be
    interrupted, so its thread is left behind."""
    done: list[tuple[T | None, BaseException | None]] = []

    def run() -> None:
        try:
            done.append((work(), None))
        except BaseException as error:
            done.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(patience)
    if not done:
        raise AnchorDown(f"the TPM didn't answer within {patience:g} seconds")
    result, error = done[0]
    if error is not None:
        raise error
    return result  # type: ignore[return-value] # it came about


def require_tcti(tcti: str) -> None:
    """UsageError unless the text names a TPM, and no command, library or file."""
    if not _TCTI.fullmatch(tcti):
        raise UsageError(
            f"{quoted(tcti)} names no TPM: it is device:/dev/tpmrm0, or begins with swtpm:, mssim: or tabrmd:, as tpm2-tss reads them; "
            "its other interfaces run commands or load libraries, and are not used"
        )


@contextmanager
def opened(tcti: str, origin: str) -> Iterator[Device]:
    """The TPM that `tcti` names, as tpm2-tss does (device:/dev/tpmrm0, swtpm:host=...,port=...);
    closed afterwards. AnchorDown if it can't be reached, AnchorError if it refuses, UsageError for
    a text that names no TPM."""
    require_tcti(tcti)
    os.environ.setdefault("TSS2_LOG", "all+none")
    try:
        from tpm2_pytss import ESAPI, TSS2_Exception
    except (ImportError, OSError, RuntimeError) as error:
        raise AnchorError(
            "a TPM takes the package tpm2-pytss, and the libraries of tpm2-tss: pip install 'zk-autograd[tpm]'"
        ) from error
    try:
        esapi = ESAPI(tcti)
        try:
            device = Device(esapi, origin)
            try:
                yield device
            finally:
                device.close()
        finally:
            esapi.close()
    except TSS2_Exception as error:
        raise _refusal(tcti, error) from error


def _refusal(tcti: str, error: Any) -> AnchorError:
    """The TPM's code in words. Codes of the library's layers, not the TPM's, mean that nobody
    answers, or half an answer."""
    said = printable(str(error))[:200]
    if int(error.rc) & _LIBRARY_LAYERS:
        return AnchorDown(f"the TPM {tcti} can't be reached, or breaks off: {said}")
    if error.error in _BAD_AUTHORIZATION:
        return AnchorError(
            f"the TPM {tcti} wants the owner's authorization, and an empty one is all that is given: {said}"
        )
    if int(error.rc) == _FULL:
        return AnchorDown(
            f"the TPM {tcti} has no room for a key, which programs that were killed leave behind: tpm2_flushcontext --transient-object, "
            "or use a resource manager, such as device:/dev/tpmrm0"
        )
    if int(error.rc) & 0x900 == 0x900 and not int(error.rc) & 0x80:
        return AnchorDown(f"the TPM {tcti} asks to be tried again: {said}")
    return AnchorError(f"the TPM {tcti} refuses: {said}")
