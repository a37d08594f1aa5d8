// In the shim's place: sends back every byte it gets. It is the least that a
// process in this language, in this sandbox, behind this socket, can do.
'use strict';

const net = require('node:net');

const out = net.connect('/cove/log.sock', () => {
  const err = net.connect('/cove/log.sock', () => {
    const conn = net.connect('/cove/conn.sock');
    conn.on('data', (data) => conn.write(data));
    conn.on('end', () => process.exit(0));
    out.unref();
    err.unref();
  });
});
