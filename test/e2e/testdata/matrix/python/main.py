"""The deadline matrix: one function that ends, or does not, in every way."""

import ctypes
import os
import re
import signal
import sys
import threading
import time

calls = 0


def handler(event, context):
    global calls
    calls += 1
    return globals()["do_" + event["pathParameters"]["do"]](event, context)


def do_ok(event, context):
    return {"ok": True, "calls": calls}


def do_sleep(event, context):
    time.sleep(3600)


def do_nap(event, context):
    """Answers close to the deadline: the lead before it is the caller's."""
    lead = float(event["queryStringParameters"]["lead"])
    time.sleep(max(0, context.get_remaining_time_in_millis() - lead) / 1000)
    return {"ok": True}


def do_report(event, context):
    while True:
        print(time.time_ns(), flush=True)
        time.sleep(0.01)


def do_spin(event, context):
    while True:
        pass


def do_spin_in_c(event, context):
    return bool(re.match(r"(a+)+$", "a" * 64 + "b"))


def do_big_number(event, context):
    return str(7 ** (10**9))[:1]


def do_ignore_signals(event, context):
    for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(s, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))
    while True:
        pass


def do_fork(event, context):
    if os.fork() == 0:
        time.sleep(3600)
        os._exit(0)
    return {"ok": True}


def do_fork_and_sleep(event, context):
    do_fork(event, context)
    time.sleep(3600)


def do_daemon(event, context):
    pid = os.fork()
    if pid == 0:
        os.setsid()
        if os.fork() == 0:
            while True:
                time.sleep(0.001)
        os._exit(0)
    os.waitpid(pid, 0)
    return {"ok": True}


def do_thread(event, context):
    def work():
        while True:
            time.sleep(0.001)

    threading.Thread(target=work).start()
    return {"ok": True}


def do_stream_for_ever(event, context):
    while True:
        yield "x" * 1000
        time.sleep(0.01)


def do_stream_then_silence(event, context):
    yield "first"
    time.sleep(3600)


def do_stop_itself(event, context):
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(3600)


def do_exit(event, context):
    sys.exit(0)


def do_exit_hard(event, context):
    os._exit(7)


def do_crash(event, context):
    ctypes.string_at(0)


def do_kill_first_process(event, context):
    os.kill(1, signal.SIGKILL)
    return {"ok": True}


def do_close_all(event, context):
    os.closerange(0, 4096)
    time.sleep(3600)


def do_memory_fast(event, context):
    return len(b"x" * (1 << 30))


def do_memory_slowly(event, context):
    held = []
    while True:
        held.append(b"x" * (4 << 20))
        time.sleep(0.005)


def do_processes(event, context):
    n = 0
    try:
        while True:
            if os.fork() == 0:
                while True:
                    signal.pause()
            n += 1
    except OSError as e:
        return {"forked": n, "error": e.strerror}


def do_disk(event, context):
    written = 0
    try:
        with open("/tmp/bomb", "wb", buffering=0) as f:
            while True:
                written += f.write(b"x" * 65536)
    except OSError as e:
        os.unlink("/tmp/bomb")
        return {"written": written, "error": e.strerror}


def do_flood(event, context):
    for _ in range(320):
        os.write(1, b"x" * 65536)
    return {"ok": True}


def do_size_in(event, context):
    return {"size": len(event.get("body", ""))}


def do_size_out(event, context):
    return {"statusCode": 200, "body": "x" * int(event["queryStringParameters"]["n"])}


def do_clock(event, context):
    before = context.get_remaining_time_in_millis()
    time.sleep(0.6)
    return {"spent": before - context.get_remaining_time_in_millis()}
