import { zipSync, strToU8 } from "fflate";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import type { Locator, Page } from "@playwright/test";

import { expect, greeter, test, type Api } from "./fixtures";
import { look, settle } from "./views";

test("code is edited, looked at as a diff, deployed, and rolled back", async ({ admin, api, gateway }) => {
  await api.deploy("edit-me", greeter("first"));
  await admin.goto("/functions/edit-me/code");
  const editor = admin.getByRole("textbox", { name: /^main\.py/ });
  await expect(editor).toContainText("first");
  const deploy = admin.getByRole("button", { name: "Deploy", exact: true });
  await expect(deploy).toBeDisabled();

  await editor.click();
  await admin.keyboard.press("Control+a");
  await admin.keyboard.press("Delete");
  await admin.keyboard.insertText(greeter("second"));
  await expect(admin.getByText("1 file changed")).toBeVisible();

  await admin.getByRole("button", { name: "Add a file" }).click();
  await admin.getByLabel("Name of the new file").fill("main.py");
  await expect(admin.getByText("There is a file of that name")).toBeVisible();
  await admin.getByLabel("Name of the new file").fill("lib/helper.py");
  await admin.keyboard.press("Enter");
  await expect(admin.getByText("2 files changed")).toBeVisible();

  await admin.keyboard.press("Control+s");
  const dialog = admin.getByRole("dialog");
  await expect(dialog.getByText("lib/helper.py")).toBeVisible();
  await expect(dialog.getByText('"first"')).toBeVisible();
  await expect(dialog.getByText('"second"')).toBeVisible();
  await settle(admin);
  await look(admin, "deploy-diff");
  await dialog.getByRole("button", { name: "Deploy" }).click();
  await expect(admin.getByText("Version 2 serves now")).toBeVisible({ timeout: 30_000 });
  await expect(dialog).toBeHidden();
  await expect(deploy).toBeDisabled();
  expect(await (await fetch(`${gateway}/edit-me`)).text()).toBe("second");

  await admin.getByRole("link", { name: "Versions" }).click();
  await admin.getByRole("button", { name: "Roll back to version 1" }).click();
  await expect(admin.getByText("Version 1 serves now")).toBeVisible();
  expect(await (await fetch(`${gateway}/edit-me`)).text()).toBe("first");
  await admin.getByRole("button", { name: "Undo" }).last().click();
  await expect(admin.getByText("Version 2 serves again")).toBeVisible();
  expect(await (await fetch(`${gateway}/edit-me`)).text()).toBe("second");
});

test("code that does not load is not deployed, and what was typed is still there", async ({ admin, api, gateway }) => {
  await api.deploy("keep-me", greeter("good"));
  await admin.goto("/functions/keep-me/code");
  const editor = admin.getByRole("textbox", { name: /^main\.py/ });
  await editor.click();
  await admin.keyboard.press("Control+a");
  await admin.keyboard.press("Delete");
  await admin.keyboard.insertText("import a_module_that_is_missing\n");
  await admin.keyboard.press("Control+s");
  await admin.getByRole("dialog").getByRole("button", { name: "Deploy" }).click();
  await expect(admin.getByRole("dialog").getByRole("alert")).toContainText("a_module_that_is_missing", { timeout: 30_000 });
  expect(await (await fetch(`${gateway}/keep-me`)).text()).toBe("good");
  await admin.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();

  // Leaving asks first; a reload has it again.
  await admin.getByRole("link", { name: "Versions" }).click();
  await expect(admin.getByText("Leave without deploying?")).toBeVisible();
  await admin.getByRole("button", { name: "Stay" }).click();
  admin.once("dialog", (dialog) => void dialog.accept());
  await admin.reload();
  await expect(admin.getByText("1 file changed")).toBeVisible();
  await expect(admin.getByRole("textbox", { name: /^main\.py/ })).toContainText("a_module_that_is_missing");
  await admin.getByRole("button", { name: "Discard" }).click();
  await expect(admin.getByRole("textbox", { name: /^main\.py/ })).toContainText("good");
});

