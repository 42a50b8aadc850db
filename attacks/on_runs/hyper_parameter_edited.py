"""Attack: edit a hyper-parameter after the training, and re-sign everything; the attacker is the
trainer and has the key.

Gain: a log that claims a learning rate, betas or a schedule with which the model was not trained,
and with which nobody can reproduce it.

Why it fails: each proof's context holds the header's digest, and the constants of each step,
recomputed from the header with its schedule and the recorded rates, are public values of its proof
(step 7). What only the header says, such as its lr under a recorded schedule, or a schedule
declared afterwards that gives exactly the recorded rates, is guarded by the digest alone; a
recorded rate by the constants alone; a beta or the gradient's scale by both. And a record whose
header declares a schedule has no place for rates (step 1): nobody can claim one and use others.
"""

from collections.abc import Callable
from dataclasses import replace

from attacks.tools.attempt import Attempt, Scene, Submission, outcome
from attacks.tools.forge import Forgery
from attacks.tools.outcome import Outcome
from zk_autograd.core.records import Group
from zk_autograd.verify.outcome import Step

GAIN = "hyper-parameters in the log with which the model was not trained"


def _header(**hyper: str) -> Callable[[Scene], Submission]:
    def forge(scene: Scene) -> Submission:
        run = scene.victim.forgery()
        group = run.header.groups[0]
        texts = tuple((name, hyper.get(name, text)) for name, text in group.hyper)
        run.header = replace(run.header, groups=(Group(texts, group.s),))
        return scene.submit(run)

    return forge


def grad_scale(scene: Scene) -> Submission:
    """The gradients' scale, one power of two larger."""
    run = scene.victim.forgery()
    run.header = replace(run.header, grad_scale=run.header.grad_scale + 1)
    return scene.submit(run)


def recorded_lr(scene: Scene) -> Submission:
    """The recorded rate of one step."""
    run = scene.victim.forgery()
    rates = list(run.segments[0].lr)
    rates[len(rates) // 2] = ("0.0009",)
    run.edit(0, lr=tuple(rates))
    return scene.submit(run)


def schedule(scene: Scene) -> Submission:
    """A constant schedule: the recorded rates are gone, and the header's lr is said to have held
    for every step."""
    run = scene.victim.forgery()
    run.header = replace(run.header, schedule="constant")
    _without_rates(run)
    return scene.submit(run)


def declared(scene: Scene) -> Submission:
    """A schedule that gives the recorded rates, as if it had been fixed before the training: they
    are halved after three quarters of a segment."""
    run = scene.victim.forgery()
    run.header = replace(run.header, schedule=f"step:every={3 * scene.victim.prover.steps // 4},factor=0.5")
    _without_rates(run)
    return scene.submit(run)


def rates_beside(scene: Scene) -> Submission:
    """A constant schedule, and beside it the rates that were used."""
    run = scene.victim.forgery()
    run.header = replace(run.header, schedule="constant")
    return scene.submit(run)


def _without_rates(run: Forgery) -> None:
    for index in range(len(run.segments)):
        run.edit(index, lr=())


_WORDS = "proof 0-0: the proof does not verify"

ATTEMPTS = (
    Attempt("lr in the header", Step.PROOFS, _WORDS, _header(lr="0.003")),
    Attempt("beta2 in the header", Step.PROOFS, _WORDS, _header(beta2="0.99")),
    Attempt("gradient scale", Step.PROOFS, _WORDS, grad_scale),
    Attempt("recorded lr of one step", Step.PROOFS, _WORDS, recorded_lr),
    Attempt("schedule", Step.PROOFS, _WORDS, schedule),
    Attempt("schedule declared afterwards", Step.PROOFS, _WORDS, declared),
    Attempt("rates beside a declared schedule", Step.PARSE, "record.lr is invalid", rates_beside),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("a hyper-parameter edited, signed by the trainer", GAIN, ATTEMPTS, scene)
