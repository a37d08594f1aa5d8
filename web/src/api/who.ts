import { queryOptions, useQuery } from "@tanstack/react-query";

import { client } from "./gen/client.gen";

/** What somebody may do; each includes what stands behind it. */
export type Role = "admin" | "developer" | "viewer" | "invoke";

/** Who is signed in. */
export interface Who {
  kind: "session" | "token";
  name: string;
  id: string;
  role: Role;
  functions?: string[];
  expires?: string;
}

const rank: Record<Role, number> = { invoke: 0, viewer: 1, developer: 2, admin: 3 };

/** Whether role includes least. */
export function includes(role: Role | undefined, least: Role): boolean {
  return role !== undefined && rank[role] >= rank[least];
}

export const whoOptions = queryOptions({
  queryKey: ["session"],
  queryFn: async ({ signal }): Promise<Who> => {
    const { data } = await client.get<{ 200: Who }, unknown, true>({ url: "/api/v1/session", signal, throwOnError: true });
    return data;
  },
  staleTime: 60_000,
  meta: { asksWho: true },
});

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
