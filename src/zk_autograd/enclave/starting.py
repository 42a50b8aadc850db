"""How a host starts an enclave: AWS Nitro's tool, or a process of the same machine, which isolates
nothing."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Protocol

from zk_autograd.core.canonical import decode_foreign
from zk_autograd.core.errors import RunError, VerificationError
from zk_autograd.core.text import quoted
from zk_autograd.enclave.relay.address import Address
from zk_autograd.enclave.relay.frames import PATIENCE

STOPPING = 15.0
"""Seconds that a process has to end after it was asked to."""

LOOK = 3.0
"""Seconds between two questions to nitro-cli, whether an enclave still runs."""

_MAX_WORDS = 2**16


class Instance(Protocol):
    """An enclave that was started."""

    def ended(self) -> bool:
        """Whether it has ended."""
        ...

    def stop(self) -> None:
        """Ends it, whatever it is doing. May be called twice, and once it has ended."""
        ...


class Process:
    """The main program as a child of this process, with the emulated device whose measurements are
    in a file. Nothing is isolated."""

    def __init__(self, relay: Address, measurements: Path, patience: float = PATIENCE) -> None:
        """`patience`: seconds that it waits for this host. RunError if it can't be started."""
        program = [sys.executable, "-m", "zk_autograd.enclave.main", "--patience", f"{patience:g}"]
        try:
            self._child = subprocess.Popen(
                [*program, "--relay", str(relay), "--device", f"emulated:{measurements}"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the host, which then ends it
            )
        except OSError as error:
            raise RunError(f"the enclave's program can't be started: {error.strerror}") from error

    def ended(self) -> bool:
        return self._child.poll() is not None

    def stop(self) -> None:
        if self.ended():
            return
        self._child.terminate()
        try:
            self._child.wait(STOPPING)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()


class Nitro:
    """An enclave of AWS Nitro, by its tool `nitro-cli`. (It was never run by the tests: there is no
    such machine there. The tool's answers are those of its documentation.)"""

    def __init__(self, image: Path, cid: int, cpus: int, memory: int) -> None:
        """`memory` in MiB. RunError if the tool is missing or refuses."""
        answer = _nitro_cli(
            "run-enclave", "--eif-path", str(image), "--enclave-cid", str(cid), "--cpu-count", str(cpus),
            "--memory", str(memory),
        )  # fmt: skip
        found = answer.get("EnclaveID") if isinstance(answer, dict) else None
        if not isinstance(found, str) or not found:
            raise RunError("nitro-cli run-enclave said no EnclaveID: see whether the enclave runs, and end it")
        self._id = found
        self._gone = False
        self._asked = -LOOK

    def ended(self) -> bool:
        """As the tool said, which is asked every `LOOK` seconds at most: each time is a process."""
        if not self._gone and monotonic() - self._asked >= LOOK:
            self._gone = not self._running()
            self._asked = monotonic()
        return self._gone

    def stop(self) -> None:
        if self._gone:
            return
        with suppress(RunError):  # an enclave that can't be described can still be ended
            self._gone = not self._running()
        if not self._gone:
            _nitro_cli("terminate-enclave", "--enclave-id", self._id)
            self._gone = True

    def _running(self) -> bool:
        found = _nitro_cli("describe-enclaves")
        if not isinstance(found, list):
            raise RunError("nitro-cli describe-enclaves gave no list of enclaves")
        return any(isinstance(one, dict) and one.get("EnclaveID") == self._id for one in found)


def _nitro_cli(*words: str) -> object:
    try:
        done = subprocess.run(
            ["nitro-cli", *words], capture_output=True, timeout=120, check=False, env={**os.environ, "LC_ALL": "C"}
        )
    except OSError as error:
        raise RunError(f"nitro-cli can't be started ({error.strerror}): install aws-nitro-enclaves-cli") from error
    except subprocess.TimeoutExpired as error:
        raise RunError(f"nitro-cli {words[0]} took more than 120 seconds") from error
    if done.returncode:
        said = quoted(done.stderr[-400:].decode("utf-8", "replace"), 400)
        raise RunError(f"nitro-cli {words[0]} failed with {done.returncode}: {said}")
    try:
        found: object = decode_foreign(done.stdout, max_bytes=_MAX_WORDS)
    except VerificationError as error:
        raise RunError(f"nitro-cli {words[0]} gave no JSON") from error
    return found
