"""The part of the Python shim that runs from HELLO on; see shim.py."""

import posix
import select
import sys

INIT, INVOKE, SHUTDOWN, COMPILE, PREPARED = 0x01, 0x02, 0x03, 0x06, 0x89
READY, INIT_ERROR, RESULT, ERROR, STREAM, CHUNK, END = range(0x82, 0x89)
MAX_HEAD = (1 << 20) - 64
MAX_CHUNK = 1 << 20
MAX_MESSAGE = 16 << 10
MAX_FRAMES = 60
GRACE = 5  # ms without INIT after which a sandbox is taken for a stem cell
NO_ID = bytes(8)
SHIM = __file__.rpartition("/")[0] + "/"


class Failure(Exception):
    """An error that the shim itself finds, with a name of the protocol."""

    def __init__(self, kind, message, stack=()):
        super().__init__(message)
        self.kind, self.message, self.stack = kind, message, list(stack)


class Wire:
    """The streams to the host: frames, and the logs that are under 1 and 2."""

    def __init__(self, conn, logs):
        self.conn, self.logs = conn, logs
        self.recv, self.send = conn.recv, conn.sendall
        self.rest = b""
        self.wait = None

    def poll(self):
        """Waits for frames by poll from now on.

        A process that waits in recv is woken also when the host has read its answer,
        and to wake it holds the host up; one that polls is not. It is for sandboxes
        where a system call costs next to nothing.
        """
        poll = select.poll()
        poll.register(self.conn, select.POLLIN)
        self.wait = poll.poll

    def read(self):
        """The next frame: its type, its id, and all of it from its length on."""
        data = self.rest
        if not data:
            if self.wait is not None:
                self.wait()
            data = self.recv(65536)
        while len(data) < 13:
            more = self.recv(65536)
            if not data or not more:
                posix._exit(0)
            data += more
        size = 4 + int.from_bytes(data[:4], "big")
        if len(data) == size:
            self.rest = b""
        elif len(data) > size:
            data, self.rest = data[:size], data[size:]
        else:
            whole = bytearray(size)
            whole[: len(data)] = data
            at, view = len(data), memoryview(whole)
            while at < size:
                n = self.conn.recv_into(view[at:])
                if n == 0:
                    posix._exit(0)
                at += n
            data, self.rest = whole, b""
        return data[4], bytes(data[5:13]), data

    def frame(self, kind, ident, head=b"", payload=b""):
        """Writes one frame of head and payload as they are."""
        start = frame_start(kind, ident, head, payload)
        if len(payload) < 65536:
            self.send(start + payload)
        else:
            self.send(start)
            self.send(payload)

    def mark(self, marker):
        """Flushes what was printed and closes it off in both logs, if there is a marker."""
        flush()
        if not marker:
            return
        data = marker.encode() + b"\n"
        for log in self.logs:
            try:
                log.sendall(data)
            except OSError:
                pass


def frame_start(kind, ident, head, payload):
    """A frame without its payload."""
    size = 9 + len(head) + len(payload)
    return size.to_bytes(4, "big") + bytes((kind,)) + ident + head


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:
            pass


def standard_streams():
    """What is printed appears line by line, whatever characters it has.

    The streams are new ones: those that Python made at its start hold what the
    descriptors were then, such as whether one can seek in them.
    """
    for name, fd in (("stdout", 1), ("stderr", 2)):
        stream = open(fd, "w", 1, "utf-8", "backslashreplace", closefd=False)
        setattr(sys, name, stream)
        setattr(sys, "__%s__" % name, stream)


