import { Modal } from "@mantine/core";
import { focusManager, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useCallback, useEffect } from "react";

import { getSession, type Who } from "@/api/gen";
import { endedOptions, useWho, whoOptions } from "@/api/who";

import classes from "./SignInAgain.module.css";
import { SignInCard } from "./SignInCard";
import { forget } from "./forget";

/**
 * Signs in over a page whose session has ended. The page beneath is not seen and
 * asks for nothing, but keeps what was typed: who signs in again goes on where they
 * were. Somebody else begins anew, with nothing that was there.
 */
export function SignInAgain() {
  const was = useWho();
  const queryClient = useQueryClient();
  const router = useRouter();
  const enter = useCallback(
    async (is: Who) => {
      if (is.id === was?.id) {
        queryClient.setQueryData(whoOptions.queryKey, is);
        queryClient.setQueryData(endedOptions.queryKey, false);
        await queryClient.invalidateQueries();
        return;
      }
      const here = router.state.location.href;
      await forget(router, queryClient);
      router.history.replace(here, undefined, { ignoreBlocker: true });
    },
    [was?.id, queryClient, router],
  );
  useEffect(() => {
    // What asks at an interval asks only in a page that has the focus.
    focusManager.setFocused(false);
    return () => focusManager.setFocused(undefined);
  }, []);
  useEffect(() => {
    // They may have signed in on another page of this browser.
    const look = async () => {
      const { data } = await getSession();
      if (data) await enter(data);
    };
    const onFocus = () => void look();
    window.addEventListener("focus", onFocus);
    return () => window.removeEventListener("focus", onFocus);
  }, [enter]);
  return (
    <Modal.Root opened onClose={() => undefined} fullScreen closeOnEscape={false} zIndex={1000} transitionProps={{ duration: 0 }}>
      <Modal.Content aria-label="Sign in to Cove" className={classes.root}>
        <SignInCard
          name={was?.user}
          notice="Your session has ended. Sign in to go on where you were."
          onSignedIn={async () => enter((await getSession({ throwOnError: true })).data)}
        />
      </Modal.Content>
    </Modal.Root>
  );
}
