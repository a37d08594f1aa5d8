import { describe, expect, it } from "vitest";

import type { Config } from "@/api/gen";

import { checkForm, countChanges, fieldOf, formOf, patchOf, wrongName, wrongRoute, type Form } from "./config";

const config: Config = {
  name: "hello",
  runtime: "python3.13",
  handler: "main.handler",
  route: "/hello/{name}",
  methods: ["GET"],
  isolation: "gvisor",
  network: "none",
  auth: "public",
  memory: "128MiB",
  cpu: 1,
  tmp: "64MiB",
  max_body: "6MiB",
  timeout: "10s",
  init_timeout: "10s",
  queue_timeout: "10s",
  env: { GREETING: "Hello", KEY: { secret: true } },
  scaling: { max: 20, idle: "5m", queue: 100, concurrency: 1, pause: "10s", policy: "adaptive" },
};
const form = formOf(config);
const wrong = (change: Partial<Form>, cpus?: number) => checkForm({ ...form, ...change }, cpus);

describe("a function's name", () => {
  it.each(["a", "hello", "a1-b2", "a".repeat(63)])("may be %s", (name) => expect(wrongName(name)).toBeUndefined());
  it.each(["", "1a", "-a", "a-", "A", "a_b", "a.b", "ä", "a".repeat(64)])("may not be %j", (name) => expect(wrongName(name)).toBeTypeOf("string"));
});

describe("a route", () => {
  it.each(["", "/", "/a", "/a/{id}", "/files/{path...}", "/a/{$}", "/{a}/{b}/", "/a.b"])("may be %j", (route) => expect(wrongRoute(route)).toBeUndefined());
  it.each(["a", "/a b", "//", "/a/{", "/a{b}", "/{a}/{a}", "/{p...}/a", "/{$}/a", "/{1}", "/{}", "/a/../b"])("may not be %j", (route) =>
    expect(wrongRoute(route)).toBeTypeOf("string"),
  );
});

describe("the settings", () => {
  it("of a running function are right", () => expect(checkForm(form, 2)).toEqual({}));

  it.each([
    [{ memory: "31MiB", tmp: "1MiB" }, "memory"],
    [{ memory: "lots" }, "memory"],
    [{ runtime: "node26", memory: "63MiB", tmp: "1MiB" }, "memory"],
    [{ memory: "64MiB", tmp: "65MiB" }, "tmp"],
    [{ cpu: "0" }, "cpu"],
    [{ cpu: "3" }, "cpu"],
    [{ cpu: "" }, "cpu"],
    [{ timeout: "10" }, "timeout"],
    [{ timeout: "16m" }, "timeout"],
    [{ init_timeout: "99ms" }, "init_timeout"],
    [{ queue_timeout: "5m1s" }, "queue_timeout"],
    [{ max_body: "7MiB" }, "max_body"],
    [{ max: "1001" }, "max"],
    [{ min: "21" }, "min"],
    [{ min: "-1" }, "min"],
    [{ reserved: "21" }, "reserved"],
    [{ queue: "0" }, "queue"],
    [{ concurrency: "1.5" }, "concurrency"],
    [{ idle: "500ms" }, "idle"],
    [{ pause: "1ms" }, "pause"],
    [{ handler: "main" }, "handler"],
    [{ description: "x".repeat(257) }, "description"],
    [{ corsOrigins: ["example.com"] }, "cors"],
    [{ corsOrigins: ["https://a.example/path"] }, "cors"],
    [{ corsOrigins: ["*"], corsCredentials: true }, "cors"],
    [{ corsOrigins: ["*"], corsHeaders: Array.from({ length: 100 }, (_, i) => `x-${i}`) }, "cors"],
    [{ corsOrigins: ["*"], corsHeaders: ["x a"] }, "corsHeaders"],
    [{ corsOrigins: ["*"], corsExposeHeaders: ["x:"] }, "corsExposeHeaders"],
    [{ corsOrigins: ["*"], corsMaxAge: "25h" }, "corsMaxAge"],
    [{ corsOrigins: ["*"], corsMaxAge: "10" }, "corsMaxAge"],
  ] as [Partial<Form>, string][])("with %j are wrong in one field: %s", (change, field) => {
    expect(Object.keys(wrong(change, 2))).toEqual([field]);
  });

  it("take what the API takes of CORS, and do not look at the rest of it without an origin", () => {
    const cors = { corsOrigins: ["https://App.example:8443", "capacitor://localhost"], corsMethods: ["PUT"], corsHeaders: ["*", "X-A"], corsExposeHeaders: ["X-B"], corsCredentials: true, corsMaxAge: "0s" };
    expect(wrong(cors)).toEqual({});
    expect(wrong({ corsOrigins: [], corsHeaders: ["x a"], corsMaxAge: "soon" })).toEqual({});
  });

  it("show what the API finds wrong at the field that it is about", () => {
    expect(["memory", "scaling.max", "env.KEY", "cors", "cors.origins", "cors.credentials", "cors.methods", "cors.headers", "cors.expose_headers", "cors.max_age"].map(fieldOf)).toEqual(
      ["memory", "max", "env", "cors", "cors", "cors", "corsMethods", "corsHeaders", "corsExposeHeaders", "corsMaxAge"],
    );
  });

  it("tell which variable is wrong", () => {
    const row = (id: number, name: string, more = {}) => ({ id, name, value: "x", secret: false, kept: false, ...more });
    const env = [row(1, ""), row(2, "2B"), row(3, "A"), row(4, "A"), row(5, "S", { secret: true, value: "" }), row(6, "COVE_X"), row(7, "KEY", { secret: true, kept: true, value: "" })];
    expect(Object.keys(wrong({ env }))).toEqual(["env.1", "env.2", "env.4", "env.5", "env.6"]);
    expect(wrong({ env: [row(1, "A", { value: "x".repeat(4096) })] }).env).toMatch("4 KiB");
  });
});

