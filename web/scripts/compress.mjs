// Compresses what vite built, once and well, so that the binary holds and sends
// it compressed. index.html stays as it is: the server writes a nonce into it.
// The manifest stays outside of the binary; the bundle's size is checked with it.
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { constants, gzipSync } from "node:zlib";

const root = new URL("../.build", import.meta.url).pathname;
const text = new Set([".js", ".css", ".svg", ".json"]);

for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name);
  if (!entry.isFile() || !text.has(extname(path)) || path.includes("/.vite/")) continue;
  const packed = gzipSync(await readFile(path), { level: constants.Z_BEST_COMPRESSION });
  await writeFile(`${path}.gz`, packed);
  await rm(path);
}
