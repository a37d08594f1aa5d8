'use strict';

const { createHash } = require('node:crypto');

const line = 'The quick brown fox jumps over the lazy dog. ';

// GET ?size=N answers N bytes; POST says what arrived, or with ?echo=1 sends it back.
exports.handler = async (event) => {
  const query = event.queryStringParameters ?? {};
  if (event.requestContext.http.method === 'GET') {
    const size = Number(query.size ?? 1024);
    return { statusCode: 200, headers: { 'content-type': 'text/plain' }, body: line.repeat(Math.ceil(size / line.length)).slice(0, size) };
  }
  const bytes = Buffer.from(event.body ?? '', event.isBase64Encoded ? 'base64' : 'utf8');
  if (query.echo) return { statusCode: 200, headers: { 'content-type': 'application/octet-stream' }, body: bytes };
  return { size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
};
