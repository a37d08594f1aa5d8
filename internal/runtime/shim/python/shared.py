"""The part of the Python shim that serves several calls at once.

It is run in serve.py's own namespace, and only where INIT asks for more than one
call at a time: what tasks.py and workers.py have in common.
"""

import io
from contextvars import ContextVar, copy_context

CANCEL, CREDIT = 0x04, 0x05
WINDOW = 256 << 10  # what may be on its way of one streamed answer
PIECE = 64 << 10  # the largest piece of one, so that others get their turn
LINE = 16 << 10  # what is written at once is not torn apart by other writers

CALL = ContextVar("cove_call", default=None)


class Call:
    """A call in flight."""

    def __init__(self, ident, data):
        self.ident, self.data = ident, data
        split = 17 + int.from_bytes(data[13:17], "big")
        self.head = scan_json(data[17:split].decode(), 0)[0]
        self.split = split
        self.marker = self.head["marker"].encode()
        # What begins a line, by the descriptor that it was printed to.
        self.tags = {1: self.marker + b":", 2: self.marker + b"!"}
        self.partial = {}
        self.started = self.begun = self.cancelled = self.done = False
        self.credit = WINDOW
        self.task = self.room = None

    def write(self, fd, data):
        """Writes the whole lines of data, each with the marker; the rest must wait.

        The lines of both streams go one way, so that they stay in order.
        """
        data = self.partial.get(fd, b"") + data
        *lines, rest = data.split(b"\n")
        while len(rest) > LINE:
            lines.append(rest[:LINE])
            rest = rest[LINE:]
        self.partial[fd] = rest
        for line in lines:
            at = 0
            while True:  # A line without any text is one too.
                write_all(b"%s%s\n" % (self.tags[fd], line[at : at + LINE]))
                at += LINE
                if at >= len(line):
                    break

    def unmarked(self):
        """The INVOKE without its marker, for a worker: what it has printed can be
        read before its answer can, so its output needs none."""
        data, self.data = self.data, None
        start = data.index(b'"marker":"') + 10
        end = data.index(b'"', start)
        gone = end - start
        size, head = int.from_bytes(data[:4], "big") - gone, self.split - 17 - gone
        return b"".join((size.to_bytes(4, "big"), data[4:13], head.to_bytes(4, "big"), data[17:start], data[end:]))

    def close(self):
        """Ends the call's share of the log."""
        write_all(self.closed())

    def closed(self):
        """What ends the call's share of the log, to be written."""
        self.done = True
        rests = [b"%s%s\n" % (self.tags[fd], rest) for fd, rest in self.partial.items() if rest]
        return b"".join(rests) + self.marker + b"\n"

    def grant(self, data):
        self.credit += int.from_bytes(data[13:17], "big")
        if self.room is not None:
            self.room.set()


def write_all(data, fd=1):
    try:
        while data:
            data = data[posix.write(fd, data) :]
    except OSError:
        pass  # The handler closed it, or the host has gone.


class Tagged(io.RawIOBase):
    """What lies under print: lines of the call that prints them."""

    def __init__(self, fd):
        import _thread

        self.fd, self.lock, self.rest = fd, _thread.allocate_lock(), b""

    def writable(self):
        return True

    def fileno(self):
        return self.fd

    def write(self, data):
        data = bytes(data)
        call = CALL.get()
        with self.lock:
            if call is not None and not call.done:
                call.write(self.fd, data)
            else:
                whole, newline, rest = (self.rest + data).rpartition(b"\n")
                self.rest = rest[-LINE:]
                write_all(whole + newline + rest[:-LINE], self.fd)
        return len(data)

    def flush(self):
        with self.lock:
            rest, self.rest = self.rest, b""
            write_all(rest, self.fd)


def tagged_streams():
    for name, fd in (("stdout", 1), ("stderr", 2)):
        stream = io.TextIOWrapper(Tagged(fd), "utf-8", "backslashreplace", "\n", write_through=True)
        setattr(sys, name, stream)
        setattr(sys, "__%s__" % name, stream)


class Frames:
    """Cuts what arrives into frames."""

    def __init__(self):
        self.rest = bytearray()

    def feed(self, data):
        if self.rest:
            self.rest += data
            data = self.rest
        at = 0
        while len(data) - at >= 4:
            end = at + 4 + int.from_bytes(data[at : at + 4], "big")
            if end > len(data):
                break
            yield bytes(data[at:end])
            at = end
        self.rest = bytearray(data[at:])


def receive(sock):
    """What is there to be read: empty at the end, None if there is nothing."""
    try:
        return sock.recv(65536, 0x40)  # MSG_DONTWAIT
    except BlockingIOError:
        return None
    except OSError:
        return b""


def is_coroutine_handler(handler):
    from functools import partial

    while isinstance(handler, partial):
        handler = handler.func
    for f in (handler, getattr(type(handler), "__call__", None)):
        f = getattr(f, "__func__", f)
        if getattr(getattr(f, "__code__", None), "co_flags", 0) & 0x280:
            return True
    return False


def serve_shared(init):
    if is_coroutine_handler(Shim.handler):
        run_part("tasks")
        Tasks().serve()
    else:
        run_part("workers")
        Workers(init).serve()


def end(kind):
    """What a frame means that belongs to no call."""
    if kind != SHUTDOWN:
        posix._exit(70)
    Shim.before_end()
    import atexit

    atexit._run_exitfuncs()
    flush()
    posix._exit(0)
