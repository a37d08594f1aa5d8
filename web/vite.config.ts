import react from "@vitejs/plugin-react";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const src = fileURLToPath(new URL("./src", import.meta.url));

export default defineConfig({
  plugins: [react()],
  resolve: { alias: { "@": src } },
  build: {
    // scripts/web.sh moves it to dist when it is whole.
    outDir: ".build",
    target: "es2023",
    modulePreload: { polyfill: false },
    // The console's content security policy allows no data: URL in a style sheet.
    assetsInlineLimit: 0,
    manifest: true,
    chunkSizeWarningLimit: 900,
  },
  server: {
    proxy: { "/api": process.env.COVE_API ?? "http://127.0.0.1:7070" },
  },
  test: {
    restoreMocks: true,
    // A document costs half a second for each file: only tests of pages have one.
    projects: [
      { extends: true, test: { name: "logic", environment: "node", include: ["src/**/*.test.ts"] } },
      { extends: true, test: { name: "pages", environment: "jsdom", include: ["src/**/*.test.tsx"], setupFiles: ["src/testing/setup.ts"] } },
    ],
  },
});
