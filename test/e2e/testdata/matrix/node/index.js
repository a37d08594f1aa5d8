'use strict'
// The deadline matrix: one function that ends, or does not, in every way.

const { spawn } = require('node:child_process')
const fs = require('node:fs')

let calls = 0
const nap = ms => new Promise(resolve => setTimeout(resolve, ms))
const block = ms => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
const ever = 3_600_000

const actions = {
  ok: () => ({ ok: true, calls }),
  sleep: () => nap(ever),
  // Answers close to the deadline: the lead before it is the caller's. Timers have whole milliseconds.
  nap: async (event, context) => {
    block(Math.max(0, context.getRemainingTimeInMillis() - event.queryStringParameters.lead))
    return { ok: true }
  },
  report: () => {
    for (;;) {
      fs.writeSync(1, `${BigInt(Date.now()) * 1_000_000n}\n`)
      block(10)
    }
  },
  spin: () => { for (;;); },
  spin_in_c: () => /^(a+)+$/.test('a'.repeat(64) + 'b'),
  big_number: () => String(7n ** (10n ** 8n)).slice(0, 1),
  ignore_signals: () => {
    for (const s of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT']) process.on(s, () => {})
    for (;;);
  },
  fork: () => {
    spawn(process.execPath, ['-e', `setTimeout(() => {}, ${ever})`], { stdio: 'ignore' })
    return { ok: true }
  },
  fork_and_sleep: () => {
    actions.fork()
    return nap(ever)
  },
  daemon: () => {
    spawn(process.execPath, ['-e', 'setInterval(() => {}, 1)'], { stdio: 'ignore', detached: true }).unref()
    return { ok: true }
  },
  thread: () => {
    const { Worker } = require('node:worker_threads')
    new Worker('setInterval(() => {}, 1)', { eval: true })
    return { ok: true }
  },
  stream_for_ever: async function * () {
    for (;;) {
      yield 'x'.repeat(1000)
      await nap(10)
    }
  },
  stream_then_silence: async function * () {
    yield 'first'
    await nap(ever)
  },
  stop_itself: () => {
    process.kill(process.pid, 'SIGSTOP')
    return nap(ever)
  },
  exit: () => process.exit(0),
  exit_hard: () => process.reallyExit(7),
  crash: () => process.abort(),
  kill_first_process: () => {
    process.kill(1, 'SIGKILL')
    return { ok: true }
  },
  close_all: () => {
    for (let fd = 0; fd < 256; fd++) {
      try { fs.closeSync(fd) } catch {}
    }
    block(ever)
  },
  memory_fast: () => Buffer.alloc(2 ** 30, 'x').length,
  memory_slowly: async () => {
    const held = []
    for (;;) {
      held.push(Buffer.alloc(4 * 2 ** 20, 'x'))
      await nap(5)
    }
  },
  processes: async () => {
    let n = 0
    for (;;) {
      const child = spawn('/bin/sleep', ['3600'], { stdio: 'ignore' })
      const error = await new Promise(resolve => {
        child.on('error', resolve)
        child.on('spawn', () => resolve(null))
      })
      if (error) return { forked: n, error: error.code }
      n++
    }
  },
  disk: () => {
    const fd = fs.openSync('/tmp/bomb', 'w')
    const block = Buffer.alloc(65536, 'x')
    let written = 0
    try {
      for (;;) written += fs.writeSync(fd, block)
    } catch (e) {
      fs.closeSync(fd)
      fs.unlinkSync('/tmp/bomb')
      return { written, error: e.code }
    }
  },
  flood: () => {
    const block = Buffer.alloc(65536, 'x')
    for (let i = 0; i < 320; i++) {
      for (let at = 0; at < block.length;) at += fs.writeSync(1, block, at)
    }
    return { ok: true }
  },
  size_in: event => ({ size: (event.body ?? '').length }),
  size_out: event => ({ statusCode: 200, body: 'x'.repeat(Number(event.queryStringParameters.n)) }),
  clock: async (event, context) => {
    const before = context.getRemainingTimeInMillis()
    await nap(600)
    return { spent: before - context.getRemainingTimeInMillis() }
  }
}

exports.handler = (event, context) => {
  calls++
  return actions[event.pathParameters.do](event, context)
}
