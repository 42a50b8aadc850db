"""Attack: start the image twice on one sealed job, and have the key for both.

Gain: two trainings of one job, of which the host shows the one that it likes; or a second enclave,
whose training begins when the first one's end is known.

Why it fails: a broker releases a run's key once, to one attested release key, for a nonce of its
own that is used once; the decision is on the disk before the answer leaves. (AWS KMS counts
nothing: there the job's key goes to every instance, and what is left is that each has its own log
key.)
"""

from pathlib import Path

from attacks.tools.enclaves import Attempt, outcome
from attacks.tools.outcome import Outcome
from tests.broker.brokers import OTHER_RUN, RUN, Enclave, Place, nonce_of

GAIN = "several trainings of one job, of which the host shows the one that it likes"


def _twice(folder: Path, first: Enclave, second: Enclave, *, again: bool = False, stopped: bool = False) -> str:
    """What the broker says to the second; `again`: with the first one's nonce; `stopped`: after the
    broker was begun anew."""
    place = Place(folder)
    with place.opened() as broker:
        nonce = nonce_of(broker)
        decision, _ = broker.release(first.request(RUN, nonce))
        assert decision.granted
        if not stopped:
            decision, _ = broker.release(second.request(RUN, nonce if again else nonce_of(broker)))
    if stopped:
        with place.opened() as broker:
            decision, _ = broker.release(second.request(RUN, nonce_of(broker)))
    return "" if decision.granted else decision.reason


def a_clone(folder: Path) -> str:
    """Another instance of the same image, with a release key of its own."""
    return _twice(folder, Enclave(), Enclave())


def the_same_again(folder: Path) -> str:
    """The first one, whose memory was copied: the same release key."""
    enclave = Enclave()
    return _twice(folder, enclave, enclave)


def with_the_first_ones_nonce(folder: Path) -> str:
    """The first one's request, sent again."""
    enclave = Enclave()
    return _twice(folder, enclave, enclave, again=True)


def after_the_broker_stopped(folder: Path) -> str:
    """The broker is stopped in between, and begun anew."""
    return _twice(folder, Enclave(), Enclave(), stopped=True)


def with_another_runs_nonce(folder: Path) -> str:
    """The nonce was given for a run whose key is still there to be had."""
    place, enclave = Place(folder), Enclave()
    with place.opened() as broker:
        decision, _ = broker.release(enclave.request(RUN, nonce_of(broker, OTHER_RUN)))
    return "" if decision.granted else decision.reason


ONCE = "the run's key was released before"
ATTEMPTS = (
    Attempt("a clone", ONCE, a_clone),
    Attempt("the same again", ONCE, the_same_again),
    Attempt("with the first one's nonce", "the nonce was used before", with_the_first_ones_nonce),
    Attempt("after the broker stopped", ONCE, after_the_broker_stopped),
    Attempt("with another run's nonce", "the nonce was given for another run", with_another_runs_nonce),
)


def run() -> Outcome:
    """All attempts."""
    return outcome("an enclave cloned", "the broker", GAIN, ATTEMPTS)
