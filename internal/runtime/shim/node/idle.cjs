'use strict';
// The function that the shim loads and calls before it has one; see rehearse.
exports.handler = async (event) => ({ statusCode: 200, headers: { 'content-type': 'text/plain' }, body: 'x' });
