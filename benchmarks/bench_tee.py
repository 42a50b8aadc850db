"""What enclaves cost: an attestation's verification, a key's release, sealing, measuring an image,
and a step of the models that are trained inside.

    python -m benchmarks.bench_tee [--json] [--folder DIR] [--part PART ...] [--peer PYTHON]

Half a minute, on an idle machine. Beside each figure stands the least that the same work takes, in
the same run: for a verification the signatures that have to be checked, by `cryptography`, with
keys that were read before; for a release those, a wrap and an fsync. All are medians, on one
thread, and of processor time, but for the broker's and those with a file on the disk. The documents
are the real ones of the tests; a broker's enclave is emulated. `--peer` names a Python in which
epsilon-attestation-verifier is installed, which verifies Nitro documents too. `--part` takes some
of the parts alone: nitro, snp, memory, broker, seal, image, models.
"""

import argparse
import http.client
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from hashlib import sha256, sha384
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.figures import Figure, conditions, emit
from tests.broker.brokers import RUN, Enclave, Place, Running
from tests.tee.eif.golden import packed
from tests.tee.nitro.documents import read
from tests.tee.nitro.documents import time_of as stated
from tests.tee.snp.real import Real, certificate, chain, signed_reports
from zk_autograd.broker.messages import Answer, Nonce, Release, Request, encode_asking
from zk_autograd.core.attestation import Collateral
from zk_autograd.enclave import models
from zk_autograd.enclave.models import Network
from zk_autograd.enclave.release import broker as client
from zk_autograd.tee.eif import Kind, measure, read_image
from zk_autograd.tee.nitro import Measurement, NitroPolicy, abi
from zk_autograd.tee.nitro import evidence as nitro_evidence
from zk_autograd.tee.snp import evidence as snp_evidence
from zk_autograd.tee.snp.abi import PRODUCTS, Report
from zk_autograd.tee.snp.judge import SnpPolicy
from zk_autograd.vault.context import of_enclave
from zk_autograd.vault.seal import seal, sealed, unseal, unsealed

NITRO = "54ae0f973da0c740.cose"
REPEATS = 60
RELEASES = 40
SEALED = 2**26
IMAGE = 2**27
MIB = 2**20
"""Bytes: what is sealed, what an image's second ramdisk has, and a piece."""

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""For NumPy's products, and torch: the enclave's models use one."""

Act = Callable[[], object]
Clock = Callable[[], float]
_PSS = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
_ES384 = ec.ECDSA(hashes.SHA384())


def medians(*acts: Act, repeats: int = REPEATS, clock: Clock = time.thread_time) -> list[float]:
    """Milliseconds of each, after one call that isn't counted: of processor time, unless another
    clock is given. They take turns, so that what else the machine does falls on all of them."""
    times: list[list[float]] = [[] for _ in acts]
    for number in range(repeats + 1):
        for act, own in zip(acts, times, strict=True):
            start = clock()
            act()
            if number:
                own.append(clock() - start)
    return [1000 * statistics.median(own) for own in times]


def throughputs(size: int, *acts: Act, clock: Clock = time.thread_time) -> list[float]:
    """Megabytes (10^6 bytes) in a second of each, all of which go through `size` bytes."""
    return [size / 1000 / took for took in medians(*acts, repeats=3, clock=clock)]


# ---- verification --------------------------------------------------------------------------------


def verified_nitro() -> None:
    """What step 8 and a broker do with a document: verify it, and judge it by a policy."""
    at = int(stated(NITRO).timestamp())
    found = nitro_evidence.verify(read(NITRO), Collateral(), at)
    pcrs = found.claim.pcrs
    nitro_evidence.judge(found, NitroPolicy((Measurement(pcrs[0], pcrs[1], pcrs[2]),)))


def nitro_signatures(document: bytes) -> Act:
    """The document's signature, and those of the certificates below the root."""
    signed = abi.parse(document)
    payload = signed.payload
    certificates = [x509.load_der_x509_certificate(der) for der in (*payload.bundle, payload.certificate)]
    keys: list[Any] = [one.public_key() for one in certificates]
    r, s = (int.from_bytes(half, "big") for half in (signed.signature[:48], signed.signature[48:]))
    checks = [(keys[-1], encode_dss_signature(r, s), signed.signed)]
    checks += [
        (key, one.signature, one.tbs_certificate_bytes) for key, one in zip(keys, certificates[1:], strict=False)
    ]
    return lambda: [key.verify(signature, data, _ES384) for key, signature, data in checks]


