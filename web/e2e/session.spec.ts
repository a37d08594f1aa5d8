import type { Locator, Page } from "@playwright/test";

import { Daemon } from "./daemon";
import { Api, expect, greeter, listen, test } from "./fixtures";
import { look, settle } from "./views";

const password = "correct-horse-battery";

test("one signs in by name and password, and comes back to where a session ended", async ({ page, api }) => {
  await api.call("DELETE", "/users/ada").catch(() => undefined);
  await api.call("POST", "/users", { name: "ada", role: "developer", password });
  await page.goto("/functions?q=x");
  await expect(page.getByRole("heading", { name: "Sign in to Cove" })).toBeVisible();
  await look(page, "login");
  await page.getByLabel("Name").fill("ada");
  await page.getByLabel("Password", { exact: true }).fill("wrong-wrong-wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("alert")).toBeVisible();
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page).toHaveURL(/\/functions\?q=x$/);

  // The session ends behind the page's back; its next request says so.
  await page.goto("/isolations");
  await expect(page.getByRole("heading", { level: 1, name: "Isolations" })).toBeVisible();
  await page.context().clearCookies();
  await page.getByRole("link", { name: "Functions", exact: true }).first().click();
  await expect(page.getByText("Your session has ended")).toBeVisible();
  await expect(page.getByRole("heading", { name: "Sign in to Cove" })).toBeVisible();
  await page.getByLabel("Name").fill("ada");
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page).toHaveURL(/\/functions$/);

  await page.getByRole("button", { name: "Signed in as ada" }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await expect(page.getByRole("heading", { name: "Sign in to Cove" })).toBeVisible();
  await page.goto("/");
  await expect(page.getByRole("heading", { name: "Sign in to Cove" })).toBeVisible();
});

test("what was typed is still there after signing in again over the page, but not for somebody else", async ({ page, api }) => {
  const complaints = listen(page);
  await api.deploy("half-typed", greeter("x"));
  for (const name of ["grace", "eve"]) {
    await api.call("DELETE", `/users/${name}`).catch(() => undefined);
    await api.call("POST", "/users", { name, role: "developer", password });
  }
  const again = page.getByRole("dialog", { name: "Sign in to Cove" });
  const signIn = async (name: string, within: Page | Locator) => {
    await within.getByLabel("Name").fill(name);
    await within.getByLabel("Password", { exact: true }).fill(password);
    await within.getByRole("button", { name: "Sign in" }).click();
  };
  await page.goto("/functions/half-typed/settings?range=6h");
  await signIn("grace", page);
  await page.getByLabel("Memory").fill("192MiB");
  await page.getByRole("button", { name: "Add a variable" }).click();
  await page.getByLabel("Name of the variable").fill("KEY");
  await page.getByRole("button", { name: "KEY is a secret" }).click();
  await page.getByLabel("Value of KEY").fill("half-a-secret");

  // It is the saving itself that is told that the session is over.
  await page.context().clearCookies();
  await page.getByRole("button", { name: "Save" }).click();
  await expect(again.getByText("Your session has ended")).toBeVisible();
  await expect(again.getByLabel("Name")).toHaveValue("grace");
  expect(await page.evaluate(() => JSON.stringify({ ...sessionStorage, ...localStorage }))).not.toContain("half-a-secret");
  await look(page, "login-again");
  await again.getByLabel("Password", { exact: true }).fill("wrong-wrong-wrong");
  await again.getByRole("button", { name: "Sign in" }).click();
  await expect(again.getByRole("alert")).toBeVisible();
  await signIn("grace", again);
  await expect(again).toBeHidden();
  await expect(page.getByLabel("Memory")).toHaveValue("192MiB");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Saved: version 2 serves now")).toBeVisible();

  await page.getByRole("link", { name: "Code", exact: true }).click();
  const editor = page.getByRole("textbox", { name: /^main\.py/ });
  await editor.click();
  await page.keyboard.press("Control+End");
  await page.keyboard.insertText("# grace was here\n");
  await page.context().clearCookies();
  await expect(again).toBeVisible({ timeout: 15_000 });
  await signIn("grace", again);
  await expect(again).toBeHidden();
  await expect(editor).toContainText("# grace was here");
  await expect(page.getByText("1 file changed")).toBeVisible();

  await page.context().clearCookies();
  await expect(again).toBeVisible({ timeout: 15_000 });
  await signIn("eve", again);
  await expect(page).toHaveURL(/\/functions\/half-typed\/code\?range=6h$/);
  await expect(page.getByRole("button", { name: "Signed in as eve" })).toBeVisible();
  await expect(editor).toContainText("statusCode");
  await expect(editor).not.toContainText("grace");
  await expect(page.getByText("Version 2, running")).toBeVisible();
  expect(complaints).toEqual([]);
});

