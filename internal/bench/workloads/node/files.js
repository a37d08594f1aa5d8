// Makes, reads, looks at and removes small files.
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const block = Buffer.alloc(16384, 'x');

exports.handler = async () => {
  let total = 0;
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'files-'));
  const names = Array.from({ length: 50 }, (_, i) => path.join(folder, `file-${i}`));
  for (const name of names) fs.writeFileSync(name, block);
  for (const name of fs.readdirSync(folder)) total += fs.statSync(path.join(folder, name)).size;
  for (const name of names) {
    total += fs.readFileSync(name).length;
    fs.unlinkSync(name);
  }
  fs.rmdirSync(folder);
  return { statusCode: 200, body: String(total) };
};
