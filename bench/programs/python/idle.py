"""An interpreter that has imported the handler and waits."""

import signal

import main

print("ready", flush=True)
signal.pause()
