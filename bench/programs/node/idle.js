// An interpreter that has loaded the handler and waits.
'use strict';

require('./index.js');
process.stdout.write('ready\n');
setInterval(() => {}, 2 ** 30);
