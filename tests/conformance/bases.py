"""The runs that the cases start from. Those under bases/ are written once, by
`python -m tests.conformance.make --bases`: the proofs of one of them have fresh blinding each time.
"""

import shutil
from base64 import b64decode
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from tests.conformance.draft import CHECKPOINT, DATA, HERE, TIMED_NOTE, Files, base_files
from tests.evidence.bundles import packed
from tests.verify.attested_runs import DATA as ATTESTED_DATA
from tests.verify.attested_runs import device, documented
from tests.verify.ideal import world
from tests.verify.register_builder import PLACES, entered, registered, write
from tests.verify.run_builder import SIGNER, honest
from zk_autograd.core.cells import encoded, one_hot
from zk_autograd.core.checkpoint import parse_checkpoint
from zk_autograd.core.cosignature import cosigned_message
from zk_autograd.core.graph import Pass
from zk_autograd.core.graph import text as graph_text
from zk_autograd.core.hyper import Rule
from zk_autograd.core.keys import MlDsa44Signer
from zk_autograd.core.order import SAMPLER
from zk_autograd.core.records import ENCLAVE_FORMAT, INSIDE, PUBLIC, V0, Block, Data, Exact, Parameter
from zk_autograd.core.text import encode_base64
from zk_autograd.evidence.data_secrets import DataSecrets
from zk_autograd.evidence.model_files import model_files
from zk_autograd.prove.hashed.backend import HashedBackend
from zk_autograd.prove.native.backend import NativeBackend
from zk_autograd.prove.native.preset import Preset
from zk_autograd.prove.native.shape import Shape
from zk_autograd.run.claims import Claims
from zk_autograd.run.exact_files import ExactFiles
from zk_autograd.run.writer import RunWriter


def write_bases() -> None:
    """Writes all of them anew."""
    shutil.rmtree(HERE / "bases", ignore_errors=True)
    none = world("none").run.files
    _write("none", none)
    _write("none-two-keys", world("none, sgd, recorded").run.files)
    _write("bundle", {"run.tar": packed(dict(sorted(none.items())))})
    _write_native(HERE / "bases" / "native-blocks")
    write_registered()
    write_enclave()
    write_exact()
    TIMED_NOTE.write_bytes(_timed())


def write_registered() -> None:
    """Two runs of the backend none in their trainer's register: one whose first weights the trainer
    chose, and one whose genesis has a beacon."""
    for name, run in (
        ("registered", registered(backend="none")[0]),
        ("registered-beacon", honest("none", beacon=bytes(32))),
    ):
        folder = HERE / "bases" / name
        shutil.rmtree(folder, ignore_errors=True)
        run.write(folder)
        (folder / "proofs").rmdir()
        tree = entered(run)
        write(folder, tree.views(*PLACES), [tree.receipt(size) for _, size in PLACES])


def write_enclave() -> None:
    """A run of the backend none of an enclave, in no register, attested by the emulated device."""
    run = honest("none")
    run.edit_header(format=ENCLAVE_FORMAT, proving=INSIDE, keys=(SIGNER.public_key.encode(),), data=ATTESTED_DATA)
    document = documented(run, device()).encode()
    assert run.genesis is not None
    run.genesis = replace(run.genesis, attestation=sha256(document).digest())
    folder = HERE / "bases" / "enclave"
    shutil.rmtree(folder, ignore_errors=True)
    run.write(folder)
    (folder / "proofs").rmdir()
    (folder / "attestation").mkdir()
    (folder / "attestation/document.json").write_bytes(document)


