// The handler that every arm runs; started by itself it answers one event.
'use strict';

exports.handler = async (event) => ({ statusCode: 200, body: event.body });

if (require.main === module) {
  exports.handler({ body: process.argv[2] }).then((answer) => process.stdout.write(`${answer.body}\n`));
}