test("who signs in or out on one page does so on the others of the same browser", async ({ page, api, context, baseURL }) => {
  await page.goto(await api.link());
  await expect(page.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible();
  await page.goto("/functions");
  await context.clearCookies();
  const again = page.getByRole("dialog", { name: "Sign in to Cove" });
  await expect(again).toBeVisible({ timeout: 15_000 });
  const other = await context.newPage();
  await other.goto(await api.link());
  await expect(other.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible();
  await page.evaluate(() => window.dispatchEvent(new Event("focus")));
  await expect(again).toBeHidden();
  expect(page.url()).toBe(`${baseURL}/functions`);
  await other.getByRole("button", { name: /^Signed in as/ }).click();
  await other.getByRole("menuitem", { name: "Sign out" }).click();
  await expect(page).toHaveURL(/\/login$/);
  await expect(page.getByRole("heading", { name: "Sign in to Cove" })).toBeVisible();
});

test("who is a user changes their own password, and is signed in no more elsewhere", async ({ page, api, browser, baseURL }) => {
  const complaints = listen(page);
  await api.call("DELETE", "/users/olga").catch(() => undefined);
  await api.call("POST", "/users", { name: "olga", role: "viewer", password });
  const signIn = async (on: Page, secret: string) => {
    await on.goto(`${baseURL}/login`);
    await on.getByLabel("Name").fill("olga");
    await on.getByLabel("Password", { exact: true }).fill(secret);
    await on.getByRole("button", { name: "Sign in" }).click();
    await expect(on.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible();
  };
  const elsewhere = await browser.newPage();
  await signIn(elsewhere, password);
  await signIn(page, password);
  await page.getByRole("button", { name: "Signed in as olga" }).click();
  await page.getByRole("menuitem", { name: "Change password" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("The one that you have").fill("not-the-right-one");
  await dialog.getByLabel("New password").fill("another-horse-battery");
  await dialog.getByLabel("The same again").fill("another-horse-battery");
  await dialog.getByRole("button", { name: "Change password" }).click();
  await expect(dialog.getByText("is not the one you have")).toBeVisible();
  await look(page, "password");
  await dialog.getByLabel("The one that you have").fill(password);
  await dialog.getByRole("button", { name: "Change password" }).click();
  await expect(page.getByText("Your password is changed")).toBeVisible();
  await expect(dialog).toBeHidden();
  await page.goto("/isolations");
  await expect(page.getByRole("heading", { level: 1, name: "Isolations" })).toBeVisible();
  await elsewhere.goto(`${baseURL}/isolations`);
  await expect(elsewhere.getByRole("heading", { name: "Sign in to Cove" })).toBeVisible();
  await signIn(elsewhere, "another-horse-battery");
  await elsewhere.close();
  expect(complaints).toEqual([]);
});

test("a link is also taken where the sign-in page is open already, and one that a token made has no password to change", async ({ page, api }) => {
  await page.goto("/");
  await expect(page).toHaveURL(/\/login$/);
  await page.goto(await api.link());
  await expect(page.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible();
  await page.getByRole("button", { name: /^Signed in as/ }).click();
  await expect(page.getByRole("menuitem", { name: "Sign out" })).toBeVisible();
  await expect(page.getByRole("menuitem", { name: "Change password" })).toHaveCount(0);
});

test("signing in leads to no other site", async ({ page, api, baseURL }) => {
  for (const to of ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"]) {
    await page.context().clearCookies();
    const link = new URL(await api.link());
    await page.goto(`/login?to=${encodeURIComponent(to)}${link.hash}`);
    await expect(page.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible();
    expect(new URL(page.url()).origin).toBe(baseURL);
  }
});

test("a viewer sees everything and may change nothing", async ({ page, api }) => {
  const complaints = listen(page);
  await api.deploy("looked-at", greeter("x"), { env: { KEY: { value: "s3cr3t-value", secret: true } } });
  await api.call("DELETE", "/users/vera").catch(() => undefined);
  await api.call("POST", "/users", { name: "vera", role: "viewer", password });
  await page.goto("/login");
  await page.getByLabel("Name").fill("vera");
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible();

  await page.goto("/functions");
  await expect(page.getByRole("link", { name: "looked-at" })).toBeVisible();
  await expect(page.getByRole("link", { name: "Create function" })).toHaveCount(0);
  await expect(page.getByRole("switch", { name: "looked-at takes requests" })).toBeDisabled();
  await page.goto("/functions/looked-at/code");
  await expect(page.getByRole("textbox", { name: /^main\.py/ })).toContainText("statusCode");
  await expect(page.getByRole("button", { name: "Deploy" })).toHaveCount(0);
  await settle(page);
  await look(page, "viewer-code");
  await page.goto("/functions/looked-at/settings");
  await expect(page.getByLabel("Memory")).toHaveAttribute("readonly", "");
  await expect(page.getByRole("button", { name: "Delete" })).toHaveCount(0);
  await page.goto("/functions/looked-at/versions");
  await expect(page.getByText("Active")).toBeVisible();
  await page.goto("/create");
  await expect(page.getByText("Your role may look at functions but not deploy any")).toBeVisible();
  // And not by going around the page either.
  const status = await page.evaluate(async () => {
    const answer = await fetch("/api/v1/functions/looked-at/code", { method: "PUT", headers: { "Content-Type": "application/json" }, body: '{"files":{"main.py":"x"}}' });
    return answer.status;
  });
  expect(status).toBe(403);
  expect(complaints).toEqual([]);
});

test("a daemon that is restarted while the page is open is said to be gone, and the page recovers by itself", async ({ page }) => {
  test.setTimeout(90_000);
  const daemon = await Daemon.start();
  try {
    const api = new Api(daemon.url, await daemon.token());
    await api.deploy("survivor", greeter("x"));
    await page.goto(await api.link());
    await page.getByRole("link", { name: "Functions", exact: true }).first().click();
    await expect(page.getByRole("link", { name: "survivor" })).toBeVisible();
    await expect(page.getByRole("status").filter({ hasText: "Live" })).toBeVisible();
    await daemon.end();
    await expect(page.getByRole("status").filter({ hasText: "Reconnecting" })).toBeVisible({ timeout: 20_000 });
    await expect(page.getByRole("link", { name: "survivor" })).toBeVisible();
    await look(page, "reconnecting");
    await daemon.run();
    await api.deploy("newcomer", greeter("y"));
    await expect(page.getByRole("status").filter({ hasText: "Live" })).toBeVisible({ timeout: 30_000 });
    await expect(page.getByRole("link", { name: "newcomer" })).toBeVisible({ timeout: 20_000 });
  } finally {
    await daemon.remove();
  }
});