def nitro(folder: Path, peer: str) -> Iterator[Figure]:
    least, found = medians(nitro_signatures(read(NITRO)), verified_nitro)
    yield Figure("nitro.signatures", least, "ms: ES384 of a document and four certificates")
    yield Figure("nitro.verify", found, "ms: verify and judge", "signatures", found / least)
    if peer:
        root = abi.parse(read(NITRO)).payload.bundle[0]
        told = subprocess.run(
            [peer, "-c", _PEER, str(REPEATS), root.hex()], input=read(NITRO), capture_output=True, check=True
        )
        took = float(told.stdout)
        yield Figure("nitro.epsilon", took, "ms: epsilon-attestation-verifier", "signatures", took / least)


_PEER = """
import base64, statistics, sys, time
from cryptography import x509
from epsilon_verifier import verifier
root = x509.load_der_x509_certificate(bytes.fromhex(sys.argv[2]))
verifier.get_aws_root_certificate = lambda *_, **__: root  # it would be downloaded
document, times = base64.b64encode(sys.stdin.buffer.read()).decode(), []
for _ in range(1 + int(sys.argv[1])):
    start = time.thread_time()
    found = verifier.verify_attestation(document, allow_expired=True)
    times.append(time.thread_time() - start)
    assert found.valid, found.error
print(1000 * statistics.median(times[1:]))
"""


def verified_snp(real: Real, leaf: bytes, authorities: list[bytes]) -> None:
    """The same of a report, whose certificates lie beside it in no order."""
    found = snp_evidence.verify(real.data, Collateral((leaf, *authorities)), None)
    snp_evidence.judge(found, SnpPolicy(frozenset({Report.parse(real.data).measurement}), frozenset(PRODUCTS)))


def snp_signatures(real: Real, leaf: bytes, authorities: list[bytes]) -> Act:
    """The report's signature, and those of its key's certificate and of the one above."""
    signer, *above = loaded(leaf, *authorities)
    key: Any = signer.public_key()
    issuer = next(one for one in above if one.subject == signer.issuer)
    root = next(one for one in above if one.subject == issuer.issuer)
    keys: tuple[Any, Any] = issuer.public_key(), root.public_key()
    # AMD 56860, table of the signature: r and s, 72 bytes each, little-endian
    r, s = (int.from_bytes(real.data[at : at + 72], "little") for at in (0x2A0, 0x2A0 + 72))
    signature = encode_dss_signature(r, s)

    def check() -> None:
        key.verify(signature, real.data[:0x2A0], _ES384)
        for by, one in zip(keys, (signer, issuer), strict=True):
            by.verify(one.signature, one.tbs_certificate_bytes, _PSS, hashes.SHA384())

    return check


def loaded(*certificates: bytes) -> list[x509.Certificate]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # AMD numbers some of them zero
        return [x509.load_der_x509_certificate(der) for der in certificates]


def snp(folder: Path, peer: str) -> Iterator[Figure]:
    for product in ("milan", "genoa"):
        real = next(
            one
            for one in signed_reports()
            if (claim := one.verify()).product == product and claim.signer == "vcek" and not one.debug
        )
        leaf, authorities = certificate(real.signers[0]), chain()
        used = [one for one in authorities if _names(one, product)]
        own = lambda: verified_snp(real, leaf, used)  # noqa: B023, E731 - called at once
        least, took = medians(snp_signatures(real, leaf, used), own)
        yield Figure(f"snp.{product}.signatures", least, "ms: ES384 of a report, RSA-PSS of two certificates")
        yield Figure(f"snp.{product}.verify", took, "ms: verify and judge", "signatures", took / least)


def _names(der: bytes, product: str) -> bool:
    name = loaded(der)[0].subject.rfc4514_string()
    return any(f"CN={kind}-{product.capitalize()}" in name for kind in ("ARK", "SEV"))


# ---- memory --------------------------------------------------------------------------------------

_PEAK = """
import re
{act}
print(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
"""
_LIBRARY = "from cryptography import x509\nfrom cryptography.hazmat.primitives.asymmetric import ec, padding"
_VERIFY = """
import sys
from zk_autograd.core.attestation import Collateral
from zk_autograd.tee.{kind} import evidence
parts = [bytes.fromhex(part) for part in sys.stdin.read().split()]
evidence.verify(parts[0], Collateral(tuple(parts[1:])), None)
"""


def peak(act: str, *given: bytes) -> float:
    """MiB at most, of a new process that does this."""
    data = "\n".join(part.hex() for part in given).encode()
    done = subprocess.run([sys.executable, "-c", _PEAK.format(act=act)], input=data, capture_output=True, check=True)
    return int(done.stdout) / 1024