def watch(fd):
    """Ends the process when the host has gone, even while the handler computes.

    A thread that waits for the hang-up alone costs nothing while it waits. It ends
    when Shim.awake is written to.
    """
    import _thread

    poll = select.poll()
    poll.register(fd, 0)
    awake = Shim.awake = posix.eventfd(0)
    poll.register(awake, select.POLLIN)
    task = Shim.watcher = []

    def wait():
        task.append("/proc/self/task/%d" % _thread.get_native_id())
        while True:
            for ready, _ in poll.poll():
                if ready == awake:
                    return
                posix._exit(0)

    _thread.stack_size(256 << 10)
    try:
        _thread.start_new_thread(wait, ())
    except RuntimeError:
        Shim.watcher = None  # No thread to be had: the main one still sees the end when it reads.
    _thread.stack_size(0)


class Context:
    """What a handler is told about its call; the names are those of Lambda."""

    identity = None
    client_context = None

    def __init__(self, function, call):
        self.__dict__.update(function)
        self.aws_request_id = call["request_id"]
        self.traceparent = call.get("trace")
        self._deadline = monotonic() + call["timeout_ms"] / 1000

    def get_remaining_time_in_millis(self):
        return max(0, int((self._deadline - monotonic()) * 1000))

    def log(self, message):
        sys.stdout.write(str(message))

    def __repr__(self):
        return "Context(function_name=%r, aws_request_id=%r)" % (self.function_name, self.aws_request_id)


# What a stem cell has loaded before it knows its function, and what of Python's
# library that loads; see rehearse.
EARLY = frozenset(("json", "re", "enum", "functools", "collections", "operator", "keyword", "reprlib", "types", "copyreg"))


def essentials():
    """What every function needs from INIT on, and no more: a sandbox that is made
    for a request has its INIT already."""
    global os, encode_json, encode_ascii, scan_json, monotonic, STDLIB
    import os
    from time import monotonic
    from _json import make_scanner

    if sys.flags.no_site:
        import site

        site.main()

    def default(value):
        if type(value).__name__ == "Decimal" and type(value).__module__ == "decimal":
            return int(value) if value == value.to_integral_value() else float(value)
        raise TypeError("an object of type %s cannot be written as JSON" % type(value).__name__)

    encode_json, encode_ascii = encoder(False, default), encoder(True, default)
    numbers = {"-Infinity": float("-inf"), "Infinity": float("inf"), "NaN": float("nan")}
    scan_json = make_scanner(type(sys.implementation)(  # What JSONDecoder would hand to it.
        strict=True, object_hook=None, object_pairs_hook=None, parse_float=float, parse_int=int,
        parse_constant=numbers.__getitem__))
    STDLIB = os.path.dirname(os.__file__) + "/"
    os.environ["COVE_RUNTIME"] = os.environ.pop("COVE_RUNTIME", "python%d.%d" % sys.version_info[:2])


def rehearse():
    """What most functions import, and what is slow the first time it is used, while
    nobody waits: the compiler alone takes 0.7 ms then."""
    import binascii
    import json

    decode_json(to_json({"a": ["b", 1, None]}).decode())
    compile("def handler(event, context):\n    return {}\n", "<rehearsal>", "exec")
    os.path.isfile(os.path.realpath(SHIM))


def decode_json(text):
    """json.loads, which takes longer to be loaded than a small function does."""
    try:
        value, end = scan_json(text, 0)
        if end == len(text):
            return value
    except StopIteration:
        pass
    import json

    return json.loads(text)  # There is space around it, or something is wrong with it.


def encoder(ascii, default):
    """JSONEncoder.encode, but for making anew for each value what encodes it."""
    from _json import encode_basestring, encode_basestring_ascii, make_encoder

    inside = {}  # what is being encoded, to see a value that is in itself
    quote = encode_basestring_ascii if ascii else encode_basestring
    encode = make_encoder(inside, default, quote, None, ":", ",", False, False, False)

    def run(value):
        try:
            return "".join(encode(value, 0))
        except BaseException:
            inside.clear()
            raise

    return run


def to_json(value):
    """value as JSON in UTF-8; half surrogate pairs, which UTF-8 has not, are escaped."""
    text = encode_json(value)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return encode_ascii(value).encode()


