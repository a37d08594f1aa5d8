import type { QueryClient } from "@tanstack/react-query";
import { createRootRouteWithContext, createRoute, createRouter, lazyRouteComponent, redirect } from "@tanstack/react-router";

import { asApiError } from "@/api/problem";
import { whoOptions } from "@/api/who";
import { ErrorState, LoadingPage } from "@/components/states";
import { validateTime } from "@/components/timeRange";
import { createSearch, functionsSearch, versionsSearch } from "@/features/functions/search";
import { invocationsSearch } from "@/features/invocations/search";
import { isolationsSearch } from "@/features/isolations/search";
import { logsSearch } from "@/features/logs/search";
import { metricsSearch } from "@/features/metrics/search";
import { overviewSearch } from "@/features/overview/search";
import { loginSearch } from "@/features/session/search";
import { settingsSearch } from "@/features/settings/search";
import { testSearch } from "@/features/test/search";

import { NotFound } from "./NotFound";
import { Shell } from "./Shell";

interface Context {
  queryClient: QueryClient;
}

const root = createRootRouteWithContext<Context>()({ notFoundComponent: NotFound });

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  validateSearch: loginSearch,
  component: lazyRouteComponent(() => import("@/features/session/LoginPage"), "LoginPage"),
});

/** Everything for which one must be signed in. */
const signedIn = createRoute({
  getParentRoute: () => root,
  id: "signed-in",
  component: Shell,
  beforeLoad: async ({ context, location }) => {
    try {
      await context.queryClient.ensureQueryData(whoOptions);
    } catch (error) {
      // Only one who is nobody signs in; a daemon that does not answer is told of
      // on the page itself.
      if (asApiError(error).status === 401) {
        throw redirect({ to: "/login", search: location.href === "/" ? {} : { to: location.href } });
      }
      throw error;
    }
  },
});

const overview = createRoute({
  getParentRoute: () => signedIn,
  path: "/",
  validateSearch: overviewSearch,
  component: lazyRouteComponent(() => import("@/features/overview/OverviewPage"), "OverviewPage"),
});

const functions = createRoute({
  getParentRoute: () => signedIn,
  path: "/functions",
  validateSearch: functionsSearch,
  component: lazyRouteComponent(() => import("@/features/functions/FunctionsPage"), "FunctionsPage"),
});

// Not beneath /functions: "new" and "create" are names that a function can have.
const create = createRoute({
  getParentRoute: () => signedIn,
  path: "/create",
  validateSearch: createSearch,
  component: lazyRouteComponent(() => import("@/features/functions/create/CreatePage"), "CreatePage"),
});

const fn = createRoute({
  getParentRoute: () => signedIn,
  path: "/functions/$name",
  // Every page of a function has the range of time, also those that show none: it goes along from one to the other.
  validateSearch: validateTime,
  component: lazyRouteComponent(() => import("@/features/functions/FunctionLayout"), "FunctionLayout"),
});

const fnMetrics = createRoute({
  getParentRoute: () => fn,
  path: "/",
  validateSearch: metricsSearch,
  component: lazyRouteComponent(() => import("@/features/metrics/FunctionMetrics"), "FunctionMetrics"),
});

const fnInvocations = createRoute({
  getParentRoute: () => fn,
  path: "/invocations",
  validateSearch: invocationsSearch,
  component: lazyRouteComponent(() => import("@/features/invocations/FunctionInvocations"), "FunctionInvocations"),
});

const fnLogs = createRoute({
  getParentRoute: () => fn,
  path: "/logs",
  validateSearch: logsSearch,
  component: lazyRouteComponent(() => import("@/features/logs/FunctionLogs"), "FunctionLogs"),
});

const fnTest = createRoute({
  getParentRoute: () => fn,
  path: "/test",
  validateSearch: testSearch,
  component: lazyRouteComponent(() => import("@/features/test/FunctionTest"), "FunctionTest"),
});

const fnCode = createRoute({
  getParentRoute: () => fn,
  path: "/code",
  component: lazyRouteComponent(() => import("@/features/functions/code/CodePage"), "CodePage"),
});

const fnSettings = createRoute({
  getParentRoute: () => fn,
  path: "/settings",
  component: lazyRouteComponent(() => import("@/features/functions/settings/SettingsPage"), "SettingsPage"),
});

const fnVersions = createRoute({
  getParentRoute: () => fn,
  path: "/versions",
  validateSearch: versionsSearch,
  component: lazyRouteComponent(() => import("@/features/functions/versions/VersionsPage"), "VersionsPage"),
});

const invocations = createRoute({
  getParentRoute: () => signedIn,
  path: "/invocations",
  validateSearch: invocationsSearch,
  component: lazyRouteComponent(() => import("@/features/invocations/InvocationsPage"), "InvocationsPage"),
});

const invocation = createRoute({
  getParentRoute: () => signedIn,
  path: "/invocations/$id",
  component: lazyRouteComponent(() => import("@/features/invocations/InvocationPage"), "InvocationPage"),
});

const logs = createRoute({
  getParentRoute: () => signedIn,
  path: "/logs",
  validateSearch: logsSearch,
  component: lazyRouteComponent(() => import("@/features/logs/LogsPage"), "LogsPage"),
});

const isolations = createRoute({
  getParentRoute: () => signedIn,
  path: "/isolations",
  validateSearch: isolationsSearch,
  component: lazyRouteComponent(() => import("@/features/isolations/IsolationsPage"), "IsolationsPage"),
});

const settings = createRoute({
  getParentRoute: () => signedIn,
  path: "/settings",
  validateSearch: settingsSearch,
  component: lazyRouteComponent(() => import("@/features/settings/SettingsPage"), "SettingsPage"),
});

const tree = root.addChildren([
  login,
  signedIn.addChildren([
    overview,
    functions,
    create,
    fn.addChildren([fnMetrics, fnInvocations, fnLogs, fnTest, fnCode, fnSettings, fnVersions]),
    invocations,
    invocation,
    logs,
    isolations,
    settings,
  ]),
]);

/** newRouter makes the router of all pages; each page's code is loaded when it is first shown. */
export function newRouter(queryClient: QueryClient) {
  return createRouter({
    routeTree: tree,
    context: { queryClient },
    // Another function's page begins anew: nothing that was typed for one is sent to another.
    defaultRemountDeps: ({ params }) => params,
    defaultPreload: "intent",
    defaultPreloadStaleTime: 0,
    scrollRestoration: true,
    // What no page's validateSearch has let through is not handed to any page.
    search: { strict: true },
    defaultPendingComponent: LoadingPage,
    defaultPendingMs: 150,
    defaultErrorComponent: ({ error, reset }) => <ErrorState error={error} retry={reset} />,
    defaultNotFoundComponent: NotFound,
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof newRouter>;
  }
}
