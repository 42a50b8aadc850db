"""Attack: publish another model than the one that was proved.

Gain: a backdoor under a verdict that was earned by another model. Users load the floats, so they
are what must be right; a tensor that the manifest doesn't name, or a buffer, is loaded just as
well.

Why it fails: the close record holds the files' hashes; the integers open the last commitment; the
floats are their rounding; tensors, names, types and shapes are the manifest's and no others;
another file in the folder makes the verdict less than was asked for (step 10). A header that names
another digest of a buffer is another header (step 7). No proof covers what is *in* an unproved
buffer: the report lists them.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from safetensors.numpy import save

from attacks.tools.attempt import Attempt, Scene, Submission, outcome
from attacks.tools.forge import Forgery, model_files, tensors, with_tensor_twice
from attacks.tools.outcome import Outcome
from attacks.tools.victim import BUFFER
from zk_autograd.core.formats import dequantize_weight
from zk_autograd.verify.model import FLOATS, INTEGERS
from zk_autograd.verify.outcome import Step

GAIN = "a model with a backdoor under a verdict that another model earned"


def _changed(change: Callable[[Scene, Forgery], None]) -> Callable[[Scene], Submission]:
    def forge(scene: Scene) -> Submission:
        run = scene.victim.forgery()
        change(scene, run)
        return scene.submit(run)

    return forge


def file_replaced(scene: Scene, run: Forgery) -> None:
    """Other weights in place of the published ones, by somebody without the key."""
    run.model = model_files(run.header, -scene.victim.weights, scene.victim.salts)


def other_integers(scene: Scene, run: Forgery) -> None:
    """Other weights, floats and integers alike, with their hashes in the close record."""
    run.publish(-scene.victim.weights, scene.victim.salts)


def other_floats(scene: Scene, run: Forgery) -> None:
    """The integers are the proved ones; one float, which everybody loads, is the next float32."""
    floats = dequantize_weight(scene.victim.weights)
    floats[7] = np.nextafter(floats[7], np.float32(1))
    run.publish_files({**run.model, FLOATS: save(tensors(run.header, floats))})


def tensors_exchanged(scene: Scene, run: Forgery) -> None:
    """Two tensors of one shape change names, in both files."""
    weights = np.array(scene.victim.weights)
    one, other = run.header.parameters[:2]
    first, second = slice(one.offset, one.offset + one.size), slice(other.offset, other.offset + other.size)
    weights[first], weights[second] = scene.victim.weights[second], scene.victim.weights[first]
    run.publish(weights, scene.victim.salts)


def extra_tensor(scene: Scene, run: Forgery) -> None:
    """The floats' file holds a buffer, which a loader takes."""
    own = tensors(run.header, dequantize_weight(scene.victim.weights))
    run.publish_files({**run.model, FLOATS: save({**own, BUFFER: np.full(8, 1e9, np.float32)})})


def tensor_twice(scene: Scene, run: Forgery) -> None:
    """An entry is in the file's header twice."""
    name = run.header.parameters[0].name
    run.publish_files({**run.model, FLOATS: with_tensor_twice(run.model[FLOATS], name)})


def buffer_in_a_file(scene: Scene, run: Forgery) -> None:
    """A fourth file, named in the close record, with the buffer in it."""
    run.publish_files({**run.model, "buffers.safetensors": save({BUFFER: np.full(8, 1e9, np.float32)})})


def file_beside(scene: Scene, run: Forgery) -> None:
    """A fourth file that no record names."""
    run.model["model.safetensors"] = save({BUFFER: np.full(8, 1e9, np.float32)})


def buffer_digest(scene: Scene, run: Forgery) -> None:
    """The header names another digest of the buffer."""
    (buffer,) = run.header.unproved
    run.header = replace(run.header, unproved=(replace(buffer, digest=bytes(32)),))


def other_type(scene: Scene, run: Forgery) -> None:
    """The floats are float64, as a loader would take them too."""
    floats = dequantize_weight(scene.victim.weights).astype(np.float64)
    run.publish_files({**run.model, FLOATS: save(tensors(run.header, floats))})


def file_missing(scene: Scene, run: Forgery) -> None:
    """The integers are not there."""
    del run.model[INTEGERS]


ATTEMPTS = (
    Attempt("files replaced", Step.MODEL, "does not match the close record", _changed(file_replaced)),
    Attempt("other weights", Step.MODEL, "don't open the final commitment", _changed(other_integers)),
    Attempt("other floats", Step.MODEL, "is not the rounding of", _changed(other_floats)),
    Attempt("two tensors exchanged", Step.MODEL, "don't open the final commitment", _changed(tensors_exchanged)),
    Attempt(
        "an extra tensor", Step.MODEL, "does not have the tensors of the header's manifest", _changed(extra_tensor)
    ),
    Attempt("a tensor twice", Step.MODEL, "is not a safetensors file", _changed(tensor_twice)),
    Attempt(
        "a buffer in a file of its own",
        Step.MODEL,
        "the close record does not name exactly the files of a model",
        _changed(buffer_in_a_file),
    ),
    Attempt("a file that no record names", Step.MODEL, "no record in this view names", _changed(file_beside)),
    Attempt("a buffer's digest", Step.PROOFS, "proof 0-0: the proof does not verify", _changed(buffer_digest)),
    Attempt("another type", Step.MODEL, "has the wrong type or shape", _changed(other_type)),
    Attempt("a file missing", Step.MODEL, "can't be read", _changed(file_missing)),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("published weights exchanged", GAIN, ATTEMPTS, scene)
