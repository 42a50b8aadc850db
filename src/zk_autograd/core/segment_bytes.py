"""The short way to read a segment record: its usual form is one regular expression.

`record_bytes.parse` is the definition of what a record may be. Where a log has a million of them,
decoding each and encoding it again is most of a verification. All segments of a run have the same
fields in the same order, since canonical JSON sorts them; so the header determines an expression
that matches records as trainers write them. What it matches, `parse` reads to the same values;
whatever it doesn't (a text with an escape or beyond ASCII, a number beyond 10^12, anything false)
is left to `parse`, whose verdict and message count. tests/core/test_segment_bytes.py holds the two
against each other.
"""

import re
from binascii import unhexlify

from zk_autograd.core.canonical import MAX_MARKS
from zk_autograd.core.records import Header
from zk_autograd.core.segments import Packed

_TEXT = rb'"[ !#-\[\]-~]{%d,%d}"'
"""Printable ASCII without the quotation mark and the backslash: its own canonical form."""
_NUMBER = rb"(?:0|[1-9][0-9]{0,11})"
"""Below 10^12, so below every bound on a record's numbers."""
_FIRST = rb"[1-9][0-9]{0,11}"
_NOT_HEX = bytes(byte for byte in range(256) if byte not in b"0123456789abcdef")
_MAX_LOSS = 60
_MAX_LR = 100


class SegmentReader:
    """Reads the segment records of one run."""

    def __init__(self, header: Header) -> None:
        form, blocks = header.prover.form, len(header.blocks)
        names = sorted(header.states)
        # Their letters would pass for digits.
        assert all(name.isascii() and name.isupper() for name in names)
        commitments = _array(_hex(form.commitment_bytes), blocks, blocks)
        state = b",".join(b'"%s":%s' % (name.encode(), commitments) for name in names)
        self._steps = header.prover.steps
        # The state-in of most records is the state-out before it: it needn't be decoded again.
        self._state_out_text = self._state_out = b""
        self._rates = len(header.groups) if header.declared is None else 0
        rates = _array(_TEXT % (1, _MAX_LR), self._rates, self._rates)
        # Quantifiers are possessive ("++"): an expression without choices needs no way back, and
        # no memory for it.
        self._pattern = re.compile(
            rb'\{"batches":"((?:%s)?+)","claimed":\{"loss":(%s),"saturated":(%s)\},"first":(%s),"gradients":(%s),"index":(%s),'
            rb'"last":(%s),"lr":(%s),"proofs":(%s),"state_in":\{(%s)\},"state_out":\{(%s)\},"type":"segment"\}'
            % (
                _HEX % (2 * 32),
                _array(_TEXT % (0, _MAX_LOSS), 0, self._steps),
                _array(_NUMBER, 0, self._steps),
                _FIRST,
                commitments,
                _NUMBER,
                _FIRST,
                _array(rates, 1, self._steps) if self._rates else rb"\[\]",
                _array(_hex(32), blocks, blocks) if form.proves else rb"\[\]",
                state,
                state,
            )
        )

    def read(self, leaf: bytes) -> Packed | None:
        """The record of a leaf that `record_bytes.parse` accepts; None for one that is left to
        it."""
        match = self._pattern.fullmatch(leaf) if len(leaf) <= MAX_MARKS else None  # which bounds its marks, too
        if match is None:
            return None
        batches, loss, saturated, first_text, gradients, index, last_text, lr, proofs, state_in, state_out = (
            match.groups()
        )
        first, last = int(first_text), int(last_text)
        steps = last - first + 1
        if not (
            1 <= steps <= self._steps
            and loss.count(b'"') <= 2 * steps
            and (saturated.count(b",") < steps or saturated == b"[]")
            and lr.count(b'"') == 2 * steps * self._rates
        ):
            return None
        before = self._state_out if state_in == self._state_out_text else unhexlify(state_in.translate(None, _NOT_HEX))
        self._state_out_text, self._state_out = state_out, unhexlify(state_out.translate(None, _NOT_HEX))
        return Packed(
            int(index),
            first,
            last,
            before,
            self._state_out,
            unhexlify((gradients + proofs).translate(None, _NOT_HEX)),
            unhexlify(batches),
            b"[%s,%s,%s]" % (loss, lr, saturated),
            len(loss) > 2 or len(saturated) > 2,
        )


_HEX = rb"[0-9a-f]{%d}"


def _hex(nbytes: int) -> bytes:
    return b'"' + _HEX % (2 * nbytes) + b'"'


def _array(item: bytes, least: int, most: int) -> bytes:
    """An expression for an array of `least` .. `most` items, where `least` is 0, 1 or `most`."""
    if most == 0:
        return rb"\[\]"
    more = rb"(?:,%s){%d,%d}+" % (item, max(least, 1) - 1, most - 1) if most > 1 else b""
    items = item + more
    return rb"\[(?:%s)?+\]" % items if least == 0 else rb"\[%s\]" % items
