// The handler behind Node's http.
'use strict';

const http = require('node:http');
const { handler } = require('./index.js');

http
  .createServer({ keepAlive: true, keepAliveTimeout: 600_000, noDelay: true }, (req, res) => {
    let body = '';
    req.setEncoding('utf8');
    req.on('data', (piece) => (body += piece));
    req.on('end', async () => {
      const answer = await handler({ body });
      const data = Buffer.from(answer.body);
      res.writeHead(answer.statusCode, { 'content-type': 'text/plain', 'content-length': data.length });
      res.end(data);
    });
  })
  .listen(Number(process.argv[2]), '127.0.0.1');
