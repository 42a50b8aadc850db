"""Attack: tell another story of the training than the recorded one, beside a run that stays as it
is.

Gain: a configuration, an environment or a log that the run never had, beside the verdict `L0, L1`:
another seed that "was fixed in advance", a log without the resumptions, hashes that another team's
run seems to repeat. Some of it is done by the trainer, who signs what they like; some by whoever
passes the run on.

Why it fails: the close record names each of these files by its SHA-256, and the content of
hashes.json is recomputed from the files, the header and the published weights (step 10). A file
that is there but that it doesn't name is not part of the run: the verdict is less than was asked
for (exit status 3), and a repetition doesn't read it. What the trainer wrote into the files before
the record was signed is their word; no step shows that it is true, and the report says so.
"""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import numpy as np

from attacks.on_runs.links_and_pipes import elsewhere_of
from attacks.tools.attempt import Attempt, Scene, Submission, outcome
from attacks.tools.outcome import Outcome
from zk_autograd.core.canonical import encode
from zk_autograd.core.records import Data
from zk_autograd.evidence.hashes import Hashes, weights_hash
from zk_autograd.evidence.layout import CONFIG, ENVIRONMENT, HASHES, TRAIN_LOG
from zk_autograd.verify.outcome import Step

GAIN = "another configuration, environment or history than the run's, under its verdict"

Contents = dict[str, bytes]

_TOLD = {
    CONFIG: b"seed = 0\n",
    ENVIRONMENT: encode({"format": "zk-autograd/environment/v0", "machine": "the trainer's"}),
    TRAIN_LOG: b'{"changes":[],"event":"resumed","steps":3}\n',
}


def honest(scene: Scene) -> Contents:
    """The files as the victim's trainer would have left them."""
    data = scene.victim.forgery().header.data
    hashes = Hashes.of(_TOLD[CONFIG], data, _TOLD[ENVIRONMENT], weights_hash(scene.victim.weights))
    return {**_TOLD, HASHES: hashes.encode()}


def submitted(scene: Scene, recorded: Contents, shown: Contents) -> Submission:
    """The victim's run with the files `recorded` in its close record, and the files `shown`."""
    run = scene.victim.forgery()
    named = tuple((name, sha256(content).digest()) for name, content in sorted(recorded.items()))
    run.close = replace(run.closing, artefacts=named)
    submission = scene.submit(run)
    for name, content in shown.items():
        (submission.path / name).write_bytes(content)
    return submission


def _edited(name: str, old: bytes, new: bytes) -> Callable[[Scene], Submission]:
    def forge(scene: Scene) -> Submission:
        files = honest(scene)
        return submitted(scene, files, {**files, name: files[name].replace(old, new)})

    return forge


def _hashed(
    *, config: bytes = _TOLD[CONFIG], data: Data | None = None, weights: bytes | None = None
) -> Callable[[Scene], Submission]:
    """The trainer signs hashes of something other than what lies there."""

    def forge(scene: Scene) -> Submission:
        hashes = Hashes.of(
            config,
            data or scene.victim.forgery().header.data,
            _TOLD[ENVIRONMENT],
            weights or weights_hash(scene.victim.weights),
        )
        files = {**honest(scene), HASHES: hashes.encode()}
        return submitted(scene, files, files)

    return forge


def left_out(scene: Scene) -> Submission:
    """The log of the training is gone."""
    files = honest(scene)
    return submitted(scene, files, {name: content for name, content in files.items() if name != TRAIN_LOG})


def planted(scene: Scene) -> Submission:
    """The run was closed without such files."""
    return submitted(scene, {}, honest(scene))


def beside(scene: Scene) -> Submission:
    """The run was closed without a configuration; a repetition would take the planted one."""
    data = scene.victim.forgery().header.data
    hashes = Hashes.of(None, data, _TOLD[ENVIRONMENT], weights_hash(scene.victim.weights))
    recorded = {ENVIRONMENT: _TOLD[ENVIRONMENT], TRAIN_LOG: _TOLD[TRAIN_LOG], HASHES: hashes.encode()}
    return submitted(scene, recorded, {**recorded, CONFIG: b"seed = 1\n"})


def linked(scene: Scene) -> Submission:
    """The configuration is a link, which leads elsewhere tomorrow."""
    files = honest(scene)
    submission = submitted(scene, files, files)
    (submission.path / CONFIG).rename(elsewhere_of(submission.path))
    (submission.path / CONFIG).symlink_to(elsewhere_of(submission.path))
    return submission


_OTHER = "does not match the close record"
_MISSING = f"{TRAIN_LOG} can't be read"
_BESIDE = "no record in this view names"
_HASH = "in hashes.json is not the run's"

ATTEMPTS = (
    Attempt("another seed", Step.MODEL, _OTHER, _edited(CONFIG, b"0", b"1")),
    Attempt("another machine", Step.MODEL, _OTHER, _edited(ENVIRONMENT, b"the trainer's", b"a stranger's")),
    Attempt("no resumption", Step.MODEL, _OTHER, _edited(TRAIN_LOG, _TOLD[TRAIN_LOG], b"")),
    Attempt("other hashes", Step.MODEL, _OTHER, _edited(HASHES, b'"data":"', b'"data":"0')),
    Attempt("the hash of other weights", Step.MODEL, _HASH, _hashed(weights=weights_hash(np.zeros(3, np.int64)))),
    Attempt("the hash of other data", Step.MODEL, _HASH, _hashed(data=Data(bytes(32), 7, "sequential", 1, bytes(32)))),
    Attempt("the hash of another configuration", Step.MODEL, _HASH, _hashed(config=b"seed = 1\n")),
    Attempt("a log left out", Step.MODEL, _MISSING, left_out),
    Attempt("files planted", Step.MODEL, _BESIDE, planted),
    Attempt("a configuration planted", Step.MODEL, _BESIDE, beside),
    Attempt("a link", Step.MODEL, "can't be read", linked),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("the trainer's own files exchanged", GAIN, ATTEMPTS, scene)
