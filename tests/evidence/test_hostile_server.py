"""A stranger's server: whatever it answers, it costs no more than is stated, and what is no answer
says nothing against the run (4); a wrong file does (1)."""

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.evidence.servers import Handler, Lie, judged, listening, raw, served, swapped, tls
from tests.verify.run_builder import POLICY as L1
from tests.verify.run_builder import honest, stand_ins
from zk_autograd.core.errors import UnreadableError
from zk_autograd.evidence.pace import Limits
from zk_autograd.evidence.remote import PAGE, open_url
from zk_autograd.run.files import Files
from zk_autograd.run.packing import pack
from zk_autograd.verify.verifier import Verifier

RECORDS, CHECKPOINT, BUNDLE = "/run/log/records.jsonl", "/run/log/checkpoint", "/run.bundle"
FAILED, UNJUDGED = 1, 4
HURRIED = Limits(connect=0.5, idle=0.5, patience=0.5, rate=10**6, seconds=20)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("held")
    run = honest("none").write(folder / "run")
    pack(run, folder / "run.bundle", Files(), lambda what, done, total: None)
    return folder


def replied(*lines: str, body: bytes = b"") -> bytes:
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode() + body


def status(code: int, *headers: str) -> Lie:
    return raw(replied(f"HTTP/1.1 {code} So", "Content-Length: 4", *headers, body=b"what"))


def length(announced: Callable[[int], int]) -> Lie:
    """The file under a length that it may not have."""
    return lambda h, data: h.wfile.write(
        replied("HTTP/1.1 200 OK", f"Content-Length: {announced(len(data))}", body=data)
    )


def headed(*headers: str) -> Lie:
    """The file with headers of the server's own."""
    return lambda h, data: h.wfile.write(replied("HTTP/1.1 200 OK", *headers, body=data))


def sized(*headers: str) -> Lie:
    """The file with its length, and other headers."""
    return lambda h, data: h.answer(200, data, **dict(header.split(": ", 1) for header in headers))


