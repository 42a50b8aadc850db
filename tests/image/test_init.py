"""The first program: what it hands on to the enclave's."""

import json
from pathlib import Path

import pytest

from enclave import init


def test_the_program_gets_nothing_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel makes variables of NAME=value on its command line, which is the host's to choose
    within limits: OpenSSL and NumPy would read settings from them."""
    for name in ("OPENSSL_CONF", "OPENBLAS_NUM_THREADS", "PYTHONPATH", "AWS_ENDPOINT_URL", "LD_LIBRARY_PATH"):
        monkeypatch.setenv(name, "/host")
    monkeypatch.setattr(init, "PROGRAM", "timeit")  # a module that runs what it is given
    told = tmp_path / "environment"
    assert init.program("-n1", "-r1", f"import json, os; json.dump(dict(os.environ), open({str(told)!r}, 'w'))") == 0
    found = json.loads(told.read_text())
    found.pop("LC_CTYPE", None)  # Python's own, where there is no locale (PEP 538)
    assert found == {"PATH": "/usr/bin:/bin", "HOME": "/"}


def test_without_arguments_it_is_for_a_nitro_enclave(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS's first program hands none on."""
    given: list[tuple[str, ...]] = []

    def program(*arguments: str) -> int:
        given.append(arguments)
        return 0

    monkeypatch.setattr(init, "program", program)
    assert init.main([]) == 0
    assert init.main(["--device", "snp"]) == 0
    assert given == [("--device", "nitro", "--relay", "vsock:3:5000"), ("--device", "snp")]
