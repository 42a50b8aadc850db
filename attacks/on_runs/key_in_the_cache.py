"""Attack on whoever judges EZKL's runs: exchange the verifying key that lies in their cache.

Gain: every later judgement, from whatever folder. A verifying key of a circuit that checks nothing
(attacks/hollow.py) accepts proofs of anything, and the cache is looked up by name. The key gets
there through a cache in a folder that others write to, or through an older version, whose child
process a run could replace (attacks/code_in_the_run.py) and whose keys have no digest.

Why it fails: a cache is refused if anybody else can write to it or to a folder above it; and a key
is used only if it has the SHA-256 that was written down when it was made, else it is regenerated.
"""

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from attacks.tools.attempt import EZKL, Scene
from attacks.tools.outcome import Outcome
from attacks.tools.victim import CIRCUIT
from zk_autograd.core.errors import UsageError
from zk_autograd.prove.ezkl.child import Child
from zk_autograd.prove.ezkl.circuit import catalogue
from zk_autograd.prove.ezkl.keys import DIGESTS, Cache, Keys

BACKENDS = EZKL
GAIN = "a verifying key of the attacker's in every later judgement"
PLANTED = b"the attacker's verifying key"


def key_used(cache: Cache, srs: bytes) -> bytes:
    """The verifying key that an auditor with this cache verifies with."""
    return cache.keys(catalogue.load(CIRCUIT), srs, Child(), proving=False).vk.read_bytes()


def copied(scene: Scene) -> Cache:
    """The auditor's cache, with the victim's keys in it, somewhere else: without the proving key,
    which an auditor doesn't have."""
    cache, (srs,) = scene.ezkl.cache, scene.victim.srs
    key_used(cache, srs)
    folder = scene.place()
    for part in (Path("srs") / srs.hex(), Path("keys") / f"{catalogue.load(CIRCUIT).digest.hex()}-{srs.hex()}"):
        (folder / part).parent.mkdir(parents=True)
        source = cache.folder / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("pk.key"))
        else:
            (folder / part).hardlink_to(source)
    return Cache(folder)


def _keys(cache: Cache) -> Keys:
    (folder,) = (cache.folder / "keys").iterdir()
    return Keys(folder, cache.folder / "srs")


def exchanged(cache: Cache) -> None:
    """The key is not the one that was made."""
    _keys(cache).vk.write_bytes(PLANTED)


def of_an_older_version(cache: Cache) -> None:
    """The same, and nothing says what was made."""
    exchanged(cache)
    (_keys(cache).folder / DIGESTS).unlink()


def open_to_others(cache: Cache) -> None:
    """The cache lies where anybody can put another in its place."""
    exchanged(cache)
    cache.folder.chmod(0o777)


PLANTS: dict[str, Callable[[Cache], None]] = {
    "exchanged": exchanged,
    "of an older version": of_an_older_version,
    "in a folder that others write to": open_to_others,
}


def run(scene: Scene) -> Outcome:
    """All of them."""
    (srs,) = scene.victim.srs
    refused = True
    for plant in PLANTS.values():
        cache = copied(scene)
        plant(cache)
        with suppress(UsageError):
            refused &= key_used(cache, srs) != PLANTED
    return Outcome("a key in the auditor's cache", refused, "the cache", GAIN, scene.backend)