def serialise(value):
    try:
        return to_json(value)
    except Exception as e:
        raise Failure("Runtime.NotSerializable", "the answer cannot be written as JSON: " + text_of(e)) from None


def text_of(e):
    try:
        text = str(e)
    except BaseException as inner:
        text = "(its text is not to be had: __str__ raised %s)" % type(inner).__name__
    return text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + "..."


def stack_of(tb):
    """The user's own frames of a traceback, outermost first."""
    frames = []
    while tb is not None:
        code = tb.tb_frame.f_code
        name = code.co_filename
        library = name.startswith(STDLIB) and "-packages/" not in name
        if not name.startswith((SHIM, "<frozen ")) and not library:
            frames.append((name, tb.tb_lineno, code.co_name))
        tb = tb.tb_next
    if len(frames) > MAX_FRAMES:
        half = MAX_FRAMES // 2
        cut = len(frames) - 2 * half
        return format_frames(frames[:half]) + ["  ... %d more frames ...\n" % cut] + format_frames(frames[-half:])
    return format_frames(frames)


def format_frames(frames):
    sources, stack = {}, []
    for name, line, function in frames:
        if name not in sources:
            try:
                with open(name, "rb") as f:
                    sources[name] = f.read(1 << 20).decode("utf-8", "replace").splitlines()
            except (OSError, ValueError):
                sources[name] = []
        entry = '  File "%s", line %d, in %s\n' % (name, line or 0, function)
        if line and line <= len(sources[name]):
            entry += "    %s\n" % sources[name][line - 1].strip()[:500]
        stack.append(entry)
    return stack


def describe(e):
    """An exception as the body of ERROR; it is also printed, as Lambda does."""
    if isinstance(e, Failure):
        kind, message, stack = e.kind, e.message, e.stack
    else:
        kind, message, stack = type(e).__name__[:200], text_of(e), stack_of(e.__traceback__)
    try:
        trace = "Traceback (most recent call last):\n" + "".join(stack) if stack else ""
        sys.stderr.write("[ERROR] %s: %s\n%s" % (kind, message, trace))
    except BaseException:
        pass
    return to_json({"errorType": kind, "errorMessage": message, "stackTrace": stack})


def leave(e):
    """Ends the process as an uncaught SystemExit would."""
    code = e.code
    if code is not None and not isinstance(code, int):
        try:
            sys.stderr.write("%s\n" % (code,))
        except BaseException:
            pass
        code = 1
    flush()
    if not Shim.child:
        Shim.before_end()
    posix._exit((code or 0) & 0xFF)


def reseed(entropy):
    """Copies of one parent process must not draw the same numbers."""
    if "random" in sys.modules:
        sys.modules["random"].seed(entropy)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(int.from_bytes(entropy[:4], "big"))


