import { defineConfig } from "@playwright/test";

/**
 * The console in a browser, against the built binary with real sandboxes:
 * `npm run e2e` after `make build images`, as root. COVE_BINARY, COVE_IMAGES,
 * COVE_RUNSC and CHROMIUM say where things are, if they are elsewhere.
 */
export default defineConfig({
  testDir: "e2e",
  outputDir: "test-results",
  globalSetup: "./e2e/setup.ts",
  // One daemon and two processors: side by side they would only hold each other up.
  workers: 1,
  // Also beside other work on the machine: a view is looked at in eight ways.
  timeout: 180_000,
  expect: { timeout: 10_000 },
  reporter: [["list"]],
  use: {
    browserName: "chromium",
    viewport: { width: 1280, height: 800 },
    locale: "en-GB",
    timezoneId: "UTC",
    reducedMotion: "reduce",
    screenshot: "only-on-failure",
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      // Root has no user namespace to sandbox the browser in; the pages are our own.
      args: ["--no-sandbox", "--disable-dev-shm-usage"],
    },
  },
});