test("a version that somebody else deployed meanwhile is not overwritten unseen", async ({ admin, api }) => {
  await api.deploy("shared", greeter("mine"));
  await admin.goto("/functions/shared/code");
  const editor = admin.getByRole("textbox", { name: /^main\.py/ });
  await editor.click();
  await admin.keyboard.press("Control+End");
  await admin.keyboard.insertText("# me\n");
  await api.call("PUT", "/functions/shared/code", { files: { "main.py": greeter("theirs") } });
  await admin.keyboard.press("Control+s");
  const dialog = admin.getByRole("dialog");
  await expect(dialog.getByText("Version 2 was deployed meanwhile")).toBeVisible({ timeout: 15_000 });
  await expect(dialog.getByText('"theirs"')).toBeVisible();
});

test("settings are checked as one types, and a secret is written but never shown", async ({ admin, api }) => {
  await api.deploy("settings", greeter("x"), { env: { PLAIN: "seen", KEY: { value: "s3cr3t-value", secret: true } } });
  await admin.goto("/functions/settings/settings");
  await admin.getByLabel("Memory").fill("1MiB");
  await expect(admin.getByText("From 32 MiB to 64 GiB")).toBeVisible();
  await expect(admin.getByRole("button", { name: "Save" })).toBeDisabled();
  await look(admin, "settings-wrong");
  await admin.getByLabel("Memory").fill("256MiB");
  await admin.getByRole("button", { name: "Add a variable" }).click();
  await admin.getByLabel("Name of the variable").last().fill("ANOTHER");
  await admin.getByRole("button", { name: "ANOTHER is a secret" }).click();
  await admin.getByLabel("Value of ANOTHER").fill("hush");
  await expect(admin.getByText("2 changes")).toBeVisible();
  await admin.getByRole("button", { name: "Save" }).click();
  await expect(admin.getByText("Saved: version 2 serves now")).toBeVisible();
  const fn = await api.call<{ version: { config: { memory: string; env: Record<string, unknown> } } }>("GET", "/functions/settings");
  expect(fn.version.config.memory).toBe("256MiB");
  expect(Object.keys(fn.version.config.env).sort()).toEqual(["ANOTHER", "KEY", "PLAIN"]);
  const page = await admin.content();
  expect(page).not.toContain("s3cr3t-value");
  expect(page).not.toContain("hush");
});

test("browsers of other origins are let in with the methods and headers that the settings name", async ({ admin, api, gateway }) => {
  await api.deploy("open", greeter("x"));
  await admin.goto("/functions/open/settings");
  const add = async (label: string, text: string) => {
    await admin.getByRole("combobox", { name: label }).fill(text);
    await admin.keyboard.press("Enter");
  };
  await add("Browsers of other origins (CORS)", "https://app.example.com");
  await add("Headers they may send", "X A");
  await expect(admin.getByText("X A is no name of a header")).toBeVisible();
  await admin.getByRole("combobox", { name: "Headers they may send" }).press("Backspace");
  await add("Headers they may send", "X-Sent");
  await add("Headers they may read", "X-Read");
  await admin.getByLabel("Preflights are kept for").fill("10m");
  await expect(admin.getByText("4 changes")).toBeVisible();
  await look(admin, "settings-cors");
  await admin.getByRole("button", { name: "Save" }).click();
  await expect(admin.getByText("Saved: version 2 serves now")).toBeVisible();
  const asked = await fetch(`${gateway}/open`, { method: "OPTIONS", headers: { Origin: "https://app.example.com", "Access-Control-Request-Method": "PUT" } });
  expect([asked.headers.get("access-control-allow-headers"), asked.headers.get("access-control-max-age")]).toEqual(["X-Sent", "600"]);
  const answer = await fetch(`${gateway}/open`, { headers: { Origin: "https://app.example.com" } });
  expect(answer.headers.get("access-control-expose-headers")).toContain("X-Read");
});

/** A folder with the code of a function, and what does not belong into its package. */
async function makeFolder(name: string): Promise<string> {
  const folder = join(await mkdtemp(join(tmpdir(), "cove-folder-")), name);
  await mkdir(join(folder, "lib/deep"), { recursive: true });
  await mkdir(join(folder, "__pycache__"));
  await writeFile(join(folder, "main.py"), "from lib.words import words\n\ndef handler(event, context):\n    return {'statusCode': 200, 'body': words}\n");
  await writeFile(join(folder, "lib/words.py"), "words = open('lib/deep/words.txt').read()\n");
  await writeFile(join(folder, "lib/deep/words.txt"), "of a folder");
  await writeFile(join(folder, "cove.yaml"), `name: ${name}\nruntime: python\nroute: /${name}\nmemory: 96MiB\n`);
  await writeFile(join(folder, ".env"), "SECRET=1\n");
  await writeFile(join(folder, ".coveignore"), "*.md\n");
  await writeFile(join(folder, "NOTES.md"), "not for the package\n");
  await writeFile(join(folder, "__pycache__/main.pyc"), "x");
  return folder;
}

