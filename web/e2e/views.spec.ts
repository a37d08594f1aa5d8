import { expect, greeter, test } from "./fixtures";
import { look } from "./views";

const failing = `import json, time

def handler(event, context):
    n = int((event or {}).get("n", 0))
    print(json.dumps({"level": "info", "msg": "order taken", "order": n}))
    if n % 4 == 0:
        raise ValueError("order %d has no price" % n)
    time.sleep(0.01 * (n % 5))
    return {"order": n, "state": "paid"}
`;

test("every view is right in light and dark, wide and narrow", async ({ admin, api, gateway }) => {
  test.setTimeout(420_000);
  await api.deploy("checkout", greeter("one"), { description: "Takes the payments of the shop", env: { GREETING: "Hello", API_KEY: { value: "hush", secret: true } } });
  await api.call("PUT", "/functions/checkout/code", { files: { "main.py": failing, "lib/prices.py": "prices = {}\n" } });
  await api.call("PATCH", "/functions/checkout", { memory: "192MiB" });
  await api.deploy("resize-images", greeter("x"), { description: "Makes thumbnails of uploaded pictures, in four sizes and three formats" });
  await api.deploy("paused", greeter("x"), { route: null });
  await api.call("POST", "/functions/paused/disable");
  for (let n = 0; n < 24; n++) await api.call("POST", "/functions/checkout/invoke", { n }).catch(() => undefined);
  for (let n = 0; n < 6; n++) await fetch(`${gateway}/resize-images`);
  await expect.poll(async () => (await api.call<{ items: unknown[] }>("GET", "/invocations?function=checkout")).items.length, { timeout: 15_000 }).toBe(24);
  const { items } = await api.call<{ items: { id: string }[] }>("GET", "/invocations?function=checkout&outcome=function_error");

  const views: [string, string][] = [
    ["overview", "/"],
    ["functions", "/functions"],
    ["create", "/create"],
    ["create-archive", "/create?from=archive"],
    ["function", "/functions/checkout"],
    ["function-test", "/functions/checkout/test"],
    ["function-code", "/functions/checkout/code"],
    ["function-invocations", "/functions/checkout/invocations"],
    ["function-logs", "/functions/checkout/logs"],
    ["function-versions", "/functions/checkout/versions"],
    ["function-settings", "/functions/checkout/settings"],
    ["function-disabled", "/functions/paused/settings"],
    ["function-missing", "/functions/nobody"],
    ["invocations", "/invocations"],
    ["invocation", `/invocations/${items[0]?.id ?? "none"}`],
    ["logs", "/logs"],
    ["isolations", "/isolations"],
    ["settings", "/settings"],
    ["not-found", "/nowhere"],
  ];
  for (const [name, path] of views) {
    await test.step(name, async () => {
      await admin.goto(path);
      await expect(admin.locator("main h1, main h2, main h3").first()).toBeVisible();
      await look(admin, name);
    });
  }
});
