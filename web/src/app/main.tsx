import "@mantine/core/styles.css";
import "@mantine/notifications/styles.css";
import "@/styles/fonts.css";
import "@/styles/global.css";
import "@/components/charts/charts.css";

import { MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { setUpClient } from "@/api/client";
import { newQueryClient } from "@/api/queries";
import { endedOptions, whoOptions } from "@/api/who";

import { styleNonce } from "@/components/nonce";
import { newRouter } from "./router";
import { colorSchemeManager, theme } from "./theme";

setUpClient();
const queryClient = newQueryClient(() => {
  if (router.state.location.pathname !== "/login") queryClient.setQueryData(endedOptions.queryKey, true);
});
const router = newRouter(queryClient);

// What the first view needs is asked for at once, side by side, and not one after
// the other: who is signed in, and the code of the page.
void queryClient.prefetchQuery(whoOptions);
for (const match of router.matchRoutes(router.latestLocation)) {
  const routes = router.routesById as Record<string, { options: { component?: unknown } }>;
  const component = routes[match.routeId]?.options.component as { preload?: () => Promise<void> } | undefined;
  // A file that is not there is told of when the page is shown.
  component?.preload?.().catch(() => undefined);
}

const element = document.getElementById("root");
if (!element) throw new Error("index.html has no #root");
createRoot(element).render(
  <StrictMode>
    <MantineProvider theme={theme} colorSchemeManager={colorSchemeManager} defaultColorScheme="auto" getStyleNonce={() => styleNonce}>
      <QueryClientProvider client={queryClient}>
        <Notifications position="bottom-right" />
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
