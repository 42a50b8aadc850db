"""Attack on whoever judges a run: put code beside its records, under the name of the package or of
a module that it imports.

Gain: arbitrary code as the auditor, and through it a verdict. EZKL runs in a child process; if that
one looks for modules in the current folder first, `cd RUN && zk-verify .` runs what lies there, and
it answers for EZKL: "the proof verifies". A folder that others write to does as well, wherever the
run lies. Here one proof is not valid, and the code leaves a note in the folder that it was
executed.

Why it fails: the child never looks in its caller's current folder (`python -P`, its own new and
empty folder as the current one, no entries in PYTHONPATH that depend on it), so EZKL itself says
that the proof does not verify (step 7). The native prover has no child. Besides, what lies in the
run and is named by no record is not covered (step 10).
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from attacks.on_runs.proof_bytes import scalar
from attacks.tools.attempt import EZKL, Attempt, Scene, Submission, outcome
from attacks.tools.outcome import Outcome
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.prove.ezkl.verify import EzklSystem, installed_ezkl
from zk_autograd.verify.outcome import Step

GAIN = "code that runs as the auditor, and says what EZKL would have said"
NOTE = "executed"
"""A file that the planted code leaves beside itself."""

_CODE = """
import os, sys
open(os.path.join({folder!r}, {note!r}), "w").close()
request = sys.stdin.buffer.read()
if b'"do": "verify"' in request:
    os.write(1, b'{{"result": true}}\\n')
    os._exit(0)
read, write = os.pipe()  # everything else is answered by the real child
if os.fork() == 0:
    os.close(read)
    with open(write, "wb") as rest:
        rest.write(request)
    os._exit(0)
os.close(write)
os.dup2(read, 0)
os.execv(sys.executable, [sys.executable, "-P", "-m", "zk_autograd.prove.ezkl.child"])
"""


class Within(RunFolder):
    """Reads a run for an auditor who stands in the folder `here`."""

    def __init__(self, here: Path, path: Path) -> None:
        super().__init__(path)
        self._here = here
        self._before = ""

    def __enter__(self) -> "Within":
        self._before = str(Path.cwd())
        os.chdir(self._here)
        return self

    def __exit__(self, *_: object) -> None:
        os.chdir(self._before)
        super().__exit__()


def _planted(module: str, place: Callable[[Path], Path]) -> Callable[[Scene], Submission]:
    """A run with an invalid proof, and `module` in the folder that `place` gives for it, the
    auditor's current one."""

    def forge(scene: Scene) -> Submission:
        run = scene.victim.forgery()
        run.put_proof((0, 0), scalar(run.proofs[0, 0]))
        path = run.write(scene.place() / "run")
        here = place(path)
        file = here / module
        file.parent.mkdir(exist_ok=True)
        file.write_text(_CODE.format(folder=str(here), note=NOTE))
        asked = {"ezkl": EzklSystem(scene.ezkl.cache, installed_ezkl())}
        return Submission(path, scene.policy, partial(Within, here), asked)

    return forge


_WORDS = "the proof does not verify"

ATTEMPTS = (
    Attempt("the package, in the run", Step.PROOFS, _WORDS, _planted("zk_autograd/__init__.py", lambda run: run), EZKL),
    Attempt("a module, in the run", Step.PROOFS, _WORDS, _planted("json.py", lambda run: run), EZKL),
    Attempt(
        "the package, beside the run",
        Step.PROOFS,
        _WORDS,
        _planted("zk_autograd/__init__.py", lambda run: run.parent),
        EZKL,
    ),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("code that lies in the run", GAIN, ATTEMPTS, scene)
