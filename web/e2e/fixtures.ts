import { test as base, expect, type Page } from "@playwright/test";

/** A caller of the control API with a token, beside the browser. */
export class Api {
  constructor(
    readonly url: string,
    private readonly token: string,
  ) {}

  async call<T = unknown>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await fetch(`${this.url}/api/v1${path}`, {
      method,
      headers: { Authorization: `Bearer ${this.token}`, ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  /** A link that signs in once. */
  async link(): Promise<string> {
    return (await this.call<{ url: string }>("POST", "/session/links")).url;
  }

  /** Deploys a function that answers text, in a new version if it is there already. */
  async deploy(name: string, code: string, more: Record<string, unknown> = {}): Promise<void> {
    await this.remove(name);
    await this.call("POST", "/functions", { name, runtime: "python", route: `/${name}`, ...more, files: { "main.py": code } });
  }

  /** Removes a function, if it is there. */
  async remove(name: string): Promise<void> {
    await this.call("DELETE", `/functions/${name}`).catch(() => undefined);
  }
}

interface Fixtures {
  api: Api;
  gateway: string;
  /** A page on which an admin is signed in, at the overview. It fails the test on any error that the browser tells. */
  admin: Page;
}

export const test = base.extend<Fixtures>({
  baseURL: async ({}, use) => use(needed("COVE_E2E_URL")),
  api: async ({}, use) => use(new Api(needed("COVE_E2E_URL"), needed("COVE_E2E_TOKEN"))),
  gateway: async ({}, use) => use(needed("COVE_E2E_GATEWAY")),
  admin: async ({ page, api }, use) => {
    const complaints = listen(page);
    await page.goto(await api.link());
    await expect(page.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible();
    await use(page);
    expect(complaints, "what the browser complained of").toEqual([]);
  },
});

/** Collects what the browser complains of: errors of scripts, and whatever the policy refused. */
export function listen(page: Page): string[] {
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (message.type() !== "error") return;
    // A refused request is an answer like any other; the page tells of it.
    if (message.text().startsWith("Failed to load resource")) return;
    complaints.push(message.text());
  });
  return complaints;
}

function needed(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: e2e/setup.ts sets it`);
  return value;
}

/** An answer that greets, in Python. */
export const greeter = (greeting: string) => `def handler(event, context):
    return {"statusCode": 200, "headers": {"content-type": "text/plain"}, "body": "${greeting}"}
`;

export { expect };
