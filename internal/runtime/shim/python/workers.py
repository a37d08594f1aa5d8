"""The part of the Python shim that serves several calls of a plain function at once:
in worker processes, one call each at a time. It is run in serve.py's namespace,
behind shared.py.

This process, which has imported the handler, forks the workers when they are
needed, and passes frames and output on. A worker is the shim for one call at a
time, with a socket of this process in the host's place.
"""

KILL = 9
# So many reads of what a worker printed take all that was there when it answered: more
# than a socket holds.
ALL = 16


class Worker:
    """A worker process as its parent sees it."""

    def __init__(self, pid, sock, logs, ready):
        self.pid, self.sock, self.logs = pid, sock, logs  # by the descriptor in the worker
        self.frames, self.unsent, self.pending = Frames(), b"", []
        self.call, self.ended = None, False
        self.ready = ready  # It has the handler.

    def send(self, data):
        self.unsent += data
        self.flush()

    def flush(self):
        try:
            while self.unsent:
                self.unsent = self.unsent[self.sock.send(self.unsent, 0x4040) :]  # MSG_DONTWAIT | MSG_NOSIGNAL
        except OSError:
            pass  # It is full, or the worker has gone, which is seen when it is read.

    def wanted(self):
        """What is to be waited for: no more is read than may be passed on."""
        return (0 if self.pending else 1) | (4 if self.unsent else 0)  # POLLIN, POLLOUT


