import { describe, expect, it } from "vitest";

import { day, formatStep, hour, minute, shiftBy, stepFor, stepText, zoomOut, zoomTo } from "./time";

const now = Date.parse("2026-11-23T12:00:30Z");

describe("times", () => {
  it.each([
    [15 * minute, minute],
    [hour, minute],
    [6 * hour, 5 * minute],
    [day, 20 * minute],
    [7 * day, 2 * hour],
    [30 * day, 12 * hour],
    [1000 * day, 12 * day],
  ])("have steps for a span of %d ms of %d ms", (length, step) => expect(stepFor(length)).toBe(step));

  it("write steps as the API reads them", () => expect([minute, 30 * minute, 2 * hour].map(stepText)).toEqual(["1m", "30m", "2h"]));

  it("are zoomed in to whole minutes, two at least, whichever way was dragged", () => {
    const zoomed = { from: "2026-11-23T12:00:00.000Z", to: "2026-11-23T12:02:00.000Z" };
    expect(zoomTo(now, now + 5000)).toEqual(zoomed);
    expect(zoomTo(now + 5000, now)).toEqual(zoomed);
  });

  it("are zoomed out to twice the length, and to now at most", () => {
    const past = Date.parse("2026-11-23T06:00:00Z");
    expect(zoomOut({ from: past, to: past + hour }, now)).toEqual({ from: "2026-11-23T05:30:00.000Z", to: "2026-11-23T07:30:00.000Z" });
    expect(zoomOut({ from: now - hour, to: now }, now).to).toBe("2026-11-23T12:01:00.000Z");
  });

  it("are compared with the time before, a day or a week earlier", () => {
    expect([shiftBy(hour, "previous"), shiftBy(hour, "day"), shiftBy(hour, "week")]).toEqual([hour, day, 7 * day]);
  });

  it("write a step with the day it is in", () => {
    const at = Date.parse("2026-11-23T14:05:00");
    expect(formatStep(at, 5 * minute)).toBe("23 Nov 14:05 – 14:10");
    expect(formatStep(at, day)).toBe("23 Nov 14:05 – 24 Nov 14:05");
  });
});