def write_exact() -> None:
    """A run of the backend none with exact gradients on public data: a logistic regression on 23
    examples of 510 features in two shards, of which an epoch takes 3 and 2 batches of 4; 10 steps
    in segments of up to 3."""
    generator = np.random.default_rng(3)
    labels = np.arange(23) % 2
    features = generator.integers(-64, 65, (23, 510)).astype(np.int32) * 16 + labels[:, None].astype(np.int32) * 256
    cells = np.concatenate([features, one_hot(labels, 2)], axis=1)
    text = "".join(
        f"{line}\n"
        for line in (
            graph_text.FORMAT,
            *("feature 510", "constant 1", "zero-class 1", "class 1", "close 1", "pad 508"),
            *("weight 0 514 1 510 0", "bias 510 514 1 1 510"),
        )
    ).encode()
    graph = graph_text.parse(text)
    exact = Exact(
        graph_text.digest(text), 2, 512, 13, PUBLIC, (), sha256(encoded(cells, graph.features)).digest(), seed=1
    )
    parameters = (Parameter("weight", (1, 510), 0, 510, 0), Parameter("bias", (1,), 510, 1, 0))
    backend = HashedBackend(512, 3)
    header = replace(
        honest("none").header,
        parameters=parameters,
        unproved=(),
        size=graph.size,
        blocks=(Block(0, 0, graph.size),),
        data=Data(b"", len(cells), SAMPLER, 4, b""),
        prover=backend.prover,
        grad_scale=0,
        exact=exact,
        keys=(SIGNER.public_key.encode(),),
    )
    first = np.zeros(graph.size, np.int64)
    folder = HERE / "bases" / "exact"
    shutil.rmtree(folder, ignore_errors=True)
    files = ExactFiles(text, cells, graph.features, DataSecrets(()))
    writer = RunWriter.create(folder, header, backend, [SIGNER], first, exact=files)
    order, computed = header.order(), Pass(graph)
    for step in range(1, 11):
        G, _ = computed.step(writer.weights, cells[order.batch(step)], 4, 2, header.grad_scale)
        writer.append(G)
    writer.close()
    shutil.rmtree(folder / "private", ignore_errors=True)
    (folder / "proofs").rmdir()
    (folder / "model").rmdir()


def _write(name: str, files: Files) -> None:
    for path, data in files.items():
        place = HERE / "bases" / name / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)


def _timed() -> bytes:
    """The checkpoint of `native-v1`, signed anew by the two keys of its trainer, at a time."""
    (name, seed), time = mldsa_seed(DATA / "test-v1.key"), 1_700_000_000
    ed25519, mldsa = base_files("native-v1")[CHECKPOINT].decode().splitlines(keepends=True)[-2:]
    text = base_files("native-v1")[CHECKPOINT].decode().split("\n\n")[0] + "\n"
    signed = MLDSA44PrivateKey.from_seed_bytes(seed).sign(cosigned_message(name, time, parse_checkpoint(text)))
    blob = MlDsa44Signer(name, seed).public_key.key_id + time.to_bytes(8, "big") + signed
    return f"{text}\n{ed25519}{mldsa.rpartition(' ')[0]} {encode_base64(blob)}\n".encode()


def mldsa_seed(path: Path) -> tuple[str, bytes]:
    """Name and seed of the ML-DSA-44 key in a key file that is good for tests alone."""
    fields = dict(line.split(": ") for line in path.read_text(encoding="ascii").splitlines()[1:])
    return fields["name"], b64decode(fields["mldsa44"])


def _write_native(folder: Path) -> None:
    """Two segments of two blocks, so four proofs: 6 parameters in two groups, SGD with momentum,
    steps 1..8 and 9..11."""
    shape = Shape(Rule.SGD_MOMENTUM, Preset.STANDARD, 13, 3)
    base = honest("none", rule=Rule.SGD_MOMENTUM, groups=2).header
    groups = (base.groups[0], replace(base.groups[1], s=15))
    header = replace(base, prover=shape.prover, groups=groups, keys=(SIGNER.public_key.encode(),), format=V0)
    generator = np.random.default_rng(2)
    first = generator.integers(-(2**33), 2**33, header.size)
    writer = RunWriter.create(folder, header, NativeBackend(shape), [SIGNER], first)
    for length in (8, 3):
        for _ in range(length):
            writer.append(generator.integers(-(2**20), 2**20, header.size), Claims("0.5"))
        writer.drain()
    writer.close(model_files(header.parameters, writer.state["W"], writer.final_salts("W")))
    shutil.rmtree(folder / "private", ignore_errors=True)
