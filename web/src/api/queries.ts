import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";

import { asApiError, isSignedOut } from "./problem";

/** newQueryClient calls onSignedOut whenever the API says that the session is over. */
export function newQueryClient(onSignedOut: () => void): QueryClient {
  const onError = (error: unknown) => {
    if (isSignedOut(error)) onSignedOut();
  };
  return new QueryClient({
    queryCache: new QueryCache({ onError }),
    mutationCache: new MutationCache({ onError }),
    defaultOptions: {
      queries: {
        staleTime: 2_000,
        refetchOnWindowFocus: true,
        // A refusal stays one; a daemon that is being restarted comes back.
        retry: (count, error) => {
          const status = asApiError(error).status;
          return count < 3 && (status === 0 || status >= 500);
        },
        retryDelay: (count) => Math.min(500 * 2 ** count, 5_000),
        networkMode: "always",
      },
      mutations: { networkMode: "always" },
    },
  });
}