/** Drops a file or folder of this machine on an element, as a hand does with the mouse. */
async function drop(page: Page, path: string, on: Locator): Promise<void> {
  const box = await on.boundingBox();
  if (!box) throw new Error("there is nothing to drop on");
  const at = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  const client = await page.context().newCDPSession(page);
  const data = { items: [], files: [path], dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver"] as const) await client.send("Input.dispatchDragEvent", { type, ...at, data });
  await client.send("Input.dispatchDragEvent", { type: "drop", ...at, data });
  await client.detach();
}

interface Made {
  version: { config: { memory: string }; package: { files: number } };
}

/** What the page says and does of a folder made by makeFolder, whichever way it came. */
async function deployFolder(page: Page, api: Api, gateway: string, name: string): Promise<void> {
  const files = page.getByRole("list", { name: "Files" });
  await expect(files.getByRole("listitem")).toHaveText(["lib/deep/words.txt", "lib/words.py", "main.py"]);
  await expect(page.getByText(/3 files, .*; 3 left out, such as/)).toBeVisible();
  await expect(page.getByLabel("Name", { exact: true })).toHaveValue(name);
  await page.getByRole("button", { name: "Deploy" }).click();
  await expect(page).toHaveURL(new RegExp(`/functions/${name}/test$`));
  expect(await (await fetch(`${gateway}/${name}`)).text()).toBe("of a folder");
  const fn = await api.call<Made>("GET", `/functions/${name}`);
  expect([fn.version.config.memory, fn.version.package.files]).toEqual(["96MiB", 3]);
}

test("a function is made from a folder, chosen or dropped", async ({ admin, api, gateway }) => {
  for (const name of ["from-folder", "dropped-folder"]) await api.remove(name);
  const [chosen, dropped] = [await makeFolder("from-folder"), await makeFolder("dropped-folder")];
  try {
    await admin.goto("/create?from=folder");
    await look(admin, "create-folder");
    await admin.getByTestId("folder-input").setInputFiles(chosen);
    await deployFolder(admin, api, gateway, "from-folder");

    await admin.goto("/create?from=folder");
    await drop(admin, dropped, admin.getByText("Drop a folder here"));
    await expect(admin.getByText("dropped-folder", { exact: true })).toBeVisible();
    await look(admin, "create-dropped");
    await deployFolder(admin, api, gateway, "dropped-folder");
  } finally {
    for (const folder of [chosen, dropped]) await rm(dirname(folder), { recursive: true, force: true });
  }
});

test("a function is made from an archive, chosen or dropped", async ({ admin, api, gateway }) => {
  for (const name of ["from-archive", "dropped-archive"]) await api.remove(name);
  const zip = Buffer.from(zipSync({ "main.py": strToU8(greeter("of an archive")) }));
  const folder = await mkdtemp(join(tmpdir(), "cove-archive-"));
  const deploy = async (name: string) => {
    await admin.getByRole("combobox", { name: "Runtime" }).click();
    await admin.getByRole("option", { name: /^python/ }).first().click();
    await expect(admin.getByLabel("Route", { exact: true })).toHaveValue(`/${name}`);
    await admin.getByRole("button", { name: "Deploy" }).click();
    await expect(admin).toHaveURL(new RegExp(`/functions/${name}/test$`));
    expect(await (await fetch(`${gateway}/${name}`)).text()).toBe("of an archive");
  };
  try {
    await admin.goto("/create?from=archive");
    await admin.getByTestId("archive-input").setInputFiles({ name: "no.zip", mimeType: "application/zip", buffer: Buffer.from("hello") });
    await expect(admin.getByRole("alert")).toContainText("neither a zip nor a tar.gz");
    await admin.getByTestId("archive-input").setInputFiles({ name: "from-archive.zip", mimeType: "application/zip", buffer: zip });
    await deploy("from-archive");

    await writeFile(join(folder, "dropped-archive.zip"), zip);
    await admin.goto("/create?from=archive");
    await drop(admin, join(folder, "dropped-archive.zip"), admin.getByText("Drop a zip or tar.gz here"));
    await expect(admin.getByText("dropped-archive.zip")).toBeVisible();
    await deploy("dropped-archive");

    // What it is decides, and not where it falls: the browser opens nothing.
    await admin.goto("/create");
    await drop(admin, join(folder, "dropped-archive.zip"), admin.getByRole("heading", { level: 1 }));
    await expect(admin.getByText("dropped-archive.zip")).toBeVisible();
    await drop(admin, folder, admin.getByText("dropped-archive.zip"));
    await expect(admin).toHaveURL(/from=folder$/);
    await expect(admin.getByRole("list", { name: "Files" }).getByRole("listitem")).toHaveText(["dropped-archive.zip"]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test("the table is searched, filtered and sorted, and its URL is a link to that", async ({ admin, api }) => {
  for (const name of ["alpha", "beta", "gamma"]) await api.deploy(name, greeter(name), { description: `The one called ${name}` });
  for (let i = 0; i < 3; i++) await api.call("POST", "/functions/beta/invoke", {});
  await api.call("POST", "/functions/gamma/disable");
  // What was called is written down in a moment; the table asks for it every 15 seconds.
  const calls = async () => (await api.call<{ groups: { total: { invocations: number } }[] }>("GET", "/metrics/query?function=beta&from=-24h")).groups[0]?.total.invocations;
  await expect.poll(calls).toBe(3);
  await admin.goto("/functions?q=the%20one");
  const names = admin.locator("tbody tr td:first-child a");
  await expect(names).toHaveText(["alpha", "beta", "gamma"]);
  await expect(admin.getByRole("row", { name: /beta/ }).getByRole("img", { name: "3 calls in the last 24 hours" })).toBeVisible();
  await admin.getByRole("button", { name: "Last 24 hours" }).click();
  await expect(names).toHaveText(["beta", "alpha", "gamma"]);
  await admin.getByRole("combobox", { name: "State" }).click();
  await admin.getByRole("option", { name: "Disabled" }).click();
  await expect(names).toHaveText(["gamma"]);
  expect(new URL(admin.url()).search).toContain("state=disabled");
  await admin.reload();
  await expect(names).toHaveText(["gamma"]);
  await admin.getByRole("switch", { name: "gamma takes requests" }).click({ force: true });
  await expect(admin.getByText("gamma takes requests again")).toBeVisible();
  await admin.getByLabel("Search functions").fill("nothing like it");
  await expect(admin.getByText("No function is like that")).toBeVisible();
});

test("deleting says what it breaks and wants the name", async ({ admin, api }) => {
  await api.deploy("doomed", greeter("x"));
  await api.call("POST", "/functions/doomed/invoke", {});
  await admin.goto("/functions/doomed/settings");
  await admin.getByRole("button", { name: "Delete", exact: true }).click();
  const dialog = admin.getByRole("dialog");
  await expect(dialog.getByText(/\/doomed/).first()).toBeVisible();
  await settle(admin);
  await look(admin, "delete");
  const button = dialog.getByRole("button", { name: "Delete doomed" });
  await expect(button).toBeDisabled();
  await dialog.getByLabel(/Type doomed/).fill("doomed");
  await button.click();
  await expect(admin).toHaveURL(/\/functions$/);
  await expect(admin.getByText("doomed is deleted")).toBeVisible();
  await admin.goto("/functions/doomed");
  await expect(admin.getByText("There is no function doomed")).toBeVisible();
});

test("everything is reached by the keyboard", async ({ admin, api }) => {
  await api.deploy("keys", greeter("x"));
  await admin.goto("/functions");
  await settle(admin);
  await admin.keyboard.press("Tab");
  await expect(admin.getByRole("link", { name: "Skip to the page" })).toBeFocused();
  await admin.keyboard.press("Enter");
  await expect(admin.locator("#main")).toBeFocused();
  await admin.getByRole("link", { name: "keys" }).focus();
  await admin.keyboard.press("Enter");
  await expect(admin).toHaveURL(/\/functions\/keys$/);
  await admin.goto("/functions/keys/code");
  await admin.getByRole("textbox", { name: /^main\.py/ }).focus();
  await admin.keyboard.press("Escape");
  await admin.keyboard.press("Tab");
  await expect(admin.getByRole("textbox", { name: /^main\.py/ })).not.toBeFocused();
});
