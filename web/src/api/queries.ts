import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";

import { asApiError, isSignedOut } from "./problem";

/** newQueryClient calls onSignedOut whenever the API says that a session is over. */
export function newQueryClient(onSignedOut: () => void): QueryClient {
  return new QueryClient({
    queryCache: new QueryCache({
      onError: (error, query) => {
        // Whoever asks who they are, and was nobody before, has lost no session.
        const asks = query.meta?.asksWho === true && query.state.data === undefined;
        if (isSignedOut(error) && !asks) onSignedOut();
      },
    }),
    mutationCache: new MutationCache({
      onError: (error, _variables, _context, mutation) => {
        // A wrong password is told where it was typed.
        if (isSignedOut(error) && mutation.meta?.signsIn !== true) onSignedOut();
      },
    }),
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
