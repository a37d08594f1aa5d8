import { useQueryClient, type QueryClient } from "@tanstack/react-query";
import { useRouter, type AnyRouter } from "@tanstack/react-router";
import { useEffect } from "react";

const channel = "cove-signed-out";

/** Leads to the sign-in page without asking, and forgets all that was seen and typed: nothing of it is for the next. */
export async function forget(router: AnyRouter, queryClient: QueryClient): Promise<void> {
  await router.navigate({ to: "/login", search: {}, ignoreBlocker: true });
  queryClient.clear();
  sessionStorage.clear(); // What was edited and not deployed.
}

/** Tells the browser's other pages that somebody has signed out. */
export function tellSignedOut(): void {
  const others = new BroadcastChannel(channel);
  others.postMessage(null);
  others.close();
}

/** Forgets all on this page too when somebody signs out on another one of this browser. */
export function useSignedOutElsewhere(): void {
  const queryClient = useQueryClient();
  const router = useRouter();
  useEffect(() => {
    const others = new BroadcastChannel(channel);
    others.onmessage = () => void forget(router, queryClient);
    return () => others.close();
  }, [router, queryClient]);
}
