import { defineConfig } from "@hey-api/openapi-ts";

// The client is made from the document that the API's own tests keep up to date.
// It is not committed: `npm run gen` makes it anew.
export default defineConfig({
  input: "../docs/openapi.yaml",
  output: { path: "src/api/gen" },
  logs: { level: "warn" },
  plugins: [
    { name: "@hey-api/client-fetch", baseUrl: false },
    "@hey-api/typescript",
    "@hey-api/sdk",
    "@tanstack/react-query",
  ],
});
