import { Alert, SegmentedControl } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useParams, useSearch } from "@tanstack/react-router";
import { useState } from "react";

import { invokeFunction, testRoute, type RouteResult } from "@/api/gen";
import { getFunctionOptions } from "@/api/gen/@tanstack/react-query.gen";
import { useMay } from "@/api/who";
import grid from "@/components/grid.module.css";
import { useSetSearch } from "@/components/RangeBar";

import { Answer, type Answered } from "./Answer";
import { EventForm } from "./EventForm";
import { RequestForm } from "./RequestForm";
import { examplePath, headersOf, hasBody, readResult, type Composed } from "./request";
import { testSearch, type TestSearch } from "./search";

/** Calls a function with an event or a request that is composed here, and shows what it answered. */
export function FunctionTest() {
  const name = useParams({ strict: false }).name ?? "";
  const search = testSearch(useSearch({ strict: false }));
  const set = useSetSearch<TestSearch>();
  const may = useMay("developer");
  const fn = useQuery(getFunctionOptions({ path: { name } })).data;
  const [event, setEvent] = useState("{}");
  const [request, setRequest] = useState<Composed>();
  const config = fn?.version.config;
  const composed = request ?? { method: config?.methods?.[0] ?? "GET", path: examplePath(config?.route), headers: [], body: "" };

  const invoke = useMutation({
    mutationFn: async (text: string): Promise<Answered> => {
      // The text as it was written: a number of many digits would not survive being read.
      const { data } = await invokeFunction({ path: { name }, body: text, bodySerializer: (body: unknown) => body as string, parseAs: "text", throwOnError: true });
      return { kind: "event", ...readResult(data as unknown as string) };
    },
  });
  const send = useMutation({
    mutationFn: async ({ method, path, headers, body }: Composed): Promise<Answered> => {
      const { data } = await testRoute({ path: { name }, body: { method, path, headers: headersOf(headers), ...(hasBody(method) && body !== "" && { body }) }, throwOnError: true });
      return { kind: "http", result: data as RouteResult };
    },
  });
  const http = search.mode === "http";
  const active = http ? send : invoke;
  return (
    <div className={grid.page}>
      {!may && <Alert color="yellow" variant="light">You may look at this function, but not call it. Ask for the role developer.</Alert>}
      <div className={grid.two} style={{ alignItems: "start" }}>
        <div>
          <SegmentedControl fullWidth mb="md" value={http ? "http" : "event"} onChange={(mode) => set({ mode: mode === "http" ? "http" : undefined })}
            data={[{ value: "event", label: "Event" }, { value: "http", label: "HTTP request" }]} aria-label="What is sent" />
          {http ? (
            <RequestForm request={composed} route={config?.route} onChange={setRequest} onSend={() => send.mutate(composed)} pending={send.isPending} may={may} />
          ) : (
            <EventForm name={name} saved={search.event} onChoose={(one) => set({ event: one })} event={event} onChange={setEvent} onSend={() => invoke.mutate(event)} pending={invoke.isPending} may={may} />
          )}
        </div>
        <Answer answered={active.data} error={active.error} pending={active.isPending} />
      </div>
    </div>
  );
}
