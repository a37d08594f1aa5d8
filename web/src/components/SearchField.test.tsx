import { MantineProvider } from "@mantine/core";
import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";

import { SearchField } from "./SearchField";

function setup(value?: string) {
  const onSearch = vi.fn();
  const field = (now: string | undefined) => (
    <MantineProvider env="test">
      <SearchField label="Search" placeholder="" value={now} onSearch={onSearch} />
    </MantineProvider>
  );
  const { rerender } = render(field(value));
  const box = screen.getByRole<HTMLInputElement>("textbox");
  return { onSearch, box, follow: (now: string | undefined) => rerender(field(now)), user: userEvent.setup() };
}

describe("a search that is in the URL", () => {
  it("is told once somebody stops typing", async () => {
    const { onSearch, box, user } = setup();
    await user.type(box, "abc");
    expect(onSearch).not.toHaveBeenCalled();
    await vi.waitFor(() => expect(onSearch.mock.calls).toEqual([["abc"]]));
  });

  it("is not taken from under who types on", async () => {
    const { onSearch, box, follow, user } = setup();
    await user.type(box, "ab");
    await vi.waitFor(() => expect(onSearch).toHaveBeenCalledWith("ab"));
    await user.type(box, "c");
    follow("ab");
    expect(box.value).toBe("abc");
  });

  it("shows what the URL says when something else has changed it, and forgets what was typed", async () => {
    const { onSearch, box, follow, user } = setup("old");
    await user.type(box, "er");
    follow(undefined);
    expect(box.value).toBe("");
    await new Promise((done) => setTimeout(done, 400));
    expect(onSearch).not.toHaveBeenCalled();
  });

  it("is cleared at once", async () => {
    const { onSearch, box, user } = setup("old");
    await user.click(screen.getByRole("button", { name: "Clear the search" }));
    expect([box.value, onSearch.mock.calls]).toEqual(["", [[undefined]]]);
  });
});
