'use strict';
// The JavaScript shim: speaks Cove's runtime protocol and calls the handler.
// The protocol is described in Cove's docs/runtime-protocol.md.

const fs = require('node:fs');

const INIT = 0x01, INVOKE = 0x02, SHUTDOWN = 0x03, CANCEL = 0x04, CREDIT = 0x05, COMPILE = 0x06;
const HELLO = 0x81, READY = 0x82, INIT_ERROR = 0x83, RESULT = 0x84, ERROR = 0x85, STREAM = 0x86, CHUNK = 0x87, END = 0x88, PREPARED = 0x89;
const MAX_HEAD = (1 << 20) - 64;
const MAX_CHUNK = 1 << 20;
const MAX_MESSAGE = 16 << 10;
const MAX_FRAMES = 60;
const IDLE = 20; // ms without INIT after which a sandbox is taken for a stem cell
const NO_ID = Buffer.alloc(8);
const EMPTY = Buffer.alloc(0);

let SHARED; // shared.cjs, once it is needed
const state = {
  socket: null, // the protocol's stream
  conn: -1, // its descriptor
  logs: [-1, -1], // descriptors of the log streams that are the shim's own
  handler: null,
  function: null, // what every call's context says of the function
  maxAnswer: 6 << 20,
  call: null, // the running call, where there is one at a time
  ended: [], answers: [], // the markers and the frames of calls that have just ended; see conclude
  shared: null, // the calls in flight, where there are several; see shared.cjs
  idle: undefined, // the timer that runs until the rehearsal
  rehearsing: false, // nothing is written; see rehearse
  waiting: [], // calls that came while another ran or the handler was being loaded
};

/** An error that the shim itself finds, with a name of the protocol. */
class Failure extends Error {
  constructor(kind, message, stack = []) {
    super(message);
    this.kind = kind;
    this.frames = stack;
  }
}

// ---- The streams ----------------------------------------------------------

/**
 * Opens the log streams under descriptors 1 and 2 and the protocol's stream.
 * Node has neither dup2 nor a connect that does not go through the event loop,
 * so both come from the C library.
 */
function connect() {
  const warn = process.emitWarning;
  process.emitWarning = () => {}; // That node:ffi is experimental is no news for the function's log.
  const ffi = require('node:ffi');
  const { functions: c } = ffi.dlopen(null, {
    socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
    connect: { arguments: ['i32', 'pointer', 'u32'], return: 'i32' },
    dup2: { arguments: ['i32', 'i32'], return: 'i32' },
  });
  process.emitWarning = warn;

  let none = fs.openSync('/dev/null', 'r+');
  while (none <= 2) none = fs.openSync('/dev/null', 'r+');
  c.dup2(none, 0);
  fs.closeSync(none);

  const open = (path) => {
    const name = Buffer.from(path);
    const address = Buffer.alloc(110); // struct sockaddr_un
    address.writeUInt16LE(1, 0);
    name.copy(address, 2);
    const fd = c.socket(1, 1 | 0o2000000, 0); // AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC
    if (fd < 0 || name.length > 107 || c.connect(fd, ffi.getRawPointer(address), 2 + name.length + 1) !== 0) {
      fs.writeSync(2, `the shim cannot connect to ${path}\n`);
      process.reallyExit(71);
    }
    return fd;
  };
  for (const i of [0, 1]) {
    state.logs[i] = open(process.env.COVE_LOG || '/cove/log.sock');
    c.dup2(state.logs[i], i + 1);
  }
  state.conn = open(process.env.COVE_CONN || '/cove/conn.sock');
}

