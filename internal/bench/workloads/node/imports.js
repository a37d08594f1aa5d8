// Loads what a program of some size does: large parts of the standard library,
// and a hundred modules of its own.
for (const name of ['assert', 'child_process', 'crypto', 'dgram', 'dns', 'events', 'http', 'http2', 'https', 'net',
  'os', 'path', 'querystring', 'readline', 'stream', 'string_decoder', 'tls', 'url', 'util', 'v8', 'vm', 'worker_threads', 'zlib']) {
  require(`node:${name}`);
}
let total = 0;
for (let i = 0; i < 100; i++) total += require(`./parts/part${String(i).padStart(3, '0')}.js`).value();

exports.handler = async () => ({ statusCode: 200, body: String(total) });
