import { queryOptions, useMutation, useQueryClient, type QueryClient } from "@tanstack/react-query";

import {
  deleteFunction,
  disableFunction,
  enableFunction,
  getVersionFiles,
  listFunctions,
  patchFunction,
  queryMetrics,
  recycleFunction,
  rollback,
  type Config,
  type Function as Fn,
  type MetricsGroup,
} from "@/api/gen";
import { getFunctionOptions, listVersionsOptions } from "@/api/gen/@tanstack/react-query.gen";
import { client } from "@/api/gen/client.gen";

import { dropDraft } from "./code/draft";
import type { FileChange, FileMap } from "./files";

/** How long the sparklines of the table reach back. */
export const sparkRange = { from: "-24h", step: "30m" } as const;

const pageSize = 500;
/** More than anybody reads; the search narrows it down. */
const mostPages = 10;

/** Every function, by name, page after page. */
export const functionsOptions = queryOptions({
  queryKey: ["functions"],
  queryFn: async ({ signal }): Promise<Fn[]> => {
    const all: Fn[] = [];
    let after: string | undefined;
    for (let page = 0; page < mostPages; page++) {
      const { data } = await listFunctions({ query: { limit: pageSize, ...(after === undefined ? {} : { after }) }, signal, throwOnError: true });
      all.push(...data.items);
      if (!data.next) break;
      after = data.next;
    }
    return all;
  },
  refetchInterval: 5_000,
});

/** What each function did in the last day, by its name. */
export const sparkOptions = queryOptions({
  queryKey: ["functions", "spark"],
  queryFn: async ({ signal }): Promise<Record<string, MetricsGroup>> => {
    const { data } = await queryMetrics({ query: { ...sparkRange, group_by: "function" }, signal, throwOnError: true });
    return Object.fromEntries(data.groups.map((group) => [group.function ?? "", group]));
  },
  refetchInterval: 15_000,
});

/** One function with its active version. */
export function functionOptions(name: string) {
  return queryOptions({
    ...getFunctionOptions({ path: { name } }),
    refetchInterval: 5_000,
  });
}

/** Every kept version of a function, the newest first. */
export function versionsOptions(name: string) {
  return listVersionsOptions({ path: { name } });
}

/** The files of one version, which never change. Skipped are those that are too large for a page. */
export function filesOptions(name: string, number: number) {
  return queryOptions({
    queryKey: ["function", name, "files", number],
    queryFn: async ({ signal }): Promise<{ files: FileMap; skipped: string[] }> => {
      const { data } = await getVersionFiles({ path: { name, number }, signal, throwOnError: true });
      return { files: data.files, skipped: data.skipped ?? [] };
    },
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** Takes over what a change was answered with, and asks anew for what it touched. */
async function changed(queryClient: QueryClient, fn: Fn): Promise<void> {
  queryClient.setQueryData(functionOptions(fn.name).queryKey, fn);
  await Promise.all([
    queryClient.invalidateQueries({ queryKey: functionsOptions.queryKey, exact: true }),
    queryClient.invalidateQueries({ queryKey: versionsOptions(fn.name).queryKey }),
  ]);
}

/** Changes fields of the configuration; see RFC 7396 for the patch. */
export function usePatch(name: string) {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: async (patch: Record<string, unknown>): Promise<Fn> =>
      (await patchFunction({ path: { name }, body: patch as Config, throwOnError: true })).data,
    onSuccess: (fn) => changed(queryClient, fn),
  });
}

export interface Upload {
  /** What a function gets that has no code yet. */
  files: FileMap;
  /** What changes of the code that there is; the files that are not named stay, also those that no page shows. */
  changes: FileChange[] | undefined;
  /** The revision that the person saw; refused if it is another by now. */
  revision: number;
  /** Start an instance before it serves requests, and keep the old version if that fails. */
  warm: boolean;
}

/** Makes a new version of the code. */
export function useUpload(name: string) {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: async ({ files, changes, revision, warm }: Upload): Promise<Fn> => {
      const shared = {
        url: "/api/v1/functions/{name}/code",
        path: { name },
        ...(warm ? { query: { warm: true } } : {}),
        headers: { "Content-Type": "application/json", "If-Match": `"${revision}"` },
        throwOnError: true,
      } as const;
      if (!changes) return (await client.put<{ 200: Fn }, unknown, true>({ ...shared, body: { files } })).data;
      const edits = Object.fromEntries(changes.map(({ path, after }) => [path, after ?? null]));
      return (await client.patch<{ 200: Fn }, unknown, true>({ ...shared, body: { files: edits } })).data;
    },
    onSuccess: (fn) => changed(queryClient, fn),
  });
}

/** Makes an earlier version the active one. */
export function useRollback(name: string) {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: async (version: number): Promise<Fn> => (await rollback({ path: { name }, body: { version }, throwOnError: true })).data,
    onSuccess: (fn) => changed(queryClient, fn),
  });
}

/** Makes a function answer requests, or refuse them. */
export function useSwitch() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: async ({ name, enabled }: { name: string; enabled: boolean }): Promise<Fn> =>
      (await (enabled ? enableFunction : disableFunction)({ path: { name }, throwOnError: true })).data,
    onSuccess: (fn) => changed(queryClient, fn),
  });
}

/** Puts new instances of a function in the place of those there are. */
export function useRecycle(name: string) {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: async () => (await recycleFunction({ path: { name }, throwOnError: true })).data,
    onSuccess: () => queryClient.invalidateQueries({ queryKey: functionOptions(name).queryKey, exact: true }),
  });
}

/** Removes a function with all its versions. */
export function useDelete(name: string) {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: async () => {
      await deleteFunction({ path: { name }, throwOnError: true });
    },
    onSuccess: async () => {
      queryClient.setQueryData(functionsOptions.queryKey, (all) => all?.filter((fn) => fn.name !== name));
      await queryClient.invalidateQueries({ queryKey: functionsOptions.queryKey, exact: true });
      // Another one may get its name.
      dropDraft(name);
      for (const queryKey of [functionOptions(name).queryKey, versionsOptions(name).queryKey, ["function", name]]) queryClient.removeQueries({ queryKey });
    },
  });
}

export interface NewFunction {
  config: Record<string, unknown> & { name: string; runtime: string };
  /** The code: files one by one, or an archive as it is. */
  code: { files: FileMap } | { archive: Blob; filename: string };
}

/** Makes a function with its code. */
export function useCreate() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: async ({ config, code }: NewFunction): Promise<Fn> => {
      const shared = { url: "/api/v1/functions", throwOnError: true } as const;
      if ("files" in code) {
        const headers = { "Content-Type": "application/json" };
        const { data } = await client.post<{ 201: Fn }, unknown, true>({ ...shared, headers, body: { ...config, files: code.files } });
        return data;
      }
      const form = new FormData();
      form.append("config", new Blob([JSON.stringify(config)], { type: "application/json" }));
      form.append("code", code.archive, code.filename);
      const { data } = await client.post<{ 201: Fn }, unknown, true>({ ...shared, headers: { "Content-Type": null }, body: form, bodySerializer: null });
      return data;
    },
    onSuccess: (fn) => changed(queryClient, fn),
  });
}
