import { queryOptions, skipToken, useQuery } from "@tanstack/react-query";

import { getSession, type Who } from "./gen";

/** What somebody may do; each includes what stands behind it. */
export type Role = Who["role"];

const rank: Record<Role, number> = { invoke: 0, viewer: 1, developer: 2, admin: 3 };

/** Whether role includes least. */
export function includes(role: Role | undefined, least: Role): boolean {
  return role !== undefined && rank[role] >= rank[least];
}

export const whoOptions = queryOptions({
  queryKey: ["session"],
  queryFn: async ({ signal }): Promise<Who> => (await getSession({ signal, throwOnError: true })).data,
  staleTime: 60_000,
  meta: { asksWho: true },
});

/**
 * Whether the session has ended while a page was open. What the page holds stays:
 * one signs in over it.
 */
export const endedOptions = queryOptions<boolean>({ queryKey: ["session", "ended"], queryFn: skipToken, initialData: false, staleTime: Number.POSITIVE_INFINITY });

/** Whether the session has ended while this page was open. */
export function useEnded(): boolean {
  return useQuery(endedOptions).data === true;
}

/** Who is signed in, as far as it is known. */
export function useWho(): Who | undefined {
  return useQuery(whoOptions).data;
}

/**
 * Whether who is signed in may do what needs the role least. It only decides
 * what is shown: the API refuses by itself.
 */
export function useMay(least: Role): boolean {
  return includes(useWho()?.role, least);
}
