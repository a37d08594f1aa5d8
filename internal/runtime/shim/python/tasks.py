"""The part of the Python shim that serves several calls of a coroutine handler at
once: as tasks of one event loop. It is run in serve.py's namespace, behind
shared.py.
"""

BRIEF = 0.0001  # seconds; the answer of a call that took longer does not wait for others


class Tasks:
    """Calls of a coroutine handler, as tasks of one event loop.

    What one turn of the loop has answered leaves in one piece: under load the host
    sends several calls at once, and each write would wake it up anew.
    """

    def __init__(self):
        self.loop, self.calls, self.frames = event_loop(), {}, Frames()
        self.marks, self.answers = [], []
        Shim.before_end = self.deliver
        Shim.request = staticmethod(lambda: getattr(CALL.get(), "request_id", ""))

    def serve(self):
        conn = Shim.wire.conn
        for data in self.frames.feed(Shim.wire.rest):
            self.take(data)
        self.loop.add_reader(conn.fileno(), self.readable)
        while True:
            # A handler may stop the loop; that is not to be the end of the others.
            self.loop.run_forever()

    def readable(self):
        data = receive(Shim.wire.conn)
        if data == b"":
            posix._exit(0)
        if data:
            for frame in self.frames.feed(data):
                self.take(frame)

    def take(self, data):
        kind, ident = data[4], data[5:13]
        if kind == INVOKE:
            self.begin(Call(ident, data))
        elif kind == CANCEL:
            call = self.calls.get(ident)
            if call is not None:
                call.cancelled = True
                if call.started:  # Or asyncio would end the task before run has begun.
                    call.task.cancel()
        elif kind == CREDIT:
            call = self.calls.get(ident)
            if call is not None:
                call.grant(data)
        else:
            end(kind)

    def begin(self, call):
        call.request_id = call.head["request_id"]
        self.calls[call.ident] = call
        context = copy_context()
        context.run(CALL.set, call)
        call.task = self.loop.create_task(self.run(call), context=context)

    async def run(self, call):
        began = monotonic()
        head, data, http = call.head, call.data, call.head["kind"] == "http"
        call.data = None
        call.started = True
        try:
            if call.cancelled:
                raise Failure("Runtime.Cancelled", "the call was given up")
            event = http_event(head, data[call.split :]) if http else direct_event(data[call.split :])
            del data
            value = Shim.handler(event, Context(Shim.function, head))
            if hasattr(value, "__await__"):
                value = await value
            if Shim.child:
                Shim.end_child(0)
            kind, body = await self.answer(call, value, http)
        except BaseException as e:
            kind, body = (END if call.begun else ERROR), error_of(call, e)
        del self.calls[call.ident]
        flush()
        self.marks.append(call.closed())
        if len(body[1]) >= PIECE:
            self.deliver()
            Shim.wire.frame(kind, call.ident, body[0], body[1])
            return
        self.answers += (frame_start(kind, call.ident, *body), body[1])
        if monotonic() - began > BRIEF:
            self.deliver()
        elif len(self.marks) == 1:
            self.loop.call_soon(self.deliver)

    def deliver(self):
        """Sends what was answered, behind what it has printed."""
        if self.marks:
            write_all(b"".join(self.marks))
            self.marks.clear()
        if self.answers:
            answers = b"".join(self.answers)
            self.answers.clear()
            Shim.wire.send(answers)

    async def answer(self, call, value, http):
        head, body = http_answer(value) if http else (b"", value if is_stream(value) else serialise(value))
        if isinstance(body, bytes):
            check_answer(head, body)
            return RESULT, (len(head).to_bytes(4, "big") + head, body)
        head, total = stream_head(head) if http else b"", 0
        async for piece in each_piece(body):
            if Shim.child:
                Shim.end_child(0)
            self.begin_stream(call, head)
            total += len(piece)
            if not http and total > Shim.max_answer:
                raise too_large(total)
            for at in range(0, len(piece), PIECE):
                await self.send_piece(call, piece[at : at + PIECE])
        self.begin_stream(call, head)
        return END, (b"", b"")

    def begin_stream(self, call, head):
        if not call.begun:
            Shim.wire.frame(STREAM, call.ident, head)
            call.begun = True

    async def send_piece(self, call, piece):
        import asyncio

        while call.credit < len(piece):
            call.room = asyncio.Event()
            await call.room.wait()
        call.credit -= len(piece)
        Shim.wire.frame(CHUNK, call.ident, b"", piece)


async def each_piece(source):
    """The pieces of a streamed answer as bytes; others get their turn in between."""
    from asyncio import sleep

    if hasattr(source, "__anext__"):
        async for piece in source:
            yield to_bytes(piece)
    else:
        for piece in source:
            yield to_bytes(piece)
            await sleep(0)


def error_of(call, e):
    if isinstance(e, SystemExit):
        leave(e)
    if call.cancelled:
        e = Failure("Runtime.Cancelled", "the call was given up")
    body = describe(e)
    if Shim.child:
        Shim.end_child(1)
    return body, b""