describe("a patch", () => {
  it("of nothing is empty", () => {
    expect(patchOf(form, formOf(config))).toEqual({});
    expect(countChanges({})).toBe(0);
  });

  it("has what was changed alone, and null for what is to be the default again", () => {
    const patch = patchOf(form, { ...form, memory: "256MiB", route: "", methods: [], cpu: "0.5", max: "5", policy: "fixed", corsOrigins: ["*"] });
    expect(patch).toEqual({ memory: "256MiB", route: null, methods: null, cpu: 0.5, scaling: { max: 5, policy: "fixed" }, cors: { origins: ["*"] } });
    expect(countChanges(patch)).toBe(7);
  });

  it("changes of CORS what was changed, and takes all of it away with the last origin", () => {
    const open = formOf({ ...config, cors: { origins: ["https://a.example"], methods: ["GET"], headers: ["X-A"], max_age: "10m0s" } });
    const patch = patchOf(open, { ...open, corsMethods: [], corsExposeHeaders: ["X-B"], corsCredentials: true, corsMaxAge: "" });
    expect(patch).toEqual({ cors: { methods: null, expose_headers: ["X-B"], credentials: true, max_age: null } });
    expect(countChanges(patch)).toBe(4);
    expect(patchOf(open, { ...open, corsOrigins: [], corsMaxAge: "1h" })).toEqual({ cors: null });
    expect(patchOf(form, { ...form, corsHeaders: ["X-A"] })).toEqual({});
  });

  it("leaves a secret alone that nobody wrote anew, and tells a new one once", () => {
    const env = form.env.map((row) => (row.name === "GREETING" ? { ...row, value: "Hi" } : row));
    expect(patchOf(form, { ...form, env })).toEqual({ env: { GREETING: "Hi" } });
    const renewed = form.env.map((row) => (row.name === "KEY" ? { ...row, value: "s3cr3t", kept: false } : row));
    expect(patchOf(form, { ...form, env: renewed })).toEqual({ env: { KEY: { value: "s3cr3t", secret: true } } });
    expect(patchOf(form, { ...form, env: [] })).toEqual({ env: { GREETING: null, KEY: null } });
  });
});
