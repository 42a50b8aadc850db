"""Frames: a peer that sends anything else, or nothing, is one RunError, soon."""

import threading
from collections.abc import Callable
from socket import socket
from time import monotonic, sleep

import pytest

from tests.enclave.relay.pairs import SHORT, frame, pair
from zk_autograd.core.errors import RunError
from zk_autograd.enclave.relay.frames import MAX_FRAME, MAX_WORD, PeerEnded, Wire


def test_a_word_and_data_of_several_frames_arrive() -> None:
    data = bytes(range(256)) * 40_000  # ten frames
    with pair(5) as (wire, peer), Wire(peer, "the enclave", 5) as other:

        def send() -> None:
            wire.say({"size": len(data)})
            wire.send([data[:7], data[7:]])

        sender = threading.Thread(target=send)
        sender.start()
        fields = other.heard()
        size = fields.integer("size", 0, len(data))
        fields.end()
        assert b"".join(other.receive(size)) == data
        sender.join()


def test_no_data_are_no_frame() -> None:
    with pair() as (wire, peer):
        wire.send([b"", b"ab"])
        assert list(wire.receive(0)) == []
        assert peer.recv(100) == frame(b"D", b"ab")


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"\0\0\0\0", "a frame of 0 bytes"),
        (b"\xff\xff\xff\xff" + b"W", f"4294967295 bytes, where {1 + MAX_WORD} are the most"),
        ((2 + MAX_WORD).to_bytes(4, "big"), "a frame of"),
        (frame(b"D", b"{}"), "the kind 'D', where 'W' was due"),
        (frame(b"\x1b", b"{}"), r"the kind '\\x1b'"),
        (frame(b"W", b"{ }"), "not canonical JSON"),
        (frame(b"W", b"[]"), "word"),
        (frame(b"W", b"\xff"), "canonical JSON"),
    ],
)
def test_what_is_no_word_is_refused(sent: bytes, said: str) -> None:
    with pair() as (wire, peer):
        peer.sendall(sent)
        with pytest.raises(RunError, match=r"the host doesn't keep to the relay's protocol") as caught:
            wire.heard()
        assert said.replace("\\\\", "\\") in str(caught.value)


def test_more_data_than_was_announced_are_refused_before_they_are_read() -> None:
    with pair() as (wire, peer):
        peer.sendall(frame(b"D", b"abc"))
        with pytest.raises(RunError, match="4 bytes, where 3 are the most"):
            list(wire.receive(2))
        peer.sendall((1 + MAX_FRAME + 1).to_bytes(4, "big"))
    with pair() as (wire, peer):
        peer.sendall((2 + MAX_FRAME).to_bytes(4, "big"))
        with pytest.raises(RunError, match="are the most"):
            list(wire.receive(2**30))


def test_frames_without_data_cant_go_on_for_ever() -> None:
    with pair() as (wire, peer):
        peer.sendall(frame(b"D", b"") * 2)
        with pytest.raises(RunError, match="a frame without data"):
            list(wire.receive(2))


@pytest.mark.parametrize("sent", [b"", b"\0\0", frame(b"W", b"{}")[:-1]])
def test_a_peer_that_ends_is_told_from_one_that_stalls(sent: bytes) -> None:
    with pair() as (wire, peer):
        peer.sendall(sent)
        peer.close()
        with pytest.raises(PeerEnded, match="ended the connection"):
            wire.heard()
    with pair() as (wire, peer):
        peer.sendall(sent)
        with pytest.raises(RunError, match=r"says nothing for 0\.3 seconds") as caught:
            wire.heard()
        assert not isinstance(caught.value, PeerEnded)


def test_bytes_that_drip_dont_stretch_the_time() -> None:
    whole = frame(b"W", b'{"a":"' + b"x" * 100 + b'"}')

    def drip(peer: socket, go_on: Callable[[], bool]) -> None:
        for byte in whole:
            if not go_on():
                return
            peer.sendall(bytes([byte]))
            sleep(SHORT / 3)

    with pair() as (wire, peer):
        going = [True]
        dripping = threading.Thread(target=drip, args=(peer, lambda: going[0]))
        dripping.start()
        began = monotonic()
        with pytest.raises(RunError, match="says nothing"):
            wire.heard()
        assert monotonic() - began < 5 * SHORT
        going[0] = False
        dripping.join()


def test_a_peer_that_takes_nothing_is_no_wait_without_end() -> None:
    with pair() as (wire, _), pytest.raises(RunError, match=r"takes nothing for 0\.3 seconds"):
        wire.send([bytes(2**26)])
