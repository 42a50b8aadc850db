"""Attack: put something beside what was judged, where whoever reads the verdict will find it.

Gain: the verdict `L0, L1`, and beside it a model with a backdoor, or code. It takes no key: the
records, proofs and published files stay as they are. `model.safetensors` at the top is what a
loader looks for first; `Model/` and a name in another form of Unicode are what a file system that
doesn't see the difference gives instead of the run's own.

Why it fails: every name in the run that no record names is listed, and keeps the verdict from being
complete (step 10, exit status 3) until the auditor names it. A few names are harmless, in one
spelling, of regular files with no ending but a text's; what may be taken for the run's own is
reported separately. A bundle holds no other names than a run's, and those that no record names are
treated as in a folder.
"""

from collections.abc import Callable

import numpy as np
from safetensors.numpy import save

from attacks.tools.attempt import Attempt, Scene, Submission, outcome
from attacks.tools.outcome import Outcome
from attacks.tools.victim import BUFFER
from zk_autograd.evidence.bundle import END, Bundle, header, padding
from zk_autograd.evidence.layout import CONFIG, WEIGHTS_FLOATS, proof_name
from zk_autograd.verify.outcome import Step

GAIN = "a model with a backdoor, or code, beside the verdict of a run that has none"
BACKDOOR = save({BUFFER: np.full(8, 1e9, np.float32)})

_NO_RECORD = "no record in this view names"
_ALIKE = "may be mistaken for the run's own"


def _planted(*names: str) -> Callable[[Scene], Submission]:
    """The victim's run in a folder, with these files."""

    def forge(scene: Scene) -> Submission:
        submission = scene.submit(scene.victim.forgery())
        for name in names:
            path = submission.path / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(BACKDOOR)
        return submission

    return forge


def _linked(name: str) -> Callable[[Scene], Submission]:
    """The victim's run in a folder, with a link to a model elsewhere."""

    def forge(scene: Scene) -> Submission:
        submission = scene.submit(scene.victim.forgery())
        elsewhere = submission.path.with_name(f"{submission.path.name}-elsewhere")
        elsewhere.write_bytes(BACKDOOR)
        (submission.path / name).symlink_to(elsewhere)
        return submission

    return forge


def _bundled(name: str) -> Callable[[Scene], Submission]:
    """The victim's run in a bundle, with this file, which a run may have."""

    def forge(scene: Scene) -> Submission:
        path = scene.submit(scene.victim.forgery()).path
        files = {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}
        bundle = path.with_name(f"{path.name}.tar")
        bundle.write_bytes(packed({**files, name: BACKDOOR}))
        return Submission(bundle, scene.policy, Bundle)

    return forge


def packed(files: dict[str, bytes]) -> bytes:
    """A bundle of these files."""
    members = (header(name, len(data)) + data + bytes(padding(len(data))) for name, data in sorted(files.items()))
    return b"".join(members) + END


_UNNAMED = proof_name(9, 9)
_FULL_WIDTH = "".join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in WEIGHTS_FLOATS)

ATTEMPTS = (
    Attempt("a model at the top", Step.MODEL, _NO_RECORD, _planted("model.safetensors")),
    Attempt("the weights' name at the top", Step.MODEL, _ALIKE, _planted(WEIGHTS_FLOATS)),
    Attempt("a folder of another case", Step.MODEL, _ALIKE, _planted(f"Model/{WEIGHTS_FLOATS}")),
    Attempt("a name in fullwidth letters", Step.MODEL, _ALIKE, _planted(f"model/{_FULL_WIDTH}")),
    Attempt("a name with a long s", Step.MODEL, _ALIKE, _planted("model/weight\u017f.f32.safetensors")),
    Attempt("a name with nothing in it", Step.MODEL, _ALIKE, _planted("con\u200bfig.toml")),
    Attempt("a package", Step.MODEL, _NO_RECORD, _planted("zk_autograd/__init__.py")),
    Attempt("a folder like a text", Step.MODEL, _NO_RECORD, _planted("README/model.safetensors")),
    Attempt("a model like a text", Step.MODEL, _NO_RECORD, _planted("README.safetensors")),
    Attempt("a text of another case", Step.MODEL, _NO_RECORD, _planted("model/MODEL.SIG")),
    Attempt("a link like a text", Step.MODEL, _NO_RECORD, _linked("README.md")),
    Attempt("a file that can't be seen", Step.MODEL, _NO_RECORD, _planted("log/.hidden")),
    Attempt("a proof", Step.MODEL, _NO_RECORD, _planted(f"proofs/{_UNNAMED}")),
    Attempt("a proof in a bundle", Step.MODEL, _NO_RECORD, _bundled(f"proofs/{_UNNAMED}")),
    Attempt("a model in a bundle", Step.MODEL, _NO_RECORD, _bundled("model/model.safetensors")),
    Attempt("a configuration in a bundle", Step.MODEL, _NO_RECORD, _bundled(CONFIG)),
    Attempt("very many", Step.MODEL, "more than 1000 such names", _planted(*(f"model/{i}" for i in range(1001)))),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("something planted beside the run", GAIN, ATTEMPTS, scene)
