import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";

import { client } from "@/api/gen/client.gen";
import { whoOptions } from "@/api/who";

import { ChangePassword } from "./ChangePassword";

const who = { kind: "session", name: "ada", id: "ada", user: "ada", role: "developer" };

/** The dialog with an API that answers so; what was sent to it, and whether the dialog was closed. */
function setup(status: number, answer: unknown) {
  const sent: unknown[] = [];
  client.setConfig({
    baseUrl: "http://cove.test",
    fetch: async (request) => {
      sent.push([(request as Request).method, new URL((request as Request).url).pathname, await (request as Request).json()]);
      return Response.json(answer, { status });
    },
  });
  const queryClient = new QueryClient();
  const onClose = vi.fn();
  render(
    <MantineProvider env="test">
      <QueryClientProvider client={queryClient}>
        <ChangePassword user="ada" opened onClose={onClose} />
      </QueryClientProvider>
    </MantineProvider>,
  );
  const user = userEvent.setup();
  const fill = async (old: string, password: string, again: string) => {
    await user.type(screen.getByLabelText(/^The one that you have/), old);
    await user.type(screen.getByLabelText(/^New password/), password);
    await user.type(screen.getByLabelText(/^The same again/), again);
    await user.click(screen.getByRole("button", { name: "Change password" }));
  };
  return { sent, onClose, queryClient, fill };
}

describe("one's own password", () => {
  it("is changed with the one that there is, and who is signed in is so on", async () => {
    const { sent, onClose, queryClient, fill } = setup(200, who);
    await fill("correct-horse", "battery-staple", "battery-staple");
    await vi.waitFor(() => expect(onClose).toHaveBeenCalledOnce());
    expect(sent).toEqual([["PUT", "/api/v1/session/password", { password: "correct-horse", new_password: "battery-staple" }]]);
    expect(queryClient.getQueryData(whoOptions.queryKey)).toEqual(who);
  });

  it("is not sent before the new one is long enough and twice the same", async () => {
    const { sent, fill } = setup(200, who);
    await fill("correct-horse", "battery-staple", "battery-stable");
    expect(screen.getByText("The two are not the same")).toBeDefined();
    expect(sent).toEqual([]);
  });

  it("stays, and the dialog too, where the API refuses; what it says stands at its field", async () => {
    const { onClose, fill } = setup(400, { code: "invalid", status: 400, title: "The request is not valid", errors: [{ field: "password", message: "is not the one you have" }] });
    await fill("wrong-horse", "battery-staple", "battery-staple");
    expect(await screen.findByText("Is not the one you have")).toBeDefined();
    expect(screen.queryByRole("alert")).toBeNull();
    expect(onClose).not.toHaveBeenCalled();
  });

  it("says why where no field is wrong", async () => {
    const { fill } = setup(429, { code: "too_many_requests", status: 429, title: "Too many requests", detail: "try again in a minute" });
    await fill("correct-horse", "battery-staple", "battery-staple");
    expect((await screen.findByRole("alert")).textContent).toContain("try again in a minute");
  });
});