def memory(folder: Path, peer: str) -> Iterator[Figure]:
    alone = peak(_LIBRARY)
    yield Figure("memory.library", alone, "MiB: a process that loads cryptography")
    real = next(one for one in signed_reports() if not one.debug)
    for kind, given in (("nitro", [read(NITRO)]), ("snp", [real.data, certificate(real.signers[0]), *chain()])):
        found = peak(_VERIFY.format(kind=kind), *given)
        yield Figure(f"memory.{kind}", found, "MiB: a process that verifies one", "library", found / alone)


# ---- release -------------------------------------------------------------------------------------


def posted(served: Running, path: str, body: bytes) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    try:
        connection.request("POST", path, body)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        return answer.read()
    finally:
        connection.close()


def bare_release(folder: Path, place: Place, request: Request) -> Act:
    """Two signatures, a wrap, and a decision on the disk."""
    signed = abi.parse(request.document.raw)
    *_, root, leaf = (
        x509.load_der_x509_certificate(der) for der in (*signed.payload.bundle, signed.payload.certificate)
    )
    key, above = (one.public_key() for one in (leaf, root))
    assert isinstance(key, ec.EllipticCurvePublicKey) and isinstance(above, ec.EllipticCurvePublicKey)
    r, s = (int.from_bytes(half, "big") for half in (signed.signature[:48], signed.signature[48:]))
    recipient = Enclave().key.recipient

    def act() -> None:
        key.verify(encode_dss_signature(r, s), signed.signed, _ES384)
        above.verify(leaf.signature, leaf.tbs_certificate_bytes, _ES384)
        recipient.wrap(place.deks[RUN], Release(RUN, request.document.nonce))
        synced(folder)

    return act


def synced(folder: Path) -> None:
    """One fsync of what a decision has."""
    with open(folder / "decision", "ab") as file:
        file.write(bytes(1000))
        file.flush()
        os.fsync(file.fileno())


def broker(folder: Path, peer: str) -> Iterator[Figure]:
    place, enclave = Place(folder / "broker", releases=10**6, rate=10**6), Enclave()
    with place.running() as served:
        requests: list[Request] = []
        bare = bare_release(folder, place, enclave.request(RUN, bytes(32)))

        def asked() -> None:
            nonce = Nonce.parse(posted(served, "/v0/nonce", encode_asking(RUN))).nonce
            requests.append(enclave.request(RUN, nonce))

        def released() -> None:
            answer = posted(served, "/v0/release", requests.pop().encode())
            assert Answer.parse(answer, served.broker.key).decision.granted

        def whole() -> None:
            assert client.release(served.client(), RUN, enclave.key, enclave.device) == place.deks[RUN]

        fsync, least, *took = medians(
            lambda: synced(folder), bare, asked, released, whole, repeats=RELEASES, clock=time.perf_counter
        )
    yield Figure("broker.fsync", fsync, "ms: one, of a kilobyte")
    yield Figure("broker.bare", least, "ms: two ES384, one HPKE wrap, one fsync")
    for name, found, what in zip(
        ("nonce", "release", "client"),
        took,
        ("a nonce, and a request made of it", "a key, and its answer checked", "all that an enclave does to get a key"),
        strict=True,
    ):
        yield Figure(f"broker.{name}", found, f"ms over loopback: {what}", "bare", found / least)


# ---- sealing -------------------------------------------------------------------------------------


def pieces(data: bytes, dek: bytes) -> None:
    """AES-256-GCM alone, in pieces of 1 MiB."""
    cipher, view = AESGCM(dek), memoryview(data)
    for number, at in enumerate(range(0, len(data), MIB)):
        cipher.encrypt(number.to_bytes(12, "big"), view[at : at + MIB], None)


