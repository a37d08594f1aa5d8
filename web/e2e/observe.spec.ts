import { execFile } from "node:child_process";
import { access, copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

import { Daemon } from "./daemon";
import { Api, expect, listen, test } from "./fixtures";
import { look } from "./views";

const flaky = `import sys

def handler(event, context):
    print("order", event["n"])
    if event["n"] == 3:
        print("no price for order 3", file=sys.stderr)
        raise KeyError("price of order 3")
    return {"order": event["n"]}
`;

test("a failing function is found from the overview down to its log line", async ({ admin, api }) => {
  await api.deploy("prices", flaky);
  for (const n of [1, 2, 3]) await api.call("POST", "/functions/prices/invoke", { n });

  await admin.goto("/");
  const failing = admin.getByRole("region", { name: "Most failing functions" });
  await expect(failing.getByRole("link", { name: /^prices/ })).toBeVisible();
  const failures = admin.getByRole("region", { name: "Recent failures" });
  await expect(failures.getByRole("row", { name: /prices.*KeyError/ }).first()).toBeVisible();
  await failures.getByRole("row", { name: /prices.*KeyError/ }).first().getByRole("link").first().click();

  await expect(admin.getByRole("heading", { level: 1 })).toHaveText("prices: handler error");
  await expect(admin.getByRole("region", { name: "Error" })).toContainText("price of order 3");
  await expect(admin.getByRole("table", { name: "Phases of the invocation" })).toContainText("Run");
  const log = admin.getByRole("region", { name: "Log", exact: true });
  await expect(log).toContainText("no price for order 3");
  await expect(log).not.toContainText("order 2");

  await admin.getByRole("link", { name: "In the function's log" }).click();
  await expect(admin).toHaveURL(/\/functions\/prices\/logs\?request_id=/);
  const lines = admin.getByRole("region", { name: "Lines of the log" });
  await expect(lines).toContainText("no price for order 3");
  await admin.getByRole("button", { name: "Show all invocations" }).click();
  await expect(lines).toContainText("order 2");
});

test("a log is followed, paused and searched, and its URL is a link to that", async ({ admin, api }) => {
  await api.deploy("chatty", `import json

def handler(event, context):
    print(json.dumps({"level": "error" if event["n"] % 2 else "info", "n": event["n"]}))
`);
  await api.call("POST", "/functions/chatty/invoke", { n: 100 });
  await admin.goto("/functions/chatty/logs");
  const lines = admin.getByRole("region", { name: "Lines of the log" });
  await expect(lines).toContainText('"n": 100');
  await expect(admin.getByText("Following")).toBeVisible();
  await api.call("POST", "/functions/chatty/invoke", { n: 101 });
  await expect(lines).toContainText('"n": 101');

  await admin.getByRole("button", { name: "Pause" }).click();
  await api.call("POST", "/functions/chatty/invoke", { n: 103 });
  await expect(admin.getByRole("button", { name: /Go on \(\d+ new\)/ })).toBeVisible();
  await expect(lines).not.toContainText('"n": 103');
  await admin.getByRole("button", { name: /Go on/ }).click();
  await expect(lines).toContainText('"n": 103');

  await admin.getByRole("combobox", { name: "Level" }).click();
  await admin.getByRole("option", { name: "error" }).click();
  await expect(lines).not.toContainText('"n": 100');
  await admin.getByLabel("Search in the log").fill("103");
  await expect(admin).toHaveURL(/q=.*103/);
  await expect(lines).not.toContainText('"n": 101');
  await admin.reload();
  await expect(lines).toContainText('"n": 103');
  await expect(lines).not.toContainText('"n": 101');
});

test("charts are zoomed by dragging, told as tables and by keys, and compared", async ({ admin, api }) => {
  test.setTimeout(150_000);
  await api.deploy("charted", "def handler(event, context):\n    return event\n");
  for (let n = 0; n < 5; n++) await api.call("POST", "/functions/charted/invoke", { n });
  await admin.goto("/functions/charted");
  const card = admin.getByRole("region", { name: "Invocations", exact: true });
  const chart = card.getByRole("group", { name: "Invocations" });
  await expect(card.getByRole("button", { name: "OK 5" })).toBeVisible({ timeout: 20_000 });

  await chart.focus();
  await admin.keyboard.press("End");
  await expect(chart).toContainText(/Errors 0, OK \d/);
  await card.getByRole("button", { name: "Show Invocations as a table" }).click();
  await expect(card.getByRole("columnheader", { name: "Errors" })).toBeVisible();
  await card.getByRole("button", { name: "Show Invocations as a chart" }).click();
  await look(admin, "function-charts");

  const box = await chart.boundingBox();
  if (!box) throw new Error("the chart is not there");
  await admin.mouse.move(box.x + box.width * 0.5, box.y + 60);
  await admin.mouse.down();
  await admin.mouse.move(box.x + box.width * 0.9, box.y + 60, { steps: 4 });
  await admin.mouse.up();
  await expect(admin).toHaveURL(/from=.*to=/);
  await admin.goBack();
  await expect(admin).not.toHaveURL(/from=/);

  await admin.getByRole("combobox", { name: "Compare" }).click();
  await admin.getByRole("option", { name: "With the time before" }).click();
  await expect(admin).toHaveURL(/compare=previous/);
  await expect(admin.getByRole("region", { name: "Figures" }).getByRole("row", { name: /^Invocations 5 0/ })).toBeVisible();
  await look(admin, "function-compare");
});

test("an answer is text, whatever a function answers", async ({ admin, api }) => {
  test.setTimeout(120_000);
  await api.deploy("evil", `def handler(event, context):
    print("<img src=x onerror=alert(1)>")
    body = "<h1>hi</h1><script>window.stolen = true</script>"
    return {"statusCode": 418, "headers": {"content-type": "text/html", "x-answer": "<b>"}, "body": body}
`, { route: "/evil/{name}" });
  await admin.goto("/functions/evil/test?mode=http");
  await expect(admin.getByLabel("Path, with the query")).toHaveValue("/evil/name");
  await admin.getByRole("button", { name: "Send" }).click();
  const answer = admin.getByRole("region", { name: "Answer" });
  await expect(answer.getByLabel("Body as text")).toHaveText("<h1>hi</h1><script>window.stolen = true</script>");
  await expect(answer).toContainText("418");
  await answer.getByRole("tab", { name: "Headers" }).click();
  await expect(answer.getByRole("row", { name: /x-answer/i })).toContainText("<b>");
  await answer.getByRole("tab", { name: /^Log/ }).click();
  await expect(answer).toContainText("<img src=x onerror=alert(1)>");
  expect(await answer.locator("img, script, h1, iframe").count()).toBe(0);
  expect(await admin.evaluate(() => "stolen" in window)).toBe(false);
  await look(admin, "function-answer");
});

test("an event is saved, chosen again and sent as it was written", async ({ admin, api }) => {
  await api.deploy("echo", "def handler(event, context):\n    return event\n");
  await admin.goto("/functions/echo/test");
  const editor = admin.getByRole("textbox", { name: "Event, as JSON" });
  const write = async (text: string) => {
    await editor.click();
    await admin.keyboard.press("Control+a");
    await admin.keyboard.press("Delete");
    await admin.keyboard.insertText(text);
  };
  await write('{"n": 12345678901234567890');
  await expect(admin.getByText("This is no JSON")).toBeVisible();
  await expect(admin.getByRole("button", { name: "Call" })).toBeDisabled();
  await write('{"n": 12345678901234567890}');
  await admin.getByRole("button", { name: "Call" }).click();
  // A number that no JavaScript number can hold arrives as it is.
  await expect(admin.getByLabel("Answer as text")).toContainText("12345678901234567890");
  await admin.getByRole("button", { name: "Save this event" }).click();
  await admin.getByRole("dialog").getByLabel("Name").fill("many digits");
  await admin.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await expect(admin).toHaveURL(/event=many/);
  await expect(editor).toContainText("12345678901234567890");
  await admin.reload();
  await expect(editor).toContainText("12345678901234567890");
  // The editor itself would take these keys for a new line.
  await editor.click();
  const before = await editor.innerText();
  await admin.keyboard.press("Control+Enter");
  await expect(admin.getByLabel("Answer as text")).toContainText("12345678901234567890");
  expect(await editor.innerText()).toBe(before);
  await admin.getByRole("button", { name: "Delete the saved event" }).click();
  await expect(admin).not.toHaveURL(/event=/);
});

test("a token is shown once, and refused from when it is revoked", async ({ admin, baseURL }) => {
  test.setTimeout(180_000);
  await admin.goto("/settings");
  await admin.getByRole("button", { name: "New token" }).click();
  const dialog = admin.getByRole("dialog");
  await dialog.getByLabel("Name").fill("ci of the shop");
  await dialog.getByRole("radio", { name: "Viewer" }).check();
  await dialog.getByRole("button", { name: "Make token" }).click();
  const secret = await dialog.getByTestId("secret").innerText();
  await dialog.getByRole("button", { name: "Done" }).click();
  await expect(admin.getByText(secret)).toHaveCount(0);

  const call = () => fetch(`${baseURL}/api/v1/functions`, { headers: { Authorization: `Bearer ${secret}` } });
  expect((await call()).status).toBe(200);
  const row = admin.getByRole("row", { name: /ci of the shop/ });
  await expect(row).toContainText("Viewer");
  await row.getByRole("button", { name: "Revoke ci of the shop" }).click();
  await admin.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await expect(row).toHaveCount(0);
  expect((await call()).status).toBe(401);

  await admin.goto("/settings?tab=audit&action=deleteToken");
  await expect(admin.getByRole("row", { name: /deleteToken/ }).first()).toBeVisible();
  for (const tab of ["tokens", "users", "audit", "retention", "prices"]) {
    await admin.goto(`/settings?tab=${tab}`);
    await look(admin, `settings-${tab}`);
  }
});

test("200 functions and a million records are as quick to look at as few", async ({ page }) => {
  test.setTimeout(300_000);
  const daemon = await Daemon.start();
  try {
    const api = new Api(daemon.url, await daemon.token());
    for (let i = 0; i < 200; i++) await api.call("POST", "/functions", { name: `f-${String(i).padStart(3, "0")}`, runtime: "python" });
    await daemon.end();
    await fill(`${daemon.data}/records.db`, 1_000_000);
    await compared(daemon.data);
    await daemon.run();

    const complaints = listen(page);
    await page.goto(await api.link());
    await expect(page.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible();
    const failures = page.getByRole("region", { name: "Recent failures" });
    await expect(failures.getByRole("row", { name: /f-\d+/ }).first()).toBeVisible();
    let begun = performance.now();
    await page.goto(`${daemon.url}/?range=24h`);
    // What was drawn is what was written, to the last one.
    const card = page.getByRole("region", { name: "Invocations", exact: true });
    await expect(card.getByRole("button", { name: "OK 991,000" })).toBeVisible();
    expect(performance.now() - begun, "the overview of a day, in ms").toBeLessThan(3_000);
    await look(page, "overview-many");
    await page.goto(`${daemon.url}/functions?sort=calls`);
    await expect(page.getByRole("link", { name: "f-000" })).toBeVisible();
    await look(page, "functions-many");

    begun = performance.now();
    await page.goto(`${daemon.url}/functions/f-017?range=24h`);
    await expect(page.getByRole("region", { name: "Errors by kind" }).getByRole("button", { name: /^Timeout/ })).toBeVisible();
    expect(performance.now() - begun, "the charts of a function, in ms").toBeLessThan(3_000);
    await look(page, "function-many");
    // The time goes along from one of its pages to the other, also by way of those that have none.
    await page.getByRole("link", { name: "Code", exact: true }).click();
    await page.getByRole("link", { name: "Logs", exact: true }).last().click();
    await expect(page.getByRole("button", { name: "Time range: Last 24 hours" })).toBeVisible();
    await page.getByRole("link", { name: "Invocations", exact: true }).last().click();
    await expect(page).toHaveURL(/\/functions\/f-017\/invocations\?range=24h$/);

    await page.goto(`${daemon.url}/invocations?range=30d`);
    await expect(page.getByRole("row", { name: /f-\d+/ })).toHaveCount(50);
    for (let i = 0; i < 3; i++) {
      const first = await page.getByRole("row", { name: /f-\d+/ }).first().innerText();
      begun = performance.now();
      await page.getByRole("button", { name: "Older" }).click();
      await expect(page.getByRole("row", { name: /f-\d+/ }).first()).not.toHaveText(first);
      expect(performance.now() - begun, "a page of older invocations, in ms").toBeLessThan(3_000);
    }
    await page.goto(`${daemon.url}/invocations?range=30d`);
    const least = page.getByLabel("At least this many milliseconds");
    await least.fill("9000");
    await expect(page).toHaveURL(/min_ms=9000/);
    await page.getByRole("combobox", { name: "Function" }).fill("199");
    await page.getByRole("option", { name: "f-199" }).click();
    await expect(page).toHaveURL(/function=f-199/);
    await page.getByRole("link", { name: "Invocations", exact: true }).first().click();
    await expect(least).toHaveValue("");
    await page.goBack();
    await expect(least).toHaveValue("9000");
    await expect(page.getByRole("combobox", { name: "Function" })).toHaveValue("f-199");
    await page.goto(`${daemon.url}/invocations?range=30d&outcome=timeout&function=f-017`);
    await expect(page.getByRole("row", { name: /f-017/ }).first()).toBeVisible();
    await look(page, "invocations-many");

    await page.goto(`${daemon.url}/isolations`);
    await expect(page.getByRole("table", { name: "Warm call" })).toBeVisible();
    const rate = page.getByLabel("Calls per second");
    await rate.fill("25");
    await expect(page).toHaveURL(/rate=25/);
    await page.getByRole("link", { name: "Isolations", exact: true }).click();
    await expect(rate).toHaveValue("1");
    await page.goBack();
    await expect(rate).toHaveValue("25");
    await look(page, "isolations-compared");
    expect(complaints).toEqual([]);
  } finally {
    await daemon.remove();
  }
});

test("a comparison is started, tells how far it is, and is cancelled", async ({ admin }) => {
  await admin.goto("/isolations");
  await admin.getByRole("button", { name: "Compare them" }).click();
  const dialog = admin.getByRole("dialog");
  await expect(dialog.getByRole("radio", { name: /^Quick/ })).toBeChecked();
  for (const box of (await dialog.getByRole("checkbox").all()).slice(1)) await box.uncheck();
  await look(admin, "isolations-start");
  await dialog.getByRole("button", { name: "Start" }).click();
  await expect(dialog).toBeHidden();
  const progress = admin.getByRole("progressbar", { name: "Progress of the comparison" });
  await expect(progress).toBeVisible();
  await expect(admin.getByRole("button", { name: "A comparison runs" })).toBeDisabled();
  await expect.poll(async () => Number(await progress.getAttribute("aria-valuenow")), { timeout: 60_000 }).toBeGreaterThan(2);
  await expect(admin.getByText(/^Now: /)).toBeVisible();
  await look(admin, "isolations-running");
  await admin.getByRole("button", { name: "Cancel" }).click();
  await expect(admin.getByText("The last comparison was cancelled")).toBeVisible({ timeout: 60_000 });
  await expect(progress).toBeHidden();
  await expect(admin.getByRole("button", { name: "Compare them" })).toBeEnabled();
  await admin.getByRole("button", { name: "Remove it from the list" }).click();
  await expect(admin.getByText("They were not compared yet")).toBeVisible();
});

/**
 * Writes records of the last day into the store of a daemon that is not running: a
 * wave of calls, a tenth of the functions with most of them, some that fail. What
 * the charts show is counted from them. The first half hour is left out, so that
 * none has left "the last 24 hours" by the time they are looked at.
 */
async function fill(path: string, count: number): Promise<void> {
  const { DatabaseSync } = await import("node:sqlite");
  const db = new DatabaseSync(path);
  db.exec("PRAGMA synchronous = OFF; BEGIN");
  db.exec("INSERT OR IGNORE INTO names (name) WITH RECURSIVE i(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM i WHERE n < 199) SELECT printf('f-%03d', n) FROM i");
  // k is its number, x how far into the day it is, r anything from 0 to 1. Times are in microseconds.
  db.prepare(`INSERT INTO invocations
    WITH RECURSIVE
      i(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM i WHERE k < ?1 - 1),
      a AS (SELECT k, k * 1.0 / ?1 AS x, (k * 7919 % 10007) / 10007.0 AS r FROM i),
      b AS (SELECT *, CAST(?2 + 84.599e9 * (x + 0.1 * sin(x * 6.2831853)) AS INTEGER) AS n,
        IIF(k % 3 = 0, CAST(10 * r * r AS INTEGER), (CAST(40 * r * r AS INTEGER) + 13 * CAST(x * 96 AS INTEGER)) % 200) AS f,
        IIF(k % 997 = 0, 'cold', IIF(k % 40 = 0, 'stem', 'warm')) AS start FROM a),
      c AS (SELECT *, IIF(k % 1000 < 9, IIF(f % 50 = 17, 'timeout', 'function_error'), 'ok') AS outcome,
        IIF(start = 'cold', 140000000, IIF(start = 'stem', 7000000, 0)) AS making, IIF(start = 'warm', 0, 3000000) AS init FROM b),
      d AS (SELECT *, IIF(outcome = 'timeout', 10000000000, 900000 + f % 7 * 800000 + CAST(40000000 * r * r * r * r * r * r AS INTEGER)) AS run FROM c)
    SELECT n, printf('seed%022d', k), (SELECT id FROM names WHERE name = printf('f-%03d', f)), 1, 'gvisor', 'i', 'http',
      n * 1000 - run - making - init, start, outcome, IIF(outcome = 'ok', '', 'function'), IIF(outcome = 'ok', 200, IIF(outcome = 'timeout', 504, 500)),
      IIF(outcome = 'ok', '', IIF(outcome = 'timeout', 'the function did not answer within 10s', 'KeyError: price')), IIF(outcome = 'function_error', 'KeyError', ''),
      'GET', '/x', '', 1000, making, init, run, run + making + init + 100000, run + init, 10, 20, run / 3, 20000000 + f * 100000
    FROM d`).run(count, (Date.now() - 84_600_000) * 1000);
  db.exec("COMMIT");
  db.close();
  const helper = join(import.meta.dirname, "../../.cache/rollups");
  await access(helper).catch(() => {
    throw new Error(`${helper} is missing: run scripts/console.sh, which builds it`);
  });
  await promisify(execFile)(helper, [path]);
}

/** Gives a daemon that is not running a comparison that was measured before. */
async function compared(data: string): Promise<void> {
  const run = join(data, "bench/20261123-072532");
  await mkdir(run, { recursive: true });
  await copyFile(join(import.meta.dirname, "comparison.json"), join(run, "report.json"));
  await writeFile(join(run, "run.json"), JSON.stringify({ state: "done", quick: false, progress: 1, started: "2026-11-23T07:25:32Z", ended: "2026-11-23T07:26:45Z" }));
}
