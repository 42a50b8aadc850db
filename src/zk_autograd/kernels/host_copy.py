"""The integers of a step on their way from the device to the host, beside whatever follows it."""

import numpy as np
import torch
from numpy.typing import NDArray


class HostCopy:
    """The newest vector that was sent: int32 (elements,). On a GPU the copy runs on a stream of its
    own into pinned memory, and `array` waits for it."""

    def __init__(self) -> None:
        self._host: torch.Tensor | None = None
        self._stream: torch.cuda.Stream | None = None
        self._done: torch.cuda.Event | None = None

    def send(self, values: torch.Tensor) -> None:
        """Begins to copy `values`, which nobody writes to any more. The array given out before is
        overwritten."""
        if values.is_cuda:
            self._send_beside(values)
        else:
            self._host, self._done = values.cpu(), None

    def array(self) -> NDArray[np.int32] | None:
        """What was sent last, once it is here; None before the first."""
        if self._done is not None:
            self._done.synchronize()
        return None if self._host is None else self._host.numpy()

    def forget(self) -> None:
        """As before the first."""
        if self._done is not None:
            self._done.synchronize()  # the buffer may be freed only once nothing is copied to it
        self._host = self._done = None

    def _send_beside(self, values: torch.Tensor) -> None:
        """Of all that is here this alone has never run where these tests run: it needs a GPU."""
        device = values.device
        if self._stream is None or self._stream.device != device:
            self._stream = torch.cuda.Stream(device)
        if self._host is None or not self._host.is_pinned() or self._host.shape != values.shape:
            self._host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
        self._stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(self._stream):
            self._host.copy_(values, non_blocking=True)
            values.record_stream(self._stream)  # its memory is not given to others before the copy is done
            self._done = self._stream.record_event()
