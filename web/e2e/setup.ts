import { Daemon } from "./daemon";

/** Starts the daemon that most tests share, and ends it after the last. */
export default async function setup(): Promise<() => Promise<void>> {
  const daemon = await Daemon.start();
  process.env.COVE_E2E_URL = daemon.url;
  process.env.COVE_E2E_GATEWAY = daemon.gateway;
  process.env.COVE_E2E_TOKEN = await daemon.token();
  return () => daemon.remove();
}