def chunked(body: bytes) -> Lie:
    return raw(replied("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=body))


def endlessly(start: bytes, again: bytes, pause: float = 0) -> Lie:
    """Sends for ever, or until nobody listens."""

    def answer(handler: Handler, data: bytes) -> None:
        handler.wfile.write(start)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            handler.wfile.write(again)
            time.sleep(pause)

    return answer


NOT_THE_FILE: dict[str, tuple[Lie, str]] = {
    "500": (status(500), "answers 500"),
    "503": (status(503), "answers 503"),
    "403": (status(403), "answers 403"),
    "401": (status(401, "WWW-Authenticate: Basic"), "answers 401"),
    "204": (raw(replied("HTTP/1.1 204 No Content")), "answers 204"),
    "206 that was not asked for": (status(206, "Content-Range: bytes 0-3/4"), "answers 206"),
    "file:///": (status(302, "Location: file:///etc/passwd"), "a redirect to 'file:///etc/passwd'"),
    "redirect to itself": (status(307, f"Location: {RECORDS}"), "none is followed"),
    "redirect with escapes": (status(301, "Location: \x1b[2Jx"), r"a redirect to '\x1b[2Jx'"),
    "closes at once": (raw(b""), "the connection ended early"),
    "dies in the headers": (raw(b"HTTP/1.1 200 OK\r\nContent-Le"), "can't be read"),
    "dies in the middle": (length(lambda n: n + 1), "the connection ended after"),
    "goes on": (length(lambda n: n - 1), "the server sent more than the"),
    "goes on far": (length(lambda n: 0), "the server sent more than the 0 bytes"),
    "no length": (headed(), "doesn't say in one way how long"),
    "two lengths": (headed("Content-Length: 1", "Content-Length: 2"), "doesn't say in one way how long"),
    "length of minus one": (headed("Content-Length: -1"), "doesn't say in one way how long"),
    "length of plus": (headed("Content-Length: +1"), "doesn't say in one way how long"),
    "length of 19 digits": (headed("Content-Length: " + "9" * 19), "doesn't say in one way how long"),
    "length and chunks": (sized("Transfer-Encoding: chunked"), "doesn't say in one way how long"),
    "two codings": (headed("Transfer-Encoding: gzip, chunked"), "doesn't say in one way how long"),
    "gzip": (sized("Content-Encoding: gzip"), "the server encodes it as 'gzip'"),
    "chunks that end early": (chunked(b"5\r\nab"), "can't be read"),
    "chunks without an end": (chunked(b"2\r\nab\r\n"), "the connection ended early"),
    "chunk of minus one": (chunked(b"-1\r\n"), "the connection ended early"),
    "chunk of no number": (chunked(b"zz\r\nab"), "the connection ended early"),
    "no HTTP": (raw(b"SSH-2.0-OpenSSH\r\n"), "is not HTTP/1.1"),
    "HTTP/2": (raw(b"HTTP/2 200 OK\r\n\r\n"), "is not HTTP/1.1"),
    "status of four digits": (raw(b"HTTP/1.1 2000 OK\r\n\r\n"), "is not HTTP/1.1"),
    "a long header": (raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2**17 + b"\r\n\r\n"), "is not HTTP/1.1"),
    "many headers": (raw(b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 200 + b"\r\n"), "is not HTTP/1.1"),
}

SLOW: dict[str, tuple[Lie, str]] = {
    "a byte at a time": (endlessly(replied("HTTP/1.1 200 OK", "Content-Length: 900"), b"x", 0.02), "it is too slow"),
    "headers, a byte at a time": (endlessly(b"HTTP/1.1 200 OK\r\nX: ", b"x", 0.02), "it is too slow"),
    "continue for ever": (endlessly(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.001), "it is too slow"),
    "trailers for ever": (
        endlessly(replied("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"0\r\n"), b"X: x\r\n", 0.001),
        "it is too slow",
    ),
    "nothing": (endlessly(b"", b"", 0.02), "can't be read"),
    "nothing after the headers": (
        endlessly(replied("HTTP/1.1 200 OK", "Content-Length: 9"), b"", 0.02),
        "can't be read",
    ),
}

WRONG_FILES: dict[str, tuple[str, Lie, int, str]] = {
    "a swapped record": (RECORDS, lambda h, data: h.answer(200, swapped(data)), 3, "root"),
    "a log that ends early": (RECORDS, lambda h, data: h.answer(200, data[:-1]), 1, "does not end"),
    "no log": (RECORDS, lambda h, data: h.answer(404, b""), 1, "the server has no such file"),
    "a log that is gone": (RECORDS, lambda h, data: h.answer(410, b""), 1, "the server has no such file"),
    "a checkpoint too large": (CHECKPOINT, raw(replied("HTTP/1.1 200 OK", "Content-Length: 65537")), 1, "is too large"),
    "a log too large": (RECORDS, raw(replied("HTTP/1.1 200 OK", f"Content-Length: {2**30 + 1}")), 1, "is too large"),
    "a log of 10^17 bytes": (RECORDS, raw(replied("HTTP/1.1 200 OK", f"Content-Length: {10**17}")), 1, "is too large"),
    "an endless checkpoint": (
        CHECKPOINT,
        endlessly(replied("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"), b"1000\r\n" + bytes(4096) + b"\r\n"),
        1,
        "is too large",
    ),
    "a page that says it isn't there": (CHECKPOINT, lambda h, data: h.answer(200, b"<html>"), 1, "note"),
}


@pytest.mark.parametrize("path", [RECORDS, CHECKPOINT])
@pytest.mark.parametrize("name", NOT_THE_FILE)
def test_what_is_not_the_file_says_nothing_against_the_run(place: Path, name: str, path: str) -> None:
    lie, said = NOT_THE_FILE[name]
    with served(place, lies={path: lie}) as server:
        found = judged(f"{server.url}/run/")
    assert found[:2] == (UNJUDGED, 1 if path == RECORDS else 0), found
    assert said in found[2]
    assert f"{server.url}{path} can't be read: " in found[2]
    assert ("this says nothing against the run: try again" in found[2]) != ("give the address itself" in found[2])
    assert found[2].isprintable()


def test_whether_there_is_a_log_is_not_known_where_the_server_fails(place: Path) -> None:
    lies: dict[str, Lie] = {CHECKPOINT: lambda h, data: h.answer(404, b""), RECORDS: status(500)}
    with served(place, lies=lies) as server:
        found = judged(f"{server.url}/run/")
    assert found[:2] == (UNJUDGED, 0)
    assert "answers 500" in found[2]


@pytest.mark.parametrize("name", [name for name in NOT_THE_FILE if "206" not in name])
def test_the_same_of_a_bundle(place: Path, name: str) -> None:
    lie, said = NOT_THE_FILE[name]
    with served(place, lies={BUNDLE: lie}) as server:
        found = judged(f"{server.url}{BUNDLE}")
    assert found[:2] == (UNJUDGED, 0), found
    assert said in found[2]


@pytest.mark.parametrize("path", [RECORDS, BUNDLE])
@pytest.mark.parametrize("name", SLOW)
def test_a_slow_server_ends(place: Path, name: str, path: str) -> None:
    lie, said = SLOW[name]
    start = time.monotonic()
    with served(place, lies={path: lie}) as server:
        found = judged(server.url + ("/run/" if path == RECORDS else path), limits=HURRIED)
        assert time.monotonic() - start < 5
    assert found[0] == UNJUDGED, found
    assert said in found[2]


@pytest.mark.parametrize("name", WRONG_FILES)
def test_a_wrong_file_fails_its_step(place: Path, name: str) -> None:
    path, lie, step, said = WRONG_FILES[name]
    with served(place, lies={path: lie}) as server:
        found = judged(f"{server.url}/run/")
    assert found[:2] == (FAILED, step), found
    assert said in found[2]
    assert server.sent < 2**20


def test_chunks_are_read(place: Path) -> None:
    def in_chunks(handler: Handler, data: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "Chunked")
        handler.end_headers()
        for start in range(0, len(data), 100):
            part = data[start : start + 100]
            handler.wfile.write(b"%x;x=y\r\n%s\r\n" % (len(part), part))
        handler.wfile.write(b"0\r\nX: x\r\n\r\n")

    with served(place, lies={RECORDS: in_chunks, CHECKPOINT: in_chunks}) as server:
        assert judged(f"{server.url}/run/") == (0, 0, "")
    with served(place, lies={BUNDLE: in_chunks}) as server:
        assert judged(f"{server.url}{BUNDLE}") == (0, 0, "")


def test_no_redirect_is_followed(place: Path) -> None:
    with served(place) as other:
        lie = status(302, f"Location: {other.url}{RECORDS}")
        for lies, path in (({RECORDS: lie}, "/run/"), ({BUNDLE: lie}, BUNDLE)):
            with served(place, lies=lies) as server:
                found = judged(server.url + path)
            assert found[0] == UNJUDGED
            assert f"a redirect to '{other.url}{RECORDS}', and none is followed" in found[2]
    assert other.connections == 0


def proof(lie: Lie) -> dict[str, Lie]:
    return {"/run/proofs/1-1": lie}


@pytest.mark.parametrize(
    ("lie", "expected", "said"),
    [
        (lambda h, data: h.answer(404, b""), FAILED, "the server has no such file"),
        (lambda h, data: h.answer(200, data[:-1] + b"x"), FAILED, "does not match the record's hash"),
        (lambda h, data: h.answer(200, bytes(2**23 + 1)), FAILED, "is too large"),
        (status(500), UNJUDGED, "answers 500"),
        (length(lambda n: n + 1), UNJUDGED, "the connection ended after"),
    ],
)
def test_of_a_proof(tmp_path: Path, lie: Lie, expected: int, said: str) -> None:
    run = honest()
    run.write(tmp_path / "run")
    with served(tmp_path, lies=proof(lie)) as server, open_url(f"{server.url}/run/") as files:
        report = Verifier(L1, stand_ins()).verify(files)
    error = report.failure or report.unreadable
    assert error is not None
    assert (report.exit_status, error.step, error.record) == (expected, 7, 3)
    assert said in error.message
    asked = [path for path in server.paths if "/proofs/" in path]
    assert "/run/proofs/1-1" in asked
    assert expected == FAILED or len(asked) == 6  # nothing false hides behind what can't be read


def test_nothing_false_hides_behind_what_is_not_given(tmp_path: Path) -> None:
    honest().write(tmp_path / "run")
    (tmp_path / "run/proofs/2-0").write_bytes(b"false")
    with served(tmp_path, lies={"/run/proofs/0-0": status(500)}) as server, open_url(f"{server.url}/run/") as files:
        report = Verifier(L1, stand_ins()).verify(files)
    assert report.failure is not None
    assert (report.failure.step, report.failure.record) == (7, 4)


def test_a_server_that_hangs_is_asked_once(tmp_path: Path) -> None:
    honest().write(tmp_path / "run")
    lies = {f"/run/proofs/{s}-{b}": SLOW["a byte at a time"][0] for s in range(3) for b in range(2)}
    start = time.monotonic()
    with served(tmp_path, lies=lies) as server:
        with open_url(f"{server.url}/run/", limits=HURRIED) as files:
            report = Verifier(L1, stand_ins()).verify(files)
        assert time.monotonic() - start < 4
    assert report.exit_status == UNJUDGED
    assert len([path for path in server.paths if "/proofs/" in path]) == 1


def test_everything_together_is_bounded(tmp_path: Path) -> None:
    proofs = tmp_path / "run/proofs"
    proofs.mkdir(parents=True)
    for i in range(4):
        (proofs / f"{i}-0").write_bytes(bytes(10**5))
    for lies in ({}, {f"/run/proofs/{i}-0": _in_one_chunk for i in range(4)}):
        with served(tmp_path, lies=dict(lies)) as server:
            with open_url(f"{server.url}/run/", limits=Limits(total=250_000)) as files:
                assert len(files.proof(0, 0)) == len(files.proof(1, 0)) == 10**5
                for segment in (2, 3, 3):
                    with pytest.raises(UnreadableError, match="more than 250000 bytes would have been fetched"):
                        files.proof(segment, 0)
                assert len(files.proof(0, 0)) == 10**5
            assert len(server.asked) == 3  # it is not asked again
            assert server.sent <= 3 * 10**5
    with (
        served(tmp_path) as server,
        open_url(f"{server.url}/run/", limits=Limits(seconds=0)) as files,
        pytest.raises(UnreadableError, match="it took longer than 0 seconds in all"),
    ):
        files.proof(0, 0)


def _in_one_chunk(handler: Handler, data: bytes) -> None:
    chunked(b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data))(handler, data)


def test_a_connection_that_the_server_has_closed_is_made_again(place: Path) -> None:
    def last(handler: Handler, data: bytes) -> None:  # without a word that it is the last
        handler.answer(200, data)

    with served(place, lies={CHECKPOINT: last}) as server:
        with open_url(f"{server.url}/run/") as files:
            assert files.checkpoint()
            time.sleep(0.05)
            assert files.leaves()
        assert server.connections == 2


# ---- ranges --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle of more than a page."""
    folder = tmp_path_factory.mktemp("long")
    run = honest("none", lengths=(3,) * 40)
    run.write(folder / "run")
    pack(folder / "run", folder / "run.bundle", Files(), lambda what, done, total: None)
    assert (folder / "run.bundle").stat().st_size > 3 * PAGE
    return folder


def ranged(
    part: Callable[[bytes, int, int], tuple[bytes, str]], *, first: bool = False, headers: dict[str, str] | None = None
) -> Lie:
    """Answers with what `part` gives for the bytes of the file from one number to another; the
    first page honestly, unless it says otherwise."""

    def answer(handler: Handler, data: bytes) -> None:
        start, end = map(int, handler.headers["Range"].removeprefix("bytes=").split("-"))
        end = min(end, len(data) - 1)
        if start == 0 and not first:
            handler.answer_range(data, start, end, ETag='"1"')
            return
        body, span = part(data, start, end)
        handler.answer(206, body, **({"ETag": '"1"', "Content-Range": span} | (headers or {})))

    return answer


def honestly(data: bytes, start: int, end: int) -> tuple[bytes, str]:
    return data[start : end + 1], f"bytes {start}-{end}/{len(data)}"


RANGES: dict[str, tuple[Lie, str]] = {
    "another range": (
        ranged(lambda d, s, e: (d[s - 1 : e], f"bytes {s - 1}-{e - 1}/{len(d)}")),
        "gives another range than was asked for",
    ),
    "less": (ranged(lambda d, s, e: (d[s:e], f"bytes {s}-{e - 1}/{len(d)}")), "gives another range"),
    "more": (ranged(lambda d, s, e: (d[s - 5 :], f"bytes {s - 5}-{len(d) - 1}/{len(d)}")), "gives another range"),
    "no range": (ranged(lambda d, s, e: (d[s : e + 1], "")), "gives a range, but not which"),
    "no total": (ranged(lambda d, s, e: (d[s : e + 1], f"bytes {s}-{e}/*")), "gives a range, but not which"),
    "no total at first": (
        ranged(lambda d, s, e: (d[s : e + 1], f"bytes {s}-{e}/*"), first=True),
        "gives a range, but not which",
    ),
    "a total of 0": (ranged(lambda d, s, e: (b"", "bytes 0-0/0"), first=True), "gives another range"),
    "a small total": (ranged(lambda d, s, e: (d[:100], "bytes 0-99/50"), first=True), "gives another range"),
    "a huge total": (
        ranged(lambda d, s, e: (d[: PAGE - 1], f"bytes 0-{PAGE - 2}/{10**17}"), first=True),
        "gives another range",
    ),
    "another total": (
        ranged(lambda d, s, e: (d[s : e + 1], f"bytes {s}-{e}/{len(d) + 1}")),
        "it changed on the server",
    ),
    "another version": (ranged(honestly, headers={"ETag": '"2"'}), "it changed on the server"),
    "no version": (ranged(honestly, headers={"ETag": ""}), "it changed on the server"),
    "a body of another length": (
        ranged(lambda d, s, e: (d[s:e], f"bytes {s}-{e}/{len(d)}")),
        "gives another range than was asked for",
    ),
    "several ranges": (
        ranged(lambda d, s, e: (b"--x\r\n\r\n--x--", ""), headers={"Content-Type": "multipart/byteranges; boundary=x"}),
        "gives a range, but not which",
    ),
    "gzip": (ranged(honestly, headers={"Content-Encoding": "gzip"}), "the server encodes it"),
}


@pytest.mark.parametrize("name", RANGES)
def test_ranges_that_are_none(long: Path, name: str) -> None:
    lie, said = RANGES[name]
    with served(long, lies={BUNDLE: lie}) as server:
        found = judged(f"{server.url}{BUNDLE}")
    assert found[0] == UNJUDGED, found
    assert said in found[2]
    assert "this says nothing against the run" in found[2]


def test_honest_ranges_are_taken(long: Path) -> None:
    with served(long, lies={BUNDLE: ranged(honestly)}) as server:
        assert judged(f"{server.url}{BUNDLE}") == (0, 0, "")
        assert len(server.asked) > 1


def test_a_range_of_wrong_bytes_fails_its_step(long: Path) -> None:
    def changed(place: int) -> Lie:
        def part(data: bytes, start: int, end: int) -> tuple[bytes, str]:
            wrong = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            return honestly(wrong, start, end)

        return ranged(part, first=True)

    data = (long / "run.bundle").read_bytes()
    record = data.index(b'"0.5"', 2 * PAGE) + 1
    for place, step in ((record, 3), (150, 1), (len(data) - 1, 1)):
        with served(long, lies={BUNDLE: changed(place)}) as server:
            found = judged(f"{server.url}{BUNDLE}")
        assert found[:2] == (FAILED, step), found


def test_ranges_that_end(long: Path) -> None:
    def once(answer: Lie) -> Lie:
        def lie(handler: Handler, data: bytes) -> None:
            if handler.headers["Range"].startswith("bytes=0-"):
                ranged(honestly)(handler, data)
            else:
                answer(handler, data)

        return lie

    for answer, said in (
        (lambda h, data: h.answer(200, data), "answers 200"),
        (lambda h, data: h.answer(416, b""), "answers 416"),
        (lambda h, data: h.answer(404, b""), "answers 404"),
        (raw(b""), "the connection ended early"),
    ):
        with served(long, lies={BUNDLE: once(answer)}) as server:
            found = judged(f"{server.url}{BUNDLE}")
        assert found[0] == UNJUDGED, found
        assert said in found[2]


def test_a_whole_bundle_is_bounded(long: Path) -> None:
    with served(long, ranges=False) as server:
        found = judged(f"{server.url}{BUNDLE}", limits=Limits(total=PAGE))
        assert found[0] == UNJUDGED
        assert f"more than {PAGE} bytes would have been fetched in all" in found[2]
    lie = endlessly(replied("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"), b"1000\r\n" + bytes(4096) + b"\r\n")
    with served(long, lies={BUNDLE: lie}) as server:
        assert judged(f"{server.url}{BUNDLE}", limits=Limits(total=10**6))[0] == UNJUDGED


# ---- connections ---------------------------------------------------------------------------------


def test_nobody_there(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for scheme in ("http", "https"):
        found = judged(f"{scheme}://127.0.0.1:{port}/run/")
        assert found[:2] == (UNJUDGED, 0)
        assert "nobody listens there (connection refused)" in found[2]
    found = judged("https://nobody.invalid/run/", limits=HURRIED)
    assert found[:2] == (UNJUDGED, 0)
    assert "its host's name leads nowhere" in found[2]


def slowly(connection: socket.socket) -> None:
    """Part of a TLS record's header, and nothing more."""
    connection.sendall(b"\x16\x03")
    connection.settimeout(3)
    while connection.recv(4096):
        pass


def test_tls_that_never_comes_about(tmp_path: Path) -> None:
    start = time.monotonic()
    with listening(slowly) as there:
        found = judged(f"https://{there}/run/", limits=HURRIED)
    assert found[:2] == (UNJUDGED, 0)
    assert "no connection came about in time" in found[2]
    assert time.monotonic() - start < 3
    with listening(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as there:
        found = judged(f"https://{there}/run/")
    assert found[:2] == (UNJUDGED, 0)


def test_over_tls_the_same_lies_are_seen(place: Path, tmp_path: Path) -> None:
    made = tls(tmp_path)
    for name in ("dies in the middle", "goes on", "closes at once", "gzip", "chunk of minus one"):
        lie, said = NOT_THE_FILE[name]
        with served(place, lies={RECORDS: lie}, tls=made) as server:
            found = judged(f"{server.url}/run/", context=made.client)
        assert found[:2] == (UNJUDGED, 1), found
        assert said in found[2]
    with served(place, lies={RECORDS: SLOW["a byte at a time"][0]}, tls=made) as server:
        assert "it is too slow" in judged(f"{server.url}/run/", context=made.client, limits=HURRIED)[2]
