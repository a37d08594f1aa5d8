'use strict';
// The part of the JavaScript shim that compiles a package into V8's code cache.
// Nothing of the package is run: a CommonJS module ends where its function would
// be called, and the graph of an ES module has an import that cannot be linked.

const fs = require('node:fs');
const path = require('node:path');
const Module = require('node:module');

const FILE = 0x8a, COMPILED = 0x8b;
const MAX_SOURCE = 16 << 20;
const MAX_FILE = 6 << 20;
const NO_ID = Buffer.alloc(8);
const STOP = Symbol('stop');

/** Every source file below dir, links left out. */
function* sources(dir, type) {
  let entries;
  try {
    entries = fs.readdirSync(dir, { withFileTypes: true });
  } catch {
    return;
  }
  if (entries.some((e) => e.name === 'package.json' && e.isFile())) {
    try {
      type = JSON.parse(fs.readFileSync(path.join(dir, 'package.json'), 'utf8')).type ?? 'commonjs';
    } catch { /* Whoever imports from it will be told. */ }
  }
  for (const e of entries) {
    const file = path.join(dir, e.name);
    if (e.isDirectory() && e.name !== '.cove') yield* sources(file, type);
    else if (e.isFile() && /\.[cm]?[jt]s$/.test(e.name) && !/\.d\.[cm]?ts$/.test(e.name)) {
      const kind = /\.c[jt]s$/.test(e.name) ? 'commonjs' : /\.m[jt]s$/.test(e.name) ? 'module' : type;
      yield { file, kind, typescript: e.name.endsWith('ts') };
    }
  }
}

function compileScript({ file, typescript }) {
  const module = new Module(file, null);
  module.filename = file;
  module.paths = [];
  // This is read when the module has been compiled, to be given to its function.
  Object.defineProperty(module, 'exports', { get() { throw STOP; } });
  module._compile(fs.readFileSync(file, 'utf8'), file, typescript ? 'commonjs-typescript' : 'commonjs');
}

async function compileModule({ file }) {
  const url = JSON.stringify(require('node:url').pathToFileURL(file).href);
  // Linking comes after compiling and before anything is run, and fails.
  const entry = `import ${url}; import { none } from 'node:path';`;
  await import('data:text/javascript,' + encodeURIComponent(entry));
}

async function compilePackage(request, send) {
  const cache = path.join(require('node:os').tmpdir(), 'cove-v8');
  fs.mkdirSync(cache, { recursive: true });
  Module.enableCompileCache(cache);
  for (const source of sources(request.code_dir, 'commonjs')) {
    try {
      if (fs.statSync(source.file).size > MAX_SOURCE) continue;
      if (source.kind === 'module') await compileModule(source);
      else compileScript(source);
    } catch { /* Either it stopped where it should, or whoever imports it will be told what is wrong. */ }
  }
  Module.flushCompileCache();
  let left = request.max_bytes;
  for (const tag of fs.readdirSync(cache)) {
    for (const name of fs.readdirSync(path.join(cache, tag))) {
      const data = fs.readFileSync(path.join(cache, tag, name));
      left -= data.length;
      if (left < 0) break;
      if (data.length > MAX_FILE) continue;
      const shown = Buffer.from(`.cove/v8/${tag}/${name}`);
      const head = Buffer.allocUnsafe(4 + shown.length);
      head.writeUInt32BE(shown.length, 0);
      shown.copy(head, 4);
      if (!send(FILE, NO_ID, head, data)) await new Promise((resolve) => send.socket().once('drain', resolve));
    }
  }
  send(COMPILED, NO_ID, Buffer.alloc(0));
}

module.exports = { compilePackage };