class EarlyFinder:
    """Finds what a stem cell has loaded already where that has it from, so that a
    package with a file of such a name is the same everywhere."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in EARLY:
            return path_finder().find_spec(name, [STDLIB[:-1]])
        return None


def path_finder():
    from _frozen_importlib_external import PathFinder

    return PathFinder


class LogHandlerFinder:
    """Gives the root logger a handler as soon as logging is imported.

    Programs written for Lambda expect one to be there. logging itself is not
    imported for it: that would double the time a small function takes to start.
    """

    def find_spec(self, name, path=None, target=None):
        if name != "logging":
            return None
        sys.meta_path.remove(self)
        spec = path_finder().find_spec(name, path)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def exec_module(module):
                run(module)
                install_log_handler(module)

            spec.loader.exec_module = exec_module
        return spec


def install_log_handler(logging):
    from time import gmtime

    class Formatter(logging.Formatter):
        converter = gmtime
        default_time_format = "%Y-%m-%dT%H:%M:%S"
        default_msec_format = "%s.%03dZ"

        def format(self, record):
            record.aws_request_id = Shim.request()
            return super().format(record)

    class Handler(logging.StreamHandler):
        def emit(self, record):
            self.stream = sys.stderr
            super().emit(record)

    handler = Handler()
    handler.setFormatter(Formatter("[%(levelname)s]\t%(asctime)s\t%(aws_request_id)s\t%(message)s"))
    logging.root.addHandler(handler)
    plain = logging.basicConfig

    def basicConfig(**options):
        # Ours gives way to whatever the program wants instead of it.
        if logging.root.handlers == [handler]:
            if options.keys() <= {"level"}:
                if options.get("level") is not None:
                    logging.root.setLevel(options["level"])
                return
            logging.root.removeHandler(handler)
        plain(**options)

    logging.basicConfig = basicConfig


def load(init):
    """Imports the handler that INIT names."""
    code_dir, handler = init["code_dir"], init["handler"]
    prepare(init, code_dir, handler)
    file, _, name = handler.rpartition(".")
    module_name = file.replace("/", ".")
    base = os.path.join(code_dir, module_name.replace(".", "/"))
    for path in (base + "/__init__.py", base + ".py"):
        if os.path.isfile(path):
            break
    else:
        raise Failure("Runtime.NoSuchFile", "the package has no file %s.py" % module_name.replace(".", "/"))
    module = import_file(module_name, path)
    try:
        function = getattr(module, name)
    except AttributeError:
        raise Failure("Runtime.NoSuchHandler", "%s has no function %s" % (os.path.relpath(path, code_dir), name)) from None
    if not callable(function):
        raise Failure("Runtime.NotCallable", "%s in %s is no function but of type %s"
                      % (name, os.path.relpath(path, code_dir), type(function).__name__))
    if getattr(getattr(function, "__code__", None), "co_flags", 0) & 0x280:
        event_loop()  # It is a coroutine function: asyncio is loaded before the first call.
    return function


def prepare(init, code_dir, handler):
    """The process as a program for Lambda expects it."""
    runtime = os.environ["COVE_RUNTIME"]
    for name in ("COVE_RUNTIME", "COVE_CONN", "COVE_LOG", "COVE_WORKER"):
        os.environ.pop(name, None)
    function, version, memory = init["function"], str(init["version"]), str(init["memory_mib"])
    os.environ.update({
        "AWS_LAMBDA_FUNCTION_NAME": function,
        "AWS_LAMBDA_FUNCTION_VERSION": version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": memory,
        "AWS_LAMBDA_LOG_GROUP_NAME": "/cove/" + function,
        "AWS_LAMBDA_LOG_STREAM_NAME": version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_EXECUTION_ENV": "AWS_Lambda_" + runtime,
        "LAMBDA_TASK_ROOT": code_dir,
        "_HANDLER": handler,
    })
    os.environ.update(init.get("env") or {})
    if "TZ" in os.environ:
        import time

        time.tzset()
    from binascii import a2b_base64

    reseed(a2b_base64(init.get("entropy") or ""))
    Shim.max_answer = init["max_answer"]
    Shim.function = {
        "function_name": function,
        "function_version": version,
        "memory_limit_in_mb": memory,
        "invoked_function_arn": "arn:aws:lambda:local:000000000000:function:%s:%s" % (function, version),
        "log_group_name": "/cove/" + function,
        "log_stream_name": version,
    }
    paths = [code_dir]
    if os.path.isdir(code_dir + "/python"):
        paths.append(code_dir + "/python")
    # Python itself looks at this variable only when it starts, before INIT.
    paths += [p for p in os.environ.get("PYTHONPATH", "").split(":") if p]
    sys.path[:] = paths + [p for p in sys.path if p not in paths]
    # What was looked for before the package was there is there now.
    for path in [path for path, finder in sys.path_importer_cache.items() if finder is None]:
        del sys.path_importer_cache[path]
    sys.argv = [""]
    try:
        os.chdir(code_dir)
    except OSError as e:
        raise Failure("Runtime.NoSuchFile", "the package is not there: %s" % e) from None
    sys.meta_path.insert(0, EarlyFinder)
    if "logging" in sys.modules:
        install_log_handler(sys.modules["logging"])
    else:
        sys.meta_path.insert(0, LogHandlerFinder())


def import_file(name, path):
    try:
        if "." not in name and name not in EARLY and name not in sys.modules and name not in sys.builtin_module_names:
            return import_found(name, path)
        __import__(name)
        module = sys.modules[name]
        found = getattr(module, "__file__", None) or ""
        if found != path and os.path.realpath(found) != os.path.realpath(path):
            # A module of Python's own has that name and was there first.
            return import_found("cove_handler_" + name, path)
        return module
    except SystemExit as e:
        leave(e)
    except SyntaxError as e:
        place = '  File "%s", line %s\n' % (e.filename, e.lineno)
        if e.text:
            place += "    %s\n" % e.text.strip()[:500]
        message = "%s: %s (%s, line %s)" % (type(e).__name__, e.msg, os.path.basename(e.filename or "?"), e.lineno)
        raise Failure("Runtime.SyntaxError", message, stack_of(e.__traceback__) + [place]) from None
    except BaseException as e:
        message = "%s: %s" % (type(e).__name__, text_of(e))
        raise Failure("Runtime.ImportError", message, stack_of(e.__traceback__)) from None


def import_found(name, path):
    """Imports a file as a module, without the looking for it that an import does.

    That reads the package's directory, which takes longer than all the rest.
    """
    from _frozen_importlib import module_from_spec
    from _frozen_importlib_external import spec_from_file_location

    spec = spec_from_file_location(name, path)
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def event_loop():
    """One event loop for the life of the process, so that what a handler keeps
    open between calls (HTTP sessions, pools) stays usable."""
    if Shim.loop is None or Shim.loop.is_closed():
        import asyncio

        Shim.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(Shim.loop)
    return Shim.loop


def await_result(value):
    async def run():
        return await value

    return event_loop().run_until_complete(run())


def pieces(source):
    """The pieces of a streamed answer as bytes."""
    if hasattr(source, "__anext__"):
        loop = event_loop()
        while True:
            try:
                piece = loop.run_until_complete(anext_of(source))
            except StopAsyncIteration:
                return
            yield to_bytes(piece)
    else:
        for piece in source:
            yield to_bytes(piece)


async def anext_of(source):
    return await source.__anext__()


def to_bytes(value):
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    return serialise(value)


def is_stream(value):
    t = type(value)
    return hasattr(t, "__next__") or hasattr(t, "__anext__")


def invalid(message, *args):
    return Failure("Runtime.InvalidAnswer", message % args)


def header_text(name, value):
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    raise invalid("the value of header %.100s is of type %s; it must be a string, a number, a boolean or a list of these",
                  name, type(value).__name__)


def answer_head(value):
    """The status, headers and cookies of an HTTP answer."""
    status = value["statusCode"]
    if isinstance(status, str) and status.isascii() and status.isdigit() and len(status) == 3:
        status = int(status)
    elif isinstance(status, float) and status.is_integer():
        status = int(status)
    if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
        raise invalid("statusCode is %.100r; it must be an integer of 200 to 599", value["statusCode"])
    head, headers = {"status": status}, {}
    for field in ("headers", "multiValueHeaders"):
        given = value.get(field)
        if given is None:
            continue
        if not isinstance(given, dict):
            raise invalid("%s is of type %s; it must be an object", field, type(given).__name__)
        for name, v in given.items():
            if v is None:
                continue
            values = [header_text(name, x) for x in v] if isinstance(v, (list, tuple)) else [header_text(name, v)]
            headers.setdefault(str(name).lower(), []).extend(values)
    if headers:
        head["headers"] = headers
    cookies = value.get("cookies")
    if cookies is not None:
        if not isinstance(cookies, (list, tuple)) or not all(isinstance(c, str) for c in cookies):
            raise invalid("cookies must be a list of strings")
        if cookies:
            head["cookies"] = cookies
    return head


def http_answer(value):
    """The head of an HTTP answer, and its body as bytes or as a stream."""
    if is_stream(value):
        return None, value
    if not isinstance(value, dict) or "statusCode" not in value:
        return b"", serialise(value)
    head, body = answer_head(value), value.get("body")
    if is_stream(body):
        return head, body
    if body is None:
        payload = b""
    elif value.get("isBase64Encoded"):
        from binascii import Error, a2b_base64

        try:
            payload = a2b_base64(body)
        except (Error, TypeError, ValueError):
            raise invalid("isBase64Encoded is set and body is no base64") from None
    elif isinstance(body, (str, bytes, bytearray, memoryview)):
        payload = to_bytes(body)
    else:
        payload = serialise(body)
        head.setdefault("headers", {}).setdefault("content-type", ["application/json"])
    if len(head) == 1:
        return b'{"status":%d}' % head["status"], payload
    return serialise(head), payload


def check_answer(head, body):
    if len(body) > Shim.max_answer:
        raise too_large(len(body))
    if len(head) > MAX_HEAD:
        raise Failure("Runtime.AnswerTooLarge", "headers and cookies have %d bytes; at most %d are allowed" % (len(head), MAX_HEAD))


def too_large(size):
    return Failure("Runtime.AnswerTooLarge", "the answer has %d bytes; at most %d are allowed" % (size, Shim.max_answer))


class Shim:
    """The state of the one function that this process runs."""

    wire = None
    handler = None
    function = {}
    max_answer = 6 << 20
    request_id = ""
    loop = None
    child = False
    forking = False  # The shim forks a worker of its own.
    awake = -1
    watcher = None  # Where the system tells of the thread of watch, once that runs.

    @staticmethod
    def before_end():
        """Sends what was answered and not sent yet; see tasks.py."""

    @classmethod
    def request(cls):
        """The request that is being served, for a line of the log."""
        return cls.request_id

    @classmethod
    def unwatch(cls):
        """Ends the thread of watch, which a process that forks must not have.

        It is waited for until the system has none of it any more, where processors are
        short too: a process that seems to have threads of its own is never forked.
        """
        from time import sleep

        posix.write(cls.awake, bytes((1, 0, 0, 0, 0, 0, 0, 0)))
        until = monotonic() + 5
        while cls.watcher is not None and monotonic() < until:
            if cls.watcher and not posix.access(cls.watcher[0], 0):
                break
            sleep(0.0005)
        posix.close(cls.awake)

    @classmethod
    def fork_child(cls):
        if cls.forking:
            return
        cls.child = True
        try:
            cls.wire.conn.close()
        except OSError:
            pass

    @classmethod
    def end_child(cls, code):
        """A forked child that came back from the handler has nobody to answer."""
        flush()
        posix._exit(code)

    @classmethod
    def run(cls):
        wire = cls.wire
        while True:
            kind, ident, data = wire.read()
            if kind == INVOKE:
                cls.invoke(ident, data)
            elif kind == INIT:
                try:
                    init = decode_json(data[13:].decode())
                    if init.get("poll"):
                        wire.poll()
                    shared = init.get("concurrency", 1) > 1
                    if shared:
                        run_part("shared")
                        tagged_streams()
                    cls.handler = load(init)
                except BaseException as e:
                    if isinstance(e, SystemExit):
                        leave(e)
                    body = describe(e)
                    flush()
                    wire.frame(INIT_ERROR, NO_ID, body)
                else:
                    flush()
                    wire.frame(READY, NO_ID)
                    if shared:
                        serve_shared(init)
            elif kind == COMPILE:
                run_part("compile")
                compile_package(decode_json(data[13:].decode()))
            elif kind == SHUTDOWN:
                import atexit

                atexit._run_exitfuncs()
                flush()
                posix._exit(0)
            else:
                posix._exit(70)

    @classmethod
    def invoke(cls, ident, data):
        split = 17 + int.from_bytes(data[13:17], "big")
        call = scan_json(data[17:split].decode(), 0)[0]
        payload = data[split:]
        del data
        http = call["kind"] == "http"
        cls.request_id = call["request_id"]
        try:
            event = http_event(call, payload) if http else direct_event(payload)
            del payload
            value = cls.handler(event, Context(cls.function, call))
            if hasattr(value, "__await__"):
                value = await_result(value)
            if cls.child:
                cls.end_child(0)
            head, body = http_answer(value) if http else (b"", value if is_stream(value) else serialise(value))
            if not isinstance(body, bytes):
                return cls.stream(ident, call["marker"], head, body, http)
            check_answer(head, body)
        except BaseException as e:
            cls.failed(ERROR, ident, call["marker"], e)
        else:
            cls.wire.mark(call["marker"])
            cls.wire.frame(RESULT, ident, len(head).to_bytes(4, "big") + head, body)

    @classmethod
    def failed(cls, kind, ident, marker, e):
        if isinstance(e, SystemExit):
            leave(e)
        body = describe(e)
        if cls.child:
            cls.end_child(1)
        cls.wire.mark(marker)
        cls.wire.frame(kind, ident, body)

    @classmethod
    def stream(cls, ident, marker, head, source, http):
        """Sends a streamed answer. The head leaves with the first piece, so that a
        generator that fails at once is an error and not a broken answer."""
        wire, begun, total = cls.wire, False, 0
        try:
            for piece in pieces(source):
                if cls.child:
                    cls.end_child(0)
                if not begun:
                    wire.frame(STREAM, ident, stream_head(head) if http else b"")
                    begun = True
                total += len(piece)
                if not http and total > cls.max_answer:
                    raise too_large(total)
                for at in range(0, len(piece), MAX_CHUNK):
                    wire.frame(CHUNK, ident, b"", piece[at : at + MAX_CHUNK])
            if not begun:
                wire.frame(STREAM, ident, stream_head(head) if http else b"")
        except BaseException as e:
            cls.failed(END if begun else ERROR, ident, marker, e)
        else:
            wire.mark(marker)
            wire.frame(END, ident)


def stream_head(head):
    if head is None:
        head = {"status": 200, "headers": {"content-type": ["application/octet-stream"]}}
    return serialise(head)


def http_event(call, payload):
    event = call.get("event") or {}
    if payload:
        if event.get("isBase64Encoded"):
            from binascii import b2a_base64

            event["body"] = b2a_base64(payload, newline=False).decode("ascii")
        else:
            event["body"] = payload.decode("utf-8", "replace")
    return event


def direct_event(payload):
    if not payload:
        return None
    try:
        return decode_json(payload.decode())
    except (ValueError, RecursionError) as e:
        raise Failure("Runtime.BadEvent", "the event is not valid JSON: " + text_of(e)) from None


def run_part(name):
    """Runs another file of the shim as if it were a part of this one."""
    exec(program(name), globals())


def serve(conn, logs):
    Shim.wire = Wire(conn, logs)
    standard_streams()
    essentials()
    watch(conn.fileno())
    os.register_at_fork(after_in_child=Shim.fork_child)
    ready = select.poll()
    ready.register(conn, select.POLLIN)
    try:
        if not ready.poll(GRACE):
            rehearse()
            Shim.wire.frame(PREPARED, NO_ID)
        Shim.run()
    except BrokenPipeError:
        posix._exit(0)
    except OSError:
        # The stream is gone, or the handler closed its descriptor.
        posix._exit(1)
