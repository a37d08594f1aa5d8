"""The Python shim: speaks Cove's runtime protocol and calls the handler.

What is done before HELLO decides how fast a sandbox starts: this file opens the
three streams with nothing but built-in modules and says HELLO, and only then is
the rest, serve.py beside it, compiled and run. The protocol is described in
Cove's docs/runtime-protocol.md.
"""

import posix
import sys
import _socket


def connect(path):
    s = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    s.connect(path)
    return s


def inherited(fd):
    posix.set_inheritable(fd, False)
    return _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, fd)


def program(directory, name):
    """The code of a file of the shim: compiled before, if the host has kept that."""
    from _frozen_importlib_external import MAGIC_NUMBER

    try:
        with open("%s__pycache__/%s.%s.pyc" % (directory, name, sys.implementation.cache_tag), "rb") as f:
            data = f.read()
        if data[:4] == MAGIC_NUMBER:
            from marshal import loads

            return loads(memoryview(data)[16:])
    except (OSError, EOFError, ValueError, TypeError):
        pass
    path = directory + name + ".py"
    with open(path, "rb") as f:
        return compile(f.read(), path, "exec")


def main():
    env = posix.environ
    # Descriptors 0 to 2 must be taken before a socket is opened.
    null = posix.open("/dev/null", posix.O_RDWR)
    while null <= 2:
        null = posix.open("/dev/null", posix.O_RDWR)
    posix.dup2(null, 0)
    posix.close(null)
    worker = env.get(b"COVE_WORKER")
    if worker:  # Started by another shim, which is the host of this one.
        conn, *logs = (inherited(int(fd)) for fd in worker.split())
    else:
        path = env.get(b"COVE_LOG", b"/cove/log.sock")
        logs = connect(path), connect(path)
    posix.dup2(logs[0].fileno(), 1)
    posix.dup2(logs[1].fileno(), 2)
    if not worker:
        conn = connect(env.get(b"COVE_CONN", b"/cove/conn.sock"))
    hello = b'{"protocol":1,"runtime":"python","version":"%d.%d.%d","prepares":true}' % sys.version_info[:3]
    conn.sendall((9 + len(hello)).to_bytes(4, "big") + b"\x81" + bytes(8) + hello)

    directory = __file__.rpartition("/")[0] + "/"
    scope = {"__name__": "cove_shim", "__file__": directory + "serve.py", "program": lambda name: program(directory, name)}
    exec(program(directory, "serve"), scope)
    scope["serve"](conn, logs)


if __name__ == "__main__":
    main()
