"""A software TPM, swtpm: a process, and a folder with all of its state, which its host can copy."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path


def missing() -> str:
    """Why there is no software TPM here, or nothing that talks to it; "" if there is."""
    if shutil.which("swtpm") is None:
        return "there is no software TPM here: make test-deps installs swtpm, as root and with apt-get"
    os.environ.setdefault("TSS2_LOG", "all+none")
    try:
        import tpm2_pytss  # noqa: F401
    except (ImportError, OSError, RuntimeError) as error:
        return f"tpm2-pytss can't be used here ({error}): make test-deps installs it"
    return ""


class Emulator:
    """swtpm on Unix sockets in `folder`; its state lies in `folder`/state."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.state = folder / "state"
        self.state.mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def tcti(self) -> str:
        """How tpm2-tss names it."""
        return f"swtpm:path={self._folder / 's'}"

    @property
    def control(self) -> Path:
        """The socket that it is ruled by."""
        return self._folder / "s.ctrl"

    def start(self) -> None:
        """Starts it, as a computer that is switched on does."""
        socket, control = self._folder / "s", self.control
        for path in (socket, control):
            path.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [
                *("swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.state}"),
                *("--server", f"type=unixio,path={socket}", "--ctrl", f"type=unixio,path={control}"),
                *("--flags", "not-need-init,startup-clear"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + 20
        while not socket.exists():
            assert self._process.poll() is None, "swtpm ended"
            assert time.monotonic() < end, "swtpm didn't begin"
            time.sleep(0.01)

    def stop(self) -> None:
        """Ends it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def roll_back(self, copy: Path) -> None:
        """Puts an older copy of its state back, as its host can."""
        self.stop()
        shutil.rmtree(self.state)
        shutil.copytree(copy, self.state)
        self.start()

    def pause(self, *, stopped: bool) -> None:
        """Stops the process from answering, or lets it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP if stopped else signal.SIGCONT)
