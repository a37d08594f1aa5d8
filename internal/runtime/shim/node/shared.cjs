'use strict';
// The part of the JavaScript shim that serves several calls at once. It is loaded
// only where INIT asks for more than one call at a time.

const { AsyncLocalStorage } = require('node:async_hooks');

const WINDOW = 256 << 10; // what may be on its way of one streamed answer
const PIECE = 64 << 10; // the largest piece of one, so that others get their turn
const LINE = 16 << 10; // what is written at once is not torn apart by other writers
const NEWLINE = 10;

/** The calls in flight, and which of them the code that runs now belongs to. */
class Shared {
  constructor(writeAll) {
    this.writeAll = writeAll;
    this.running = new AsyncLocalStorage();
    this.calls = new Map();
  }

  /** Runs f as a part of call. */
  begin(call, f) {
    call.credit = WINDOW;
    call.partial = new Map();
    this.calls.set(call.id.toString('hex'), call);
    this.running.run(call, f);
  }

  /** The call that the code which runs now belongs to; the only one if that is not known. */
  current() {
    const call = this.running.getStore();
    if (call !== undefined) return call.done ? null : call;
    return this.calls.size === 1 ? this.calls.values().next().value : null;
  }

  get(id) {
    return this.calls.get(id.toString('hex'));
  }

  /** What was printed to a descriptor, by the call that runs now. */
  printed(fd, data) {
    const call = this.running.getStore();
    if (call === undefined || call.done) this.writeAll(fd, data);
    else this.write(call, fd, data);
  }

  /**
   * Writes the whole lines of data, each with the call's marker; the rest must wait.
   * The lines of both streams go one way, so that they stay in order.
   */
  write(call, fd, data) {
    const before = call.partial.get(fd);
    if (before !== undefined && before.length) data = Buffer.concat([before, data]);
    let at = 0;
    for (;;) {
      const end = data.indexOf(NEWLINE, at);
      const stop = end < 0 ? data.length : end;
      // Of a line without an end only what is too long for one is written.
      while (stop - at > LINE) {
        this.line(call, fd, data.subarray(at, at += LINE));
      }
      if (end < 0) break;
      this.line(call, fd, data.subarray(at, end));
      at = end + 1;
    }
    call.partial.set(fd, Buffer.from(data.subarray(at)));
  }

  line(call, fd, text) {
    const tag = call.marker;
    const out = Buffer.allocUnsafe(tag.length + text.length + 1);
    tag.copy(out, 0);
    // Where the marker of the end has its newline: a colon, or an exclamation mark.
    out[tag.length - 1] = fd === 2 ? 33 : 58;
    text.copy(out, tag.length);
    out[out.length - 1] = NEWLINE;
    this.writeAll(1, out);
  }

  /** Ends a call's share of the log, but for the marker itself. */
  finish(call) {
    this.calls.delete(call.id.toString('hex'));
    for (const [fd, rest] of call.partial) if (rest.length) this.line(call, fd, rest);
    call.partial = null;
  }

  grant(call, n) {
    call.credit += n;
    call.wake?.();
  }

  cancel(call) {
    call.cancelled = true;
    if (call.controller) this.running.run(call, () => call.controller.abort());
    call.wake?.();
  }

  /** Resolves when the host has granted n bytes more, or the call was given up. */
  async room(call, n) {
    while (call.credit < n && !call.cancelled) {
      await new Promise((resolve) => { call.wake = resolve; });
    }
    call.credit -= n;
  }
}

module.exports = { Shared, PIECE };