class Workers:
    """Calls of a plain function, in processes of this one's making."""

    def __init__(self, init):
        self.init, self.limit = init, init["concurrency"]
        self.idle, self.busy, self.waiting = [], {}, []
        self.frames, self.files = Frames(), {}

    def serve(self):
        import select

        self.poll = select.poll()
        Shim.unwatch()
        import gc

        # So that the collector of a worker leaves alone, and shared, what was
        # imported. Collecting first finds next to nothing and takes milliseconds.
        gc.freeze()
        self.conn = Shim.wire.conn
        self.poll.register(self.conn.fileno(), 1)
        try:
            self.idle.append(self.start())
        except OSError:
            pass  # The first call will say so.
        for data in self.frames.feed(Shim.wire.rest):
            self.take(data)
        while True:
            for fd, event in self.poll.poll():
                if fd == self.conn.fileno():
                    self.readable()
                elif fd in self.files:
                    worker, stream = self.files[fd]
                    if stream:
                        self.printed(worker, stream, 1)
                    elif not worker.ended:
                        self.answered(worker, event)

    def readable(self):
        data = receive(self.conn)
        if data == b"":
            posix._exit(0)
        if data:
            for frame in self.frames.feed(data):
                self.take(frame)

    def take(self, data):
        kind, ident = data[4], data[5:13]
        worker = self.busy.get(ident)
        if kind == INVOKE:
            self.waiting.append(Call(ident, data))
            self.next()
        elif kind == CANCEL:
            if worker is not None:
                worker.call.cancelled = True
                kill(worker.pid)
                self.forward(worker)
            else:
                for call in [c for c in self.waiting if c.ident == ident]:
                    self.waiting.remove(call)
                    call.cancelled = True
                    self.fail(call, "")
        elif kind == CREDIT:
            if worker is not None:
                worker.call.grant(data)
                self.forward(worker)
        else:
            self.shutdown(kind, data)

    def next(self):
        while self.waiting and (self.idle or len(self.busy) < self.limit):
            call = self.waiting.pop(0)
            try:
                worker = self.idle.pop() if self.idle else self.start()
            except OSError as e:
                self.fail(call, "no worker process could be started: %s" % e)
                continue
            worker.call = call
            self.busy[call.ident] = worker
            worker.send(call.unmarked())
            self.watch(worker)

    def watch(self, worker):
        self.poll.register(worker.sock.fileno(), worker.wanted())

    def ignore(self, fd):
        """No more is heard of fd: a hang-up would be told of for ever."""
        try:
            self.poll.unregister(fd)
        except KeyError:
            pass

    # ---- Their life

    def start(self):
        import _socket

        ours, theirs = _socket.socketpair()
        pairs = _socket.socketpair(), _socket.socketpair()
        outs, intos = [p[0].detach() for p in pairs], [p[1] for p in pairs]
        forked = not threads()
        try:
            pid = self.fork(ours, theirs, outs, intos) if forked else self.spawn(theirs, intos)
        except BaseException:
            ours.close()
            for out in outs:
                posix.close(out)
            raise
        finally:
            theirs.close()
            for into in intos:
                into.close()
        worker = Worker(pid, ours, {1: outs[0], 2: outs[1]}, forked)
        if not forked:
            body = to_json({**self.init, "concurrency": 1, "entropy": entropy()})
            worker.send((9 + len(body)).to_bytes(4, "big") + bytes((INIT,)) + NO_ID + body)
        self.files[ours.fileno()] = (worker, 0)
        self.poll.register(ours.fileno(), worker.wanted())
        for stream, out in worker.logs.items():
            posix.set_blocking(out, False)
            self.files[out] = (worker, stream)
            self.poll.register(out, 1)
        return worker

    def fork(self, ours, theirs, outs, intos):
        flush()
        Shim.forking = True
        pid = os.fork()
        Shim.forking = False
        if pid:
            return pid
        try:
            for fd in (*self.files, *outs):
                posix.close(fd)
            ours.close()
            Shim.wire.conn.close()
            for log in Shim.wire.logs:
                log.close()
            become_worker(theirs, intos)
        finally:
            posix._exit(1)

    def spawn(self, theirs, intos):
        """A worker of a program that cannot be forked, since it has threads: it
        starts anew and imports the handler itself."""
        inherited = [s.fileno() for s in (theirs, *intos)]
        for fd in inherited:
            posix.set_inheritable(fd, True)
        env = {**os.environ, "COVE_WORKER": "%d %d %d" % (*inherited,)}
        return posix.posix_spawn("/proc/self/exe", sys.orig_argv, env)

    def gone(self, worker):
        """A worker's stream has ended: so has its call, if it has one."""
        worker.ended = True
        self.printed_all(worker)
        kill(worker.pid)
        try:
            status = posix.waitstatus_to_exitcode(posix.waitpid(worker.pid, 0)[1])
        except OSError:
            status = 0
        for fd in (worker.sock.fileno(), *worker.logs.values()):
            self.ignore(fd)
            del self.files[fd]
        worker.sock.close()
        for log in worker.logs.values():
            posix.close(log)
        if worker in self.idle:
            self.idle.remove(worker)
        call = worker.call
        if call is not None:
            del self.busy[call.ident]
            how = "was ended by signal %d" % -status if status < 0 else "exited with code %d" % status
            self.fail(call, "the worker process " + how)
        self.next()

    def fail(self, call, message):
        kind = "Runtime.Cancelled" if call.cancelled else "Runtime.ExitError"
        message = "the call was given up" if call.cancelled else message
        call.write(2, ("[ERROR] %s: %s\n" % (kind, message)).encode())
        call.close()
        body = to_json({"errorType": kind, "errorMessage": message, "stackTrace": []})
        Shim.wire.frame(END if call.begun else ERROR, call.ident, body)

    def shutdown(self, kind, data):
        for worker in self.busy.values():
            kill(worker.pid)
        for worker in self.idle:
            worker.send(data)
        until = monotonic() + 2
        for worker in self.idle:
            # Its end is that of its stream; it says no more before.
            while receive(worker.sock) is None and monotonic() < until:
                self.printed_all(worker)
                self.poll.poll(10)
            self.printed_all(worker)
        end(kind)

    # ---- What they say

    def answered(self, worker, event):
        if event & 4:
            worker.flush()
            self.watch(worker)
        if worker.pending:  # It has gone, and what it said comes first.
            self.ignore(worker.sock.fileno())
            return
        data = receive(worker.sock)
        if data == b"":
            self.gone(worker)
        elif data:
            for frame in worker.frames.feed(data):
                if not self.hear(worker, frame):
                    kill(worker.pid)
                    return
            if worker.sock.fileno() >= 0:
                self.forward(worker)

    def hear(self, worker, frame):
        """Takes one frame of a worker; false if it is not one that it may send."""
        kind, ident, call = frame[4], frame[5:13], worker.call
        if not worker.ready:
            if kind == READY:
                worker.ready = True
            elif kind == INIT_ERROR:
                kill(worker.pid)
            return True
        if call is None or ident != call.ident or not RESULT <= kind <= END:
            return False
        worker.pending.append(frame)
        return True

    def forward(self, worker):
        """Passes on what may be: pieces of a stream as the host grants them."""
        if worker.call is not None and worker.call.cancelled:
            worker.pending.clear()  # What counts is the worker's end.
        while worker.pending:
            frame, call = worker.pending[0], worker.call
            kind = frame[4]
            if kind == CHUNK:
                piece = frame[13 : 13 + PIECE]
                if call.credit < len(piece):
                    break
                call.credit -= len(piece)
                Shim.wire.frame(CHUNK, call.ident, b"", piece)
                if len(frame) > 13 + PIECE:
                    worker.pending[0] = frame[:13] + frame[13 + PIECE :]
                    continue
            elif kind == STREAM:
                call.begun = True
                Shim.wire.send(frame)
            else:
                self.printed_all(worker)
                call.close()
                del self.busy[call.ident]
                worker.call = None
                worker.pending.clear()
                self.idle.append(worker)
                Shim.wire.send(frame)
                self.next()
                break
            worker.pending.pop(0)
        self.watch(worker)

    def printed_all(self, worker):
        for stream in worker.logs:
            self.printed(worker, stream)

    def printed(self, worker, stream, reads=ALL):
        """Passes on what a worker printed, as far as so many reads go: whoever prints
        without end must not hold up the others."""
        for _ in range(reads):
            try:
                data = posix.read(worker.logs[stream], 65536)
            except OSError:
                return
            if not data:
                # Whatever it left behind has closed it too; gone() sees to the rest.
                self.ignore(worker.logs[stream])
                return
            if worker.call is None:
                write_all(data, stream)
            else:
                worker.call.write(stream, data)


def threads():
    """Whether this process has threads, whose locks a fork would leave locked."""
    try:
        return len(posix.listdir("/proc/self/task")) > 1
    except OSError:
        import _thread

        return _thread._count() > 0


def kill(pid):
    try:
        posix.kill(pid, KILL)
    except OSError:
        pass


def entropy():
    from binascii import b2a_base64

    return b2a_base64(posix.urandom(32), newline=False).decode()


def become_worker(conn, logs):
    """Turns a forked process into a shim for one call at a time."""
    Shim.forking = False
    posix.dup2(logs[0].fileno(), 1)
    posix.dup2(logs[1].fileno(), 2)
    Shim.wire = Wire(conn, logs)
    standard_streams()
    reseed(posix.urandom(32))
    watch(conn.fileno())
    try:
        Shim.run()
    except OSError:
        posix._exit(1)
