import { useDocumentTitle } from "@mantine/hooks";
import { useQueryClient } from "@tanstack/react-query";
import { useRouter, useSearch } from "@tanstack/react-router";

import { whoOptions } from "@/api/who";

import { SignInCard } from "./SignInCard";
import { safePath, type LoginSearch } from "./search";

/** The page for who is not signed in. It leads back to where somebody was. */
export function LoginPage() {
  useDocumentTitle("Sign in · Cove");
  const { to } = useSearch({ strict: false }) as LoginSearch;
  const queryClient = useQueryClient();
  const router = useRouter();
  const enter = async () => {
    queryClient.clear();
    await queryClient.prefetchQuery(whoOptions);
    router.history.replace(safePath(to) ?? "/");
  };
  return <SignInCard onSignedIn={enter} />;
}