/** Writes all of data to a descriptor that blocks. */
function writeAll(fd, data) {
  if (state.rehearsing) return;
  for (let at = 0; at < data.length;) {
    try {
      at += fs.writeSync(fd, data, at);
    } catch (e) {
      if (e.code !== 'EAGAIN') return; // The host has gone, or the handler closed it.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

/** process.stdout and process.stderr that write at once, so that nothing printed is lost or late. */
function standardStreams() {
  for (const [name, fd] of [['stdout', 1], ['stderr', 2]]) {
    let stream;
    Object.defineProperty(process, name, {
      configurable: true,
      enumerable: true,
      get() {
        if (stream === undefined) {
          const { Writable } = require('node:stream');
          stream = new Writable({
            decodeStrings: true,
            write(chunk, encoding, done) {
              if (state.shared !== null) state.shared.printed(fd, chunk);
              else writeAll(fd, chunk);
              done();
            },
          });
          stream.fd = fd;
          stream._type = 'pipe';
          stream._destroy = (err, done) => done(err); // Not to be closed, as Node's own.
        }
        return stream;
      },
      set(value) {
        stream = value;
      },
    });
  }
}

/** A frame, without its payload if that is large. */
function frameOf(kind, id, head, payload) {
  const start = Buffer.allocUnsafe(13 + head.length + (payload.length < 65536 ? payload.length : 0));
  start.writeUInt32BE(9 + head.length + payload.length, 0);
  start[4] = kind;
  id.copy(start, 5);
  if (head.length) head.copy(start, 13);
  if (payload.length && payload.length < 65536) payload.copy(start, 13 + head.length);
  return start;
}

/** Writes one frame: at once if the socket takes it, and behind what waits otherwise. */
function send(kind, id, head, payload = EMPTY) {
  const start = frameOf(kind, id, head, payload);
  if (payload.length < 65536) return write(start);
  write(start);
  return write(payload);
}

/**
 * Sends the frame that ends a call. Where there are several calls at a time, what
 * one turn of the event loop has answered leaves in one piece, as each write would
 * wake the host up anew. Promises have their turn before what is due at the next tick.
 */
function conclude(call, kind, head, payload = EMPTY) {
  if (state.shared === null) {
    send(kind, call.id, head, payload);
    return;
  }
  if (state.ended.length === 0) process.nextTick(deliver);
  state.ended.push(call.marker);
  if (payload.length < 65536) {
    state.answers.push(frameOf(kind, call.id, head, payload));
    return;
  }
  deliver();
  send(kind, call.id, head, payload);
}

/**
 * Sends what was answered, behind the ends of what it has printed. Where lines
 * carry markers those of both streams go one way.
 */
function deliver() {
  const { ended, answers } = state;
  if (ended.length === 0) return;
  state.ended = [];
  state.answers = [];
  writeAll(state.logs[0], ended.length === 1 ? ended[0] : Buffer.concat(ended));
  if (answers.length) write(answers.length === 1 ? answers[0] : Buffer.concat(answers));
}

/** Returns whether more may be written without waiting for 'drain'. */
function write(data) {
  if (state.rehearsing) return true;
  const socket = state.socket;
  if (socket === null || socket.writableLength === 0) {
    let n = 0;
    try {
      n = fs.writeSync(state.conn, data, 0, data.length);
    } catch (e) {
      if (e.code !== 'EAGAIN') process.reallyExit(e.code === 'EPIPE' ? 0 : 1); // The stream is gone.
    }
    if (n === data.length) return true;
    data = data.subarray(n);
  }
  return socket.write(data);
}

/** Cuts what arrives into frames. A frame that arrives whole is not copied. */
class Frames {
  constructor(take) {
    this.take = take;
    this.part = null; // a frame of which more is to come
    this.size = 0;
    this.have = 0;
  }

  feed(data) {
    while (data.length > 0) {
      if (this.part === null) {
        if (data.length >= 4) {
          const size = 4 + data.readUInt32BE(0);
          if (data.length >= size) {
            const frame = data.subarray(0, size);
            data = data.subarray(size);
            this.take(frame);
            continue;
          }
          this.part = Buffer.allocUnsafe(size);
          this.size = size;
        } else {
          this.part = Buffer.allocUnsafe(4);
          this.size = 4;
        }
        this.have = 0;
      }
      const n = data.copy(this.part, this.have, 0, this.size - this.have);
      this.have += n;
      data = data.subarray(n);
      if (this.have < this.size) return;
      if (this.size === 4) { // Only the length was known to be there.
        const size = 4 + this.part.readUInt32BE(0);
        const whole = Buffer.allocUnsafe(size);
        this.part.copy(whole, 0);
        this.part = whole;
        this.size = size;
        continue;
      }
      const frame = this.part;
      this.part = null;
      this.take(frame);
    }
  }
}

// ---- Errors ----------------------------------------------------------------

function text(value) {
  let s;
  try {
    s = String(value);
  } catch {
    s = '(its text is not to be had)';
  }
  return s.length <= MAX_MESSAGE ? s : s.slice(0, MAX_MESSAGE) + '...';
}

/** The user's own frames of an error, outermost first. */
function frames(e) {
  let stack;
  try {
    stack = e.stack;
  } catch {
    return [];
  }
  if (typeof stack !== 'string') return [];
  const own = [];
  for (const line of stack.split('\n')) {
    if (/^\s+at /.test(line) && !line.includes('node:') && !line.includes(__dirname) && !/\(<anonymous>\)$/.test(line)) {
      own.push(line.trim().slice(0, 500));
    }
  }
  return own.slice(0, MAX_FRAMES).reverse();
}

function describe(e) {
  if (e instanceof Failure) return { errorType: e.kind, errorMessage: e.message, stackTrace: e.frames };
  let type = typeof e;
  let message = e;
  let stackTrace = [];
  try {
    if (e !== null && (type === 'object' || type === 'function') && ('message' in e || e instanceof Error)) {
      type = typeof e.name === 'string' && e.name ? e.name : 'Error';
      message = e.message;
      stackTrace = frames(e);
    } else if (type === 'object') {
      message = JSON.stringify(e);
    }
  } catch { /* A getter of the thrown object threw: what is known so far has to do. */ }
  return { errorType: text(type).slice(0, 200), errorMessage: text(message), stackTrace };
}

/** Prints an error of call, or of none, as Lambda does and returns it as the body of a frame. */
function report(e, kind, call) {
  const d = describe(e);
  if (kind) {
    d.errorMessage = `${d.errorType}: ${d.errorMessage}`;
    d.errorType = kind;
  }
  let shown = `[ERROR] ${d.errorType}: ${d.errorMessage}\n`;
  for (let i = d.stackTrace.length - 1; i >= 0; i--) shown += `    ${d.stackTrace[i]}\n`;
  if (call?.partial) state.shared.write(call, 2, Buffer.from(shown));
  else writeAll(2, Buffer.from(shown));
  return Buffer.from(JSON.stringify(d));
}

// ---- Loading the function ----------------------------------------------------

function prepare(init) {
  const env = process.env;
  const runtime = env.COVE_RUNTIME || `nodejs${process.versions.node.split('.')[0]}`;
  for (const name of ['COVE_RUNTIME', 'COVE_CONN', 'COVE_LOG']) delete env[name];
  const version = String(init.version);
  const memory = String(init.memory_mib);
  Object.assign(env, {
    AWS_LAMBDA_FUNCTION_NAME: init.function,
    AWS_LAMBDA_FUNCTION_VERSION: version,
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: memory,
    AWS_LAMBDA_LOG_GROUP_NAME: `/cove/${init.function}`,
    AWS_LAMBDA_LOG_STREAM_NAME: version,
    AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
    AWS_EXECUTION_ENV: `AWS_Lambda_${runtime}`,
    LAMBDA_TASK_ROOT: init.code_dir,
    _HANDLER: init.handler,
  }, init.env);
  // Node.js looks at this variable only when it starts, before INIT.
  if (env.NODE_PATH) require('node:module')._initPaths();
  state.maxAnswer = init.max_answer;
  state.function = {
    callbackWaitsForEmptyEventLoop: true,
    functionName: init.function,
    functionVersion: version,
    memoryLimitInMB: memory,
    invokedFunctionArn: `arn:aws:lambda:local:000000000000:function:${init.function}:${version}`,
    logGroupName: `/cove/${init.function}`,
    logStreamName: version,
    identity: undefined,
    clientContext: undefined,
  };
  if (init.entropy) {
    // Math.random draws its seed at its first use, and from this flag if it is set.
    const seed = Buffer.from(init.entropy, 'base64').readInt32LE(0) || 1;
    require('node:v8').setFlagsFromString(`--random-seed=${seed}`);
  }
  Error.stackTraceLimit = 30;
  try {
    process.chdir(init.code_dir);
  } catch (e) {
    throw new Failure('Runtime.NoSuchFile', `the package is not there: ${e.message}`);
  }
  process.argv.length = 1;
  const compiled = init.code_dir + '/.cove/v8';
  if (fs.existsSync(compiled)) require('node:module').enableCompileCache(compiled);
}

async function load(init) {
  prepare(init);
  const path = require('node:path');
  const dot = init.handler.lastIndexOf('.');
  const base = path.join(init.code_dir, init.handler.slice(0, dot));
  const name = init.handler.slice(dot + 1);
  const extension = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts'].find(
    (x) => fs.statSync(base + x, { throwIfNoEntry: false })?.isFile());
  const shown = init.handler.slice(0, dot);
  if (extension === undefined) {
    throw new Failure('Runtime.NoSuchFile', `the package has no file ${shown}.js (or .mjs, .cjs, .ts, .mts, .cts)`);
  }
  const file = base + extension;
  const module = await importFile(file, extension);
  let handler = module[name];
  if (handler === undefined && module.default !== null && module.default !== undefined) handler = module.default[name];
  if (handler === undefined) {
    throw new Failure('Runtime.NoSuchHandler', `${shown}${extension} exports no function ${name}`);
  }
  if (typeof handler !== 'function') {
    throw new Failure('Runtime.NotCallable', `${name} in ${shown}${extension} is no function but of type ${typeof handler}`);
  }
  return handler;
}

async function importFile(file, extension) {
  try {
    if (extension !== '.mjs' && extension !== '.mts') {
      try {
        return require('node:module').createRequire(file)(file);
      } catch (e) {
        if (e?.code !== 'ERR_REQUIRE_ASYNC_MODULE') throw e; // It awaits at its top level.
      }
    }
    return await import(require('node:url').pathToFileURL(file).href);
  } catch (e) {
    const d = describe(e);
    const parse = (e instanceof SyntaxError && d.stackTrace.length === 0) || /_TYPESCRIPT_SYNTAX$/.test(e?.code);
    const place = parse && typeof e.stack === 'string' ? e.stack.split('\n').slice(0, 4).filter((l) => l.includes(':')).slice(0, 1) : [];
    throw new Failure(parse ? 'Runtime.SyntaxError' : 'Runtime.ImportError',
      `${d.errorType}: ${d.errorMessage}`, parse ? place : d.stackTrace);
  }
}

// ---- Answers -----------------------------------------------------------------

const invalid = (message) => new Failure('Runtime.InvalidAnswer', message);
const tooLarge = (n) => new Failure('Runtime.AnswerTooLarge', `the answer has ${n} bytes; at most ${state.maxAnswer} are allowed`);

function toJSON(value) {
  try {
    const s = JSON.stringify(value);
    return Buffer.from(s === undefined ? 'null' : s);
  } catch (e) {
    throw new Failure('Runtime.NotSerializable', `the answer cannot be written as JSON: ${text(e?.message).split('\n')[0]}`);
  }
}

/** value as bytes if it is text or binary, and otherwise undefined. */
function asBytes(value) {
  if (typeof value === 'string') return Buffer.from(value);
  if (Buffer.isBuffer(value)) return value;
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (value instanceof ArrayBuffer) return Buffer.from(value);
  return undefined;
}

function isStream(value) {
  return typeof value === 'object' && value !== null && (typeof value[Symbol.asyncIterator] === 'function' ||
    (typeof value.next === 'function' && typeof value[Symbol.iterator] === 'function'));
}

function headerText(name, v) {
  if (typeof v === 'string') return v;
  if (typeof v === 'number' || typeof v === 'boolean') return String(v);
  throw invalid(`the value of header ${name.slice(0, 100)} is of type ${typeof v}; it must be a string, a number, a boolean or a list of these`);
}

function answerHead(value) {
  let status = value.statusCode;
  if (typeof status === 'string' && /^\d{3}$/.test(status)) status = Number(status);
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw invalid(`statusCode is ${text(value.statusCode).slice(0, 100)}; it must be an integer of 200 to 599`);
  }
  const head = { status };
  for (const field of ['headers', 'multiValueHeaders']) {
    const given = value[field];
    if (given === undefined || given === null) continue;
    if (typeof given !== 'object' || Array.isArray(given)) throw invalid(`${field} must be an object`);
    const headers = head.headers ??= Object.create(null);
    const entries = typeof given.entries === 'function' ? given.entries() : Object.entries(given);
    for (const [name, v] of entries) {
      if (v === undefined || v === null) continue;
      const key = String(name).toLowerCase();
      const values = Array.isArray(v) ? v.map((x) => headerText(key, x)) : [headerText(key, v)];
      headers[key] = headers[key] ? headers[key].concat(values) : values;
    }
  }
  if (value.cookies !== undefined && value.cookies !== null) {
    if (!Array.isArray(value.cookies) || value.cookies.some((c) => typeof c !== 'string')) throw invalid('cookies must be a list of strings');
    if (value.cookies.length) head.cookies = value.cookies;
  }
  return head;
}

const STREAM_HEAD = { status: 200, headers: { 'content-type': ['application/octet-stream'] } };

/** Sends what the handler returned. */
function answer(call, value) {
  let head = null;
  let body = value;
  if (call.http && typeof value === 'object' && value !== null && !isStream(value) && value.statusCode !== undefined) {
    head = answerHead(value);
    body = value.body;
    if (!isStream(body)) body = httpBody(value, body, head);
  }
  if (isStream(body)) return stream(call, head, body);
  const payload = head !== null ? body : toJSON(body);
  const headBytes = head !== null ? Buffer.from(JSON.stringify(head)) : EMPTY;
  if (payload.length > state.maxAnswer) throw tooLarge(payload.length);
  if (headBytes.length > MAX_HEAD) {
    throw new Failure('Runtime.AnswerTooLarge', `headers and cookies have ${headBytes.length} bytes; at most ${MAX_HEAD} are allowed`);
  }
  if (!finish(call)) return undefined;
  const lead = Buffer.allocUnsafe(4 + headBytes.length);
  lead.writeUInt32BE(headBytes.length, 0);
  headBytes.copy(lead, 4);
  conclude(call, RESULT, lead, payload);
  return undefined;
}

function httpBody(value, body, head) {
  if (body === undefined || body === null) return EMPTY;
  if (value.isBase64Encoded) {
    if (typeof body !== 'string' || !/^[A-Za-z0-9+/_\-\s]*={0,2}\s*$/.test(body)) {
      throw invalid('isBase64Encoded is set and body is no base64');
    }
    return Buffer.from(body, 'base64');
  }
  const bytes = asBytes(body);
  if (bytes !== undefined) return bytes;
  (head.headers ??= {})['content-type'] ??= ['application/json'];
  return toJSON(body);
}

/** A streamed answer on its way out. Its head leaves with the first piece. */
class Outgoing {
  constructor(call, head) {
    this.call = call;
    this.head = head;
    this.total = 0;
  }

  begin() {
    if (this.call.streaming) return;
    const head = this.call.http ? Buffer.from(JSON.stringify(this.head ?? STREAM_HEAD)) : EMPTY;
    if (head.length > MAX_HEAD) throw tooLarge(head.length);
    this.call.streaming = true;
    send(STREAM, this.call.id, head);
  }

  /** Resolves when the host has room for more. */
  async piece(value) {
    if (this.call.done) return;
    const bytes = asBytes(value) ?? toJSON(value);
    this.begin();
    this.total += bytes.length;
    if (!this.call.http && this.total > state.maxAnswer) throw tooLarge(this.total);
    const most = state.shared !== null ? SHARED.PIECE : MAX_CHUNK;
    for (let at = 0; at < bytes.length; at += most) {
      const part = bytes.subarray(at, at + most);
      if (state.shared !== null) {
        await state.shared.room(this.call, part.length);
        if (this.call.cancelled) throw new Failure('Runtime.Cancelled', 'the call was given up');
        if (this.call.done) return;
      }
      if (!send(CHUNK, this.call.id, EMPTY, part)) {
        await new Promise((resolve) => state.socket.once('drain', resolve));
        if (this.call.done) return;
      }
    }
  }

  end() {
    if (this.call.done) return;
    this.begin();
    if (finish(this.call)) conclude(this.call, END, EMPTY);
  }
}

async function stream(call, head, source) {
  const out = new Outgoing(call, head);
  for await (const piece of source) {
    if (call.done) return;
    await out.piece(piece);
  }
  out.end();
}

// ---- Calls -------------------------------------------------------------------

/** Ends a call once: closes it off in the log, unless conclude does. Says whether it still ran. */
function finish(call) {
  if (call.done) return false;
  if (state.shared !== null) state.shared.finish(call);
  call.done = true;
  state.call = null;
  if (state.waiting.length) setImmediate(next);
  if (call.marker !== null && state.shared === null) for (const log of state.logs) writeAll(log, call.marker);
  return true;
}

function fail(call, e, kind) {
  if (call.done) return;
  const body = report(e, kind, call);
  const type = call.streaming ? END : ERROR;
  if (finish(call)) conclude(call, type, body);
}

function eventOf(call, head, payload) {
  if (call.http) {
    const event = head.event ?? {};
    if (payload.length) event.body = payload.toString(event.isBase64Encoded ? 'base64' : 'utf8');
    return event;
  }
  if (!payload.length) return null;
  try {
    return JSON.parse(payload.toString());
  } catch (e) {
    throw new Failure('Runtime.BadEvent', `the event is not valid JSON: ${e.message}`);
  }
}

/** Begins the next of the calls that had to wait: a handler has one at a time. */
function next() {
  if (state.waiting.length && state.call === null && state.handler !== null) invoke(state.waiting.shift());
}

function invoke(frame) {
  const split = 17 + frame.readUInt32BE(13);
  const head = JSON.parse(frame.utf8Slice(17, split));
  const call = {
    id: Buffer.from(frame.subarray(5, 13)), http: head.kind === 'http', marker: head.marker ? Buffer.from(head.marker + '\n') : null,
    done: false, streaming: false,
  };
  if (state.shared !== null) state.shared.begin(call, () => run(call, head, frame.subarray(split)));
  else {
    state.call = call;
    run(call, head, frame.subarray(split));
  }
}

/** Calls the handler. */
function run(call, head, payload) {
  const deadline = performance.now() + head.timeout_ms;
  const callback = (e, value) => {
    if (e !== undefined && e !== null) fail(call, e);
    else settle(call, value);
  };
  const context = {
    ...state.function,
    awsRequestId: head.request_id,
    traceparent: head.trace,
    getRemainingTimeInMillis: () => Math.max(0, Math.floor(deadline - performance.now())),
    /** Aborted when the call is given up and the instance goes on, because it serves others too. */
    get signal() {
      if (call.controller === undefined) {
        call.controller = new AbortController();
        if (call.cancelled) call.controller.abort();
      }
      return call.controller.signal;
    },
    done: callback,
    fail: (e) => callback(e ?? new Error('the handler failed')),
    succeed: (value) => callback(null, value),
  };
  try {
    const event = eventOf(call, head, payload);
    const handler = state.handler;
    if (handler[STREAMING]) {
      streaming(call, handler, event, context);
      return;
    }
    const value = handler(event, context, callback);
    if (value !== null && typeof value === 'object' && typeof value.then === 'function') {
      value.then((v) => settle(call, v), (e) => fail(call, e));
    } else if (value !== undefined || handler.length < 3) {
      settle(call, value);
    }
  } catch (e) {
    fail(call, e);
  }
}

function settle(call, value) {
  if (call.done || call.settled) return;
  call.settled = true; // The first answer counts.
  try {
    answer(call, value)?.catch((e) => fail(call, e));
  } catch (e) {
    fail(call, e);
  }
}

// ---- Lambda's streaming handlers ------------------------------------------------

const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');

globalThis.awslambda = {
  streamifyResponse(handler) {
    handler[STREAMING] = 'response';
    return handler;
  },
  HttpResponseStream: {
    from(stream, metadata) {
      stream.setMetadata?.(metadata);
      return stream;
    },
  },
};

function streaming(call, handler, event, context) {
  const { Writable } = require('node:stream');
  const out = new Outgoing(call, null);
  const response = new Writable({
    highWaterMark: 65536,
    write(chunk, encoding, done) {
      out.piece(chunk).then(() => done(), done);
    },
    final(done) {
      try {
        out.end();
        done();
      } catch (e) {
        done(e);
      }
    },
  });
  response.setContentType = (type) => {
    out.head = { status: 200, ...out.head, headers: { ...out.head?.headers, 'content-type': [String(type)] } };
  };
  response.setMetadata = (metadata) => {
    out.head = answerHead({ statusCode: 200, ...metadata });
  };
  response.on('error', (e) => fail(call, e));
  Promise.resolve(handler(event, response, context)).catch((e) => fail(call, e));
}

// ---- The life of the process ------------------------------------------------------

/** What nobody caught ends the process: its state is not to be trusted any more. */
function uncaught(event, kind) {
  process.on(event, (e) => {
    if (process.listenerCount(event) > 1) return; // The function has its own way with it.
    const call = state.shared !== null ? state.shared.current() : state.call;
    if (call !== null) fail(call, e, kind);
    else report(e, kind);
    process.exit(1);
  });
}

function take(frame) {
  switch (frame[4]) {
    case INVOKE:
      if (state.call === null && state.handler !== null) invoke(frame);
      else state.waiting.push(Buffer.from(frame));
      break;
    case COMPILE:
      clearTimeout(state.idle);
      send.socket = () => state.socket;
      require('./compile.cjs').compilePackage(JSON.parse(frame.utf8Slice(13)), send);
      break;
    case INIT: {
      clearTimeout(state.idle);
      const init = JSON.parse(frame.utf8Slice(13));
      if (init.concurrency > 1) {
        SHARED = require('./shared.cjs');
        state.shared = new SHARED.Shared(writeAll);
        process.on('exit', deliver);
      }
      load(init).then(
        (handler) => {
          state.handler = handler;
          send(READY, NO_ID, EMPTY);
          next();
        },
        (e) => send(INIT_ERROR, NO_ID, report(e)));
      break;
    }
    case CANCEL: {
      const call = state.shared?.get(frame.subarray(5, 13));
      if (call !== undefined) state.shared.cancel(call);
      break;
    }
    case CREDIT: {
      const call = state.shared?.get(frame.subarray(5, 13));
      if (call !== undefined) state.shared.grant(call, frame.readUInt32BE(13));
      break;
    }
    case SHUTDOWN:
      process.exit(0);
      break;
    default:
      process.reallyExit(70);
  }
}

/**
 * Plays an INIT and calls of a function that does nothing, while nobody waits:
 * whatever runs for the first time has to be compiled. Nothing of it leaves the
 * process. It waits for promises only, so no frame is read before it is over.
 */
async function rehearse() {
  const runtime = process.env.COVE_RUNTIME;
  const entropy = Buffer.alloc(32).toString('base64');
  const init = JSON.stringify({ function: '', version: 0, handler: 'idle.handler', code_dir: __dirname, env: {}, memory_mib: 0, max_answer: 1 << 20, entropy });
  state.handler = await load(JSON.parse(Buffer.from(init).utf8Slice(0)));
  for (const kind of ['direct', 'http']) {
    const head = JSON.stringify({ kind, request_id: '', timeout_ms: 0, marker: '', event: { headers: {} } });
    const frame = Buffer.alloc(17 + head.length + 2);
    frame[4] = INVOKE;
    frame.writeUInt32BE(head.length, 13);
    frame.write(head + '{}', 17);
    take(frame);
    while (state.call !== null) await null;
  }
  state.handler = null;
  delete require.cache[require('node:path').join(__dirname, 'idle.cjs')];
  if (runtime !== undefined) process.env.COVE_RUNTIME = runtime;
}

function main() {
  connect();
  const version = process.versions.node;
  send(HELLO, NO_ID, Buffer.from(`{"protocol":1,"runtime":"node","version":"${version}","prepares":true}`));
  standardStreams();
  uncaught('uncaughtException');
  uncaught('unhandledRejection', 'Runtime.UnhandledPromiseRejection');
  const { Socket } = require('node:net');
  const incoming = new Frames(take);
  state.socket = new Socket({
    fd: state.conn, readable: true, writable: true, allowHalfOpen: false,
    onread: {
      buffer: Buffer.allocUnsafeSlow(65536),
      callback(n, buffer) {
        incoming.feed(buffer.subarray(0, n));
        return true;
      },
    },
  });
  const gone = () => process.reallyExit(0);
  state.socket.on('end', gone).on('close', gone).on('error', gone);
  state.socket.resume();
  // What INIT will need is loaded while nobody waits for it.
  for (const name of ['node:v8', 'node:module', 'node:path']) require(name);
  // Not at once: a sandbox that is made for a request gets its INIT now.
  state.idle = setTimeout(() => {
    state.rehearsing = true;
    rehearse().then(() => {
      state.rehearsing = false;
      send(PREPARED, NO_ID, EMPTY);
    });
  }, IDLE);
}

main();
