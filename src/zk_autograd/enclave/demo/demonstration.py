"""The demonstration, command by command: each is shown as an operator, an owner or an auditor would
type it, and run."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from shlex import join

import zk_autograd
from zk_autograd.core.errors import RunError, UsageError
from zk_autograd.enclave.demo.authority import local_authority

Say = Callable[[str], None]

IMAGE = "enclave.eif"
_SECONDS = 1800
_ENDS = 45
_ROWS = 200


@dataclass(frozen=True, slots=True)
class Demonstrated:
    """Where everything lies, and how the two verifications ended."""

    folder: Path
    run: Path
    policy: Path
    production: Path
    accepted: int
    refused: int


class Shell:
    """Runs commands in a folder, and shows each before it."""

    def __init__(self, folder: Path, say: Say) -> None:
        self._folder, self._say = folder, say
        own = {"PYTHONUNBUFFERED": "1", "COSIGN_PASSWORD": "", "NO_COLOR": "1", "SYFT_CHECK_FOR_APP_UPDATE": "false"}
        self._environment = {**os.environ, **own}

    def run(self, *command: str, status: int | None = 0) -> str:
        """What the command prints, which is shown, too. RunError unless it ends with `status`."""
        self._say(f"$ {join(command)}")
        with self._started(command) as process:
            said, _ = process.communicate(timeout=_SECONDS)
        for line in said.splitlines():
            self._say(line)
        if status is not None and process.returncode != status:
            raise RunError(
                f"the demonstration stops: {command[0]} ended with status {process.returncode}, not {status}"
            )
        self.status = process.returncode
        return said

    @contextmanager
    def beside(self, *command: str) -> Iterator[list[str]]:
        """The first lines of a command that goes on until the end of the context."""
        self._say(f"$ {join(command)} &")
        with self._started(command) as process:
            assert process.stdout is not None
            lines: list[str] = []
            while not any(line.startswith("keys of ") for line in lines):
                line = process.stdout.readline()
                if not line:
                    raise RunError(f"the demonstration stops: {command[0]} ended: {' '.join(lines)[:400]}")
                lines.append(line.rstrip("\n"))
                self._say(lines[-1])
            yield lines

    @contextmanager
    def _started(self, command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
        """A program that is asked to end at the end of the context, if it still runs: it stops what
        it has started."""
        process = subprocess.Popen(
            [*_program(command[0]), *command[1:]],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_ENDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _program(name: str) -> list[str]:
    """The words that start a program: of ours, with this very interpreter."""
    ours = {"zk-enclave": "enclave", "zk-verify": "verify"}
    return [sys.executable, "-m", f"zk_autograd.cli.{ours[name]}"] if name in ours else [name]


@dataclass(frozen=True, slots=True)
class Tools:
    """The programs that sign an image and write its bill of materials."""

    cosign: str
    syft: str

    @classmethod
    def found(cls, folder: Path | None) -> "Tools":
        """Those in `folder`, or on the PATH. UsageError names the one that is missing."""
        where = None if folder is None else str(folder)
        paths = {name: shutil.which(name, path=where) for name in ("cosign", "syft")}
        missing = [name for name, path in paths.items() if path is None]
        if missing:
            raise UsageError(
                f"the demonstration signs the image with cosign, and lists what is in it with Syft; missing: {' and '.join(missing)} "
                "(in a checkout, make test-deps-go builds them; --tools says where they lie)"
            )
        return cls(*(str(Path(str(path)).absolute()) for path in paths.values()))  # they run in another folder


def demonstrate(folder: Path, image: Path | None, tools: Tools, say: Say, *, steps: int = 100) -> Demonstrated:
    """Does all of it in `folder`, a new one. `image`: an image that was built (make enclave-image);
    None: one whose ramdisk is this package's own code, which would not boot.

    RunError if a command ends otherwise than it should, UsageError for what is missing.
    """
    try:
        folder.mkdir(mode=0o700, parents=True)  # keys come into it
    except FileExistsError:
        raise UsageError(f"{folder} is there already: name a new folder") from None
    shell = Shell(folder, say)
    with ExitStack() as stack:
        say("# the operator: an image, its measurement, who signed it, and what is in it")
        registers = _image(folder, image, shell)
        _signed(folder, tools, shell)
        (folder / "measurement.json").write_text(json.dumps(registers))
        url, root = stack.enter_context(local_authority(folder / "authority"))
        shutil.copy(root, folder / "time-stamps.pem")
        policy, production = _policies(folder, registers)
        shell.run("zk-enclave", "verify-image", IMAGE, "--image-key", "cosign.pub", "--policy", policy.name)
        say("# the owner: a job, sealed for enclaves of this image alone")
        _job(folder, steps)
        shell.run("zk-enclave", "new-recipient", "--out", "owner.key")
        sealed = shell.run(
            *("zk-enclave", "seal", "--job", "job.toml", "--data", "table.csv", "--out", "job"),
            *("--kek-file", "broker.kek", "--recipient", "owner.key.pub"),
            *("--checkpoint-every", str(max(steps // 2, 1))),
        )
        digest = _said(sealed.splitlines(), "job ").partition(":")[0]
        say(f'# the auditor: the policies name this job, by job = "{digest}"')
        _name_job((policy, production), digest)
        words = "zk-enclave broker --jobs job --kek-file broker.kek --state broker --listen 127.0.0.1:0 --policy"
        lines = stack.enter_context(shell.beside(*words.split(), policy.name))
        place, key = _said(lines, "listening at http://").rstrip("/"), _said(lines, "key ")
        say("# the operator: the enclave, here a process with an emulated device")
        shell.run(
            *["zk-enclave", "run", "--job", "job", "--out", "run", "--process", "--measurements", "measurement.json"],
            *("--broker", place, "--broker-key", key, "--anchor", f"rfc3161:{url}"),
        )
        say("# the auditor: what was shown, by a policy for demonstrations and by one for production")
        shell.run("zk-verify", "run", "--policy", policy.name, "--require", "L1,L2")
        accepted = shell.status
        shell.run("zk-verify", "run", "--policy", production.name, "--require", "L1,L2", status=3)
        refused = shell.status
        say("# the owner: the model, which only they can open")
        shell.run(
            *["zk-enclave", "open", "run.sealed/model.enc", "--identity", "owner.key", "--out", "model.safetensors"]
        )
    return Demonstrated(folder, folder / "run", policy, production, accepted, refused)


def _said(lines: list[str], begins: str) -> str:
    return next(line for line in lines if line.startswith(begins)).removeprefix(begins)


def _name_job(policies: Sequence[Path], digest: str) -> None:
    for path in policies:
        table = "[attestation.nitro]"
        path.write_text(path.read_text().replace(table, f'[attestation]\njob = "{digest}"\n\n{table}'))


def _image(folder: Path, image: Path | None, shell: Shell) -> Mapping[str, str]:
    if image is not None:
        root = image.with_name("root.oci")
        if not (image.is_file() and root.is_file()):
            raise UsageError(f"{image} and {root.name} beside it are not there: make enclave-image builds both")
        shutil.copy(image, folder / IMAGE)
        shutil.copy(root, folder / root.name)
    else:
        _own_code(folder)
        shell.run(
            *["zk-enclave", "build", "--kernel", "none.kernel", "--ramdisk", "code.tar", "--cmdline"],
            "this image does not boot",
            "--out",
            IMAGE,
        )
    shell.run("zk-enclave", "measure", IMAGE)
    from zk_autograd.enclave.launching import measured

    return measured(folder / IMAGE)


def _own_code(folder: Path) -> None:
    """A ramdisk of this package's own modules, and no kernel."""
    import tarfile

    (folder / "none.kernel").write_bytes(b"no kernel: this image is measured and signed, and does not boot\n")
    package = Path(zk_autograd.__file__).parent
    with tarfile.open(folder / "code.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(p for p in package.rglob("*") if p.suffix in (".py", ".pem", ".so")):
            data = path.read_bytes()
            entry = tarfile.TarInfo(str(Path("zk_autograd") / path.relative_to(package)))
            entry.size = len(data)
            with path.open("rb") as file:
                tar.addfile(entry, file)


def _signed(folder: Path, tools: Tools, shell: Shell) -> None:
    shell.run(tools.cosign, "generate-key-pair")
    shell.run(tools.cosign, "signing-config", "create", "--out", "offline.json")
    where = "oci-archive:root.oci" if (folder / "root.oci").exists() else f"dir:{Path(zk_autograd.__file__).parent}"
    shell.run(tools.syft, "--quiet", where, "--output", f"spdx-json={IMAGE}.spdx.json")
    common = ("--yes", "--key", "cosign.key", "--signing-config", "offline.json")
    shell.run(tools.cosign, "sign-blob", *common, "--bundle", f"{IMAGE}.sig.json", IMAGE)
    bill = ("--type", "spdxjson", "--predicate", f"{IMAGE}.spdx.json")
    shell.run(tools.cosign, "attest-blob", *common, *bill, "--bundle", f"{IMAGE}.sbom.json", IMAGE)


def _policies(folder: Path, registers: Mapping[str, str]) -> tuple[Path, Path]:
    """The auditor's policy for demonstrations, and the same without what makes it one."""
    members = ", ".join(f'{name} = "{value}"' for name, value in registers.items())
    text = (
        'format = "zk-autograd/policy/v1"\nrequire = ["L1", "L2"]\n\n[anchors.rfc3161]\nroots = ["time-stamps.pem"]\n\n'
        f"[attestation.nitro]\nmeasurements = [{{ {members} }}]\n"
    )
    policy, production = folder / "demo.toml", folder / "production.toml"
    production.write_text(text)
    policy.write_text(text + "emulated = true # the demonstration's: anybody can sign under its root\n")
    return policy, production


def _job(folder: Path, steps: int) -> None:
    (folder / "job.toml").write_text(
        f'model = "softmax"\nlabel = "kind"\nsteps = {steps}\nbatch-size = 16\nlr = "0.01"\nseed = 7\nprover = "native"\npublish = true\n'
    )
    drawn = Random(7)
    rows = ["length,width,height,weight,kind"]
    for row in range(_ROWS):
        values = (f"{drawn.gauss(3.0 * (row % 3 == column), 1.0):.3f}" for column in range(4))
        rows.append(",".join((*values, "abc"[row % 3])))
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
    descriptor = os.open(folder / "broker.kek", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(os.urandom(32))
