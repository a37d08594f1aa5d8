import { spawn, type ChildProcess } from "node:child_process";
import { access, mkdtemp, open, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "../..");
const binary = process.env.COVE_BINARY ?? join(root, "bin/cove");
const images = process.env.COVE_IMAGES ?? join(root, ".cache/images");
const runsc = process.env.COVE_RUNSC ?? join(root, "bin/runsc");

/** A daemon on ports and a directory of its own. */
export class Daemon {
  private process: ChildProcess | undefined;

  private constructor(
    private readonly directory: string,
    private readonly apiPort: number,
    private readonly gatewayPort: number,
  ) {}

  static async start(): Promise<Daemon> {
    for (const needed of [binary, images, runsc]) {
      await access(needed).catch(() => {
        throw new Error(`${needed} is missing: run make build runsc images`);
      });
    }
    const daemon = new Daemon(await mkdtemp(join(tmpdir(), "cove-console-")), await freePort(), await freePort());
    await daemon.run();
    return daemon;
  }

  get url(): string {
    return `http://127.0.0.1:${this.apiPort}`;
  }

  get gateway(): string {
    return `http://127.0.0.1:${this.gatewayPort}`;
  }

  /** Where it keeps its state. */
  get data(): string {
    return join(this.directory, "data");
  }

  /** The token that the first start made. */
  async token(): Promise<string> {
    return (await readFile(join(this.data, "admin.token"), "utf8")).trim();
  }

  /** Starts it, again after end with the same ports and state. */
  async run(): Promise<void> {
    const log = await open(join(this.directory, "log"), "a");
    const args = ["serve", "--data", this.data, "--images", images, "--runsc", runsc];
    args.push("--api", `127.0.0.1:${this.apiPort}`, "--gateway", `127.0.0.1:${this.gatewayPort}`, "--memory", "2GiB", "--drain-timeout", "5s");
    this.process = spawn(binary, args, { stdio: ["ignore", log.fd, log.fd] });
    await log.close();
    for (let i = 0; i < 300; i++) {
      if (this.process.exitCode !== null) break;
      const ready = await fetch(`${this.url}/readyz`).catch(() => undefined);
      if (ready?.ok) return;
      await sleep(100);
    }
    throw new Error(`the daemon is not ready:\n${await readFile(join(this.directory, "log"), "utf8")}`);
  }

  /** Ends it as a system does, and waits for that. */
  async end(): Promise<void> {
    const child = this.process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((done) => child.once("exit", done));
    child.kill("SIGTERM");
    await gone;
  }

  /** Ends it and removes what it left. */
  async remove(): Promise<void> {
    await this.end();
    await rm(this.directory, { recursive: true, force: true });
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
