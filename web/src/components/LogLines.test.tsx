import { MantineProvider } from "@mantine/core";
import { render, screen } from "@testing-library/react";
import { describe, expect, it } from "vitest";

import { LogLines, pretty, split } from "./LogLines";

describe("log lines", () => {
  it("mark what is searched for, in capitals or not", () => {
    expect(split("An Error, an error", "error")).toEqual([
      { text: "An ", found: false }, { text: "Error", found: true }, { text: ", an ", found: false }, { text: "error", found: true },
    ]);
    expect(split("plain", undefined)).toEqual([{ text: "plain", found: false }]);
    expect(split("İİ x", "x")).toEqual([{ text: "İİ x", found: false }]);
  });

  it("open where they are JSON", () => {
    expect(pretty('{"a":1}')).toBe('{\n  "a": 1\n}');
    expect(pretty("{not json")).toBeUndefined();
    expect(pretty("7")).toBeUndefined();
  });

  it("show what a function printed as text, never as HTML", () => {
    const evil = '<img src=x onerror="alert(1)"><script>alert(2)</script>';
    const { container } = render(<MantineProvider><LogLines lines={[{ id: 1, time: "2026-11-23T12:00:00Z", text: evil }]} /></MantineProvider>);
    expect(screen.getByText(evil)).toBeDefined();
    expect(container.querySelector("img, script")).toBeNull();
  });
});
