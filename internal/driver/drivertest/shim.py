"""The conformance suite's program inside a sandbox.

It connects like a shim and then obeys: each line it reads is a JSON object
with a command, each line it writes is a JSON object with its result.
"""
import ctypes, json, os, signal, socket, sys, threading, time

logs = [socket.socket(socket.AF_UNIX) for _ in range(2)]
for fd, log in enumerate(logs, 1):
    log.connect("/cove/log.sock")
    os.dup2(log.fileno(), fd)
conn = socket.socket(socket.AF_UNIX)
conn.connect("/cove/conn.sock")
lines = conn.makefile("r")
lock = threading.Lock()


def send(**fields):
    with lock:
        conn.sendall((json.dumps(fields) + "\n").encode())


def beat():
    while True:
        send(beat=time.monotonic_ns())
        time.sleep(0.002)


def spin():
    while True:
        pass


def spins(n):
    for _ in range(n):
        if os.fork() == 0:
            spin()


def hold(size):
    keep = []
    while size > 0:
        keep.append(bytearray(os.urandom(4096)) * min(256, max(1, size // 4096)))
        size -= 1 << 20
    return keep


def daemon(work):
    """Runs work in a grandchild that nobody waits for."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(s, signal.SIG_IGN)
            work()
        os._exit(0)


def forks(limit):
    """Starts processes until that fails; says how many and why."""
    n = 0
    try:
        while n < limit:
            if os.fork() == 0:
                time.sleep(600)
                os._exit(0)
            n += 1
    except OSError as e:
        return [n, e.strerror]
    return [n, ""]


def forker():
    while True:
        try:
            if os.fork() != 0:
                os._exit(0)
        except OSError:
            pass


def fill(path, limit):
    n = 0
    block = b"x" * 65536
    try:
        with open(path, "wb", buffering=0) as f:
            while n < limit:
                n += f.write(block)
    except OSError as e:
        return [n, e.strerror]
    return [n, ""]


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError as e:
        return "error: " + e.strerror


def write(path):
    try:
        with open(path, "w") as f:
            f.write("x")
        return "written"
    except OSError as e:
        return "error: " + e.strerror


def connects(address, port):
    try:
        socket.create_connection((address, port), timeout=2).close()
        return "connected"
    except OSError as e:
        return "error: " + str(e)


def dials(path):
    try:
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        return "connected"
    except OSError as e:
        return "error: " + str(e)


kept = None
send(hello=os.getpid())
for line in lines:
    c = json.loads(line)
    do, arg = c["do"], c.get("arg")
    result = None
    if do == "print":
        print(arg, flush=True)
    elif do == "complain":
        print(arg, file=sys.stderr, flush=True)
    elif do == "exit":
        os._exit(arg)
    elif do == "signal":
        os.kill(os.getpid(), arg)
        result = "survived"
    elif do == "crash":
        ctypes.string_at(0)
    elif do == "beat":
        threading.Thread(target=beat, daemon=True).start()
    elif do == "spin":
        threading.Thread(target=spin, daemon=True).start()
    elif do == "spins":
        spins(arg)
    elif do == "daemon":
        daemon(beat)
    elif do == "forker":
        daemon(forker)
    elif do == "forks":
        result = forks(arg)
    elif do == "hold":
        kept = hold(arg)
    elif do == "stop":
        send(result=None)
        os.kill(os.getpid(), signal.SIGSTOP)
        continue
    elif do == "read":
        result = read(arg)
    elif do == "write":
        result = write(arg)
    elif do == "fill":
        result = fill(arg[0], arg[1])
    elif do == "ids":
        result = [os.getuid(), os.getgid(), os.getgroups()]
    elif do == "interfaces":
        result = sorted(name for _, name in socket.if_nameindex())
    elif do == "connect":
        result = connects(arg[0], arg[1])
    elif do == "dial":
        result = dials(arg)
    elif do == "environ":
        result = dict(os.environ)
    send(result=result)
