"""EZKL in a process of its own: a panic, a hang or a gigabyte too many ends that process and no
other.

One request a process: a JSON object on standard input, an answer on standard output. `run` is the
parent's side. Requests name files by absolute paths, and nothing in an answer is trusted beyond its
type. The child dies with its parent, so that a killed trainer leaves no prover behind.
"""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from zk_autograd.core.errors import ProverError
from zk_autograd.local.own_folders import temporary_folder

PYTHON = (sys.executable, "-P")
"""The command that starts a child. Without -P, `python -m` looks for the package in the current
folder first."""

MEMORY_LIMIT = 12 * 2**30
"""Bytes of data a child may hold: ten times what k = 16 takes."""

_PR_SET_PDEATHSIG = 1
_STDERR_TAIL = 600


class ChildStopped(ProverError):
    """The child was stopped on request."""


class ChildDied(ProverError):
    """The child gave no answer: it ran out of time or memory, or was killed. This says nothing
    about what it was asked."""


class Child:
    """Runs one request at a time; `stop`, from another thread, ends the one in progress and refuses
    later ones.

    In a forked child `stop` does nothing: the request in progress is the parent's.
    """

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, request: dict[str, Any], *, seconds: float) -> Any:
        """The child's answer. Raises ProverError if it refuses, ChildDied if it dies, gives a
        malformed answer or takes longer than `seconds`."""
        if find_spec("ezkl") is None:
            raise ProverError("EZKL is not installed: pip install 'zk-autograd[ezkl]'")
        # EZKL keeps its lookup tables in a folder of its own, finds them by name and trusts what it
        # finds: so that folder is new. It is also the child's current folder, so that nothing is
        # looked up in the caller's, which may be a run or a folder that others can write to.
        with temporary_folder("zk-ezkl-") as scratch:
            return self._run(request, seconds, scratch)

    def _run(self, request: dict[str, Any], seconds: float, scratch: Path) -> Any:
        operation = request["do"]
        with self._lock:
            if self._stopped:
                raise ChildStopped(f"{operation}: the prover was stopped")
            process = subprocess.Popen(
                [*PYTHON, "-m", "zk_autograd.prove.ezkl.child"],
                cwd=scratch,
                env=_environment(scratch),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for the trainer, which drains
            )
            self._process, self._owner = process, os.getpid()
        try:
            out, err = process.communicate(json.dumps(request).encode(), timeout=seconds)
        except subprocess.TimeoutExpired:
            _kill(process)
            raise ChildDied(f"{operation}: EZKL took longer than {seconds:.0f} s and was killed") from None
        except BaseException:
            _kill(process)
            raise
        finally:
            with self._lock:
                self._process = None
        if self._stopped:
            raise ChildStopped(f"{operation}: the prover was stopped")
        try:
            answer = json.loads(out.splitlines()[-1])
            if "error" in answer:
                raise ProverError(f"{operation}: EZKL refused: {answer['error']}")
            return answer["result"]
        except (ValueError, IndexError, KeyError, TypeError):
            tail = err.decode("utf-8", "replace").strip()[-_STDERR_TAIL:]
            raise ChildDied(f"{operation}: EZKL's process ended with status {process.returncode}: {tail}") from None

    def stop(self) -> None:
        """Ends the request in progress, if any, and refuses every later one."""
        if os.getpid() != self._owner:
            return  # the lock may be held for ever, too
        with self._lock:
            self._stopped = True
            if self._process is not None:
                _kill(self._process, wait=False)


def _environment(scratch: Path) -> dict[str, str]:
    """The caller's, without entries in PYTHONPATH that depend on the current folder."""
    found = {**os.environ, "EZKL_REPO_PATH": str(scratch)}
    places = [place for place in found.pop("PYTHONPATH", "").split(os.pathsep) if os.path.isabs(place)]
    return {**found, "PYTHONPATH": os.pathsep.join(places)} if places else found


def _kill(process: subprocess.Popen[bytes], *, wait: bool = True) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    if wait:
        process.communicate()


# ---- inside the child ----------------------------------------------------------------------------


def _settings(request: dict[str, Any]) -> Any:
    import ezkl

    arguments = ezkl.PyRunArgs()
    for name, value in request["arguments"].items():
        setattr(arguments, name, tuple(value) if isinstance(value, list) else value)
    return bool(ezkl.gen_settings(request["onnx"], request["settings"], py_run_args=arguments))


def _setup(request: dict[str, Any]) -> Any:
    import ezkl

    folder = Path(request["folder"])
    compiled, vk, pk = (str(folder / name) for name in ("network.compiled", "vk.key", "pk.key"))
    ok = ezkl.compile_circuit(request["onnx"], compiled, request["settings"])
    return bool(ok and ezkl.setup(compiled, vk, pk, request["srs"]))


def _mock(request: dict[str, Any]) -> Any:
    import ezkl

    witness = request["witness"]
    ezkl.gen_witness(request["data"], request["compiled"], witness)
    return bool(ezkl.mock(witness, request["compiled"]))


def _prove(request: dict[str, Any]) -> Any:
    import ezkl

    ezkl.gen_witness(request["data"], request["compiled"], request["witness"])  # the commitments come with the proof
    ezkl.prove(request["witness"], request["compiled"], request["pk"], request["proof"], request["srs"])
    return str(json.loads(Path(request["proof"]).read_bytes())["hex_proof"])


def _verify(request: dict[str, Any]) -> Any:
    import ezkl

    return bool(ezkl.verify(request["proof"], request["settings"], request["vk"], request["srs"]))


def _commit(request: dict[str, Any]) -> Any:
    import ezkl

    points = []
    for message in request["messages"]:
        (point,) = ezkl.kzg_commit(
            message, vk_path=request["vk"], settings_path=request["settings"], srs_path=request["srs"]
        )
        points.append([point.x, point.y])
    return points


def _srs(request: dict[str, Any]) -> Any:
    import ezkl

    ezkl.gen_srs(request["srs"], request["logrows"])
    return True


_OPERATIONS = {
    "settings": _settings,
    "setup": _setup,
    "mock": _mock,
    "prove": _prove,
    "verify": _verify,
    "commit": _commit,
    "srs": _srs,
}


def main() -> None:
    """Reads a request and answers it. What EZKL and Rust print goes to standard error, only the
    answer to standard output."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT, MEMORY_LIMIT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answer_to = os.dup(1)
    os.dup2(2, 1)
    os.environ["RUST_BACKTRACE"] = "0"
    os.umask(0o077)
    request = json.loads(sys.stdin.buffer.read())
    try:
        answer = {"result": _OPERATIONS[request["do"]](request)}
    except (MemoryError, OSError):  # of this machine: no answer
        raise
    except BaseException as error:  # a Rust panic arrives as a BaseException
        answer = {"error": " ".join(str(error).split())[:_STDERR_TAIL]}
    os.write(answer_to, json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    main()