def sealing(folder: Path, peer: str) -> Iterator[Figure]:
    data, dek, context = os.urandom(SEALED), os.urandom(32), of_enclave(bytes(16))
    one, target, back = sealed(data, context, dek), folder / "a.enc", folder / "a"

    def plain() -> None:
        with open(target, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def written() -> None:
        target.unlink()
        seal(io.BytesIO(data), target, context, dek)

    def opened() -> None:
        back.unlink(missing_ok=True)
        unseal(io.BytesIO(one), back, context, dek)

    least, *found = throughputs(
        SEALED,
        lambda: pieces(data, dek),
        lambda: sha256(data),
        lambda: sealed(data, context, dek),
        lambda: unsealed(one, context, dek),
    )
    yield Figure("seal.aes_256_gcm", least, "MB/s, in pieces of 1 MiB")
    told = ("of a ciphertext, which a key file names", "in memory", "in memory, with SHA-256")
    for name, what, speed in zip(("sha256", "sealed", "unsealed"), told, found, strict=True):
        yield Figure(f"seal.{name}", speed, f"MB/s, {what}", "aes_256_gcm", speed / least)
    disk, *found = throughputs(SEALED, plain, written, opened, clock=time.perf_counter)
    yield Figure("seal.disk", disk, "MB/s, a plain file, written and synced")
    for name, speed in zip(("seal", "unseal"), found, strict=True):
        yield Figure(f"seal.{name}", speed, "MB/s, to a file on the disk, with SHA-256", "disk", speed / disk)


# ---- images --------------------------------------------------------------------------------------


def image(folder: Path, peer: str) -> Iterator[Figure]:
    parts = [
        (Kind.KERNEL, bytes(2**23)),
        (Kind.CMDLINE, b"panic=30"),
        (Kind.RAMDISK, bytes(2**20)),
        (Kind.RAMDISK, os.urandom(IMAGE)),
    ]
    data = packed(parts)
    place = folder / "image.eif"
    place.write_bytes(data)

    def hashed() -> None:
        with place.open("rb") as file:
            whole = sha384()
            while piece := file.read(MIB):
                whole.update(piece)

    def measured() -> None:
        with place.open("rb") as file:
            measure(read_image(file))

    least, found = throughputs(len(data), hashed, measured)
    yield Figure("image.sha384", least, "MB/s: one pass of SHA-384")
    yield Figure("image.measure", found, "MB/s: CRC, then PCR0, PCR1 and PCR2", "sha384", found / least)


# ---- models --------------------------------------------------------------------------------------

SHAPES: Mapping[str, tuple[tuple[int, ...], int]] = {
    "softmax": ((30, 3), 32),
    "mlp_64": ((30, 64, 3), 32),
    "mlp_784": ((784, 64, 10), 64),
}
"""Widths of the layers, and rows of a batch."""


def model_steps(folder: Path, peer: str) -> Iterator[Figure]:
    for name, (widths, rows) in SHAPES.items():
        network, drawn = Network(widths), np.random.default_rng(1)
        weights = [(drawn.normal(size=tensor.shape) / 8).astype(np.float32) for tensor in network.tensors]
        features = drawn.normal(size=(rows, widths[0])).astype(np.float32)
        classes = drawn.integers(widths[-1], size=rows)
        products: tuple[Any, ...] = (models.product, np.matmul, _einsum)
        acts = [step_with(product, network, weights, features, classes) for product in products]
        with suppress(ImportError):
            acts.append(torch_step(weights, features, classes))
        own, *others = medians(*acts)
        yield Figure(f"models.{name}.step", own, f"ms: {rows} rows, widths {widths}")
        told = ("NumPy's matmul", "NumPy's einsum", "torch, float32")
        for other, what, took in zip(("matmul", "einsum", "torch"), told, others, strict=False):
            yield Figure(f"models.{name}.{other}", took, f"ms: the same with {what}")
            yield Figure(f"models.{name}.ratio_to_{other}", own / took, "times", other, own / took)


def step_with(product: Callable[..., Any], network: Network, weights: list[Any], features: Any, classes: Any) -> Act:
    """A step of the enclave's models with this product of matrices."""

    def act() -> None:
        with patch.object(models, "product", product):
            network.step(weights, features, classes)

    return act


def _einsum(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> Any:
    return np.einsum("nk,km->nm", left, right)


def torch_step(weights: list[Any], features: Any, classes: Any) -> Act:
    import torch

    own = [torch.tensor(one, requires_grad=True) for one in weights]
    rows, wanted = torch.tensor(features), torch.tensor(classes)

    def act() -> None:
        value = rows
        for at in range(0, len(own), 2):
            value = torch.nn.functional.linear(value, own[at], own[at + 1])
            value = value if at == len(own) - 2 else torch.relu(value)
        loss = torch.nn.functional.cross_entropy(value, wanted)
        torch.autograd.grad(loss, own)

    return act


PARTS: Mapping[str, Callable[[Path, str], Iterator[Figure]]] = {
    "nitro": nitro,
    "snp": snp,
    "memory": memory,
    "broker": broker,
    "seal": sealing,
    "image": image,
    "models": model_steps,
}


def figures(folder: Path, parts: list[str], peer: str) -> Iterator[Figure]:
    yield conditions()
    for name in parts:
        yield from PARTS[name](folder, peer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--part", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--peer", default="", metavar="PYTHON")
    arguments = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):  # read when NumPy is loaded
        os.execve(
            sys.executable, [sys.executable, "-m", "benchmarks.bench_tee", *sys.argv[1:]], os.environ | ONE_THREAD
        )
    with tempfile.TemporaryDirectory(prefix=".bench-tee-", dir=arguments.folder) as folder:
        emit(figures(Path(folder), arguments.part, arguments.peer), as_json=arguments.json)


if __name__ == "__main__":
    main()
