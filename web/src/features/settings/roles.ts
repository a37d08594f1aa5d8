/** What each role may do, from the most on. */
export const roles = [
  { value: "admin", label: "Admin", help: "Everything: also users, tokens, settings and the audit log" },
  { value: "developer", label: "Developer", help: "Deploy, call and configure functions, and see everything of them" },
  { value: "viewer", label: "Viewer", help: "See functions, metrics and logs; call and change nothing" },
  { value: "invoke", label: "Invoke", help: "Call functions and nothing else, all of them or those that are named" },
] as const;

export type RoleName = (typeof roles)[number]["value"];

/** How long a token is good for, as the API reads it; "" is for ever. */
export const lives = [
  { value: "24h", label: "1 day" },
  { value: "168h", label: "7 days" },
  { value: "720h", label: "30 days" },
  { value: "2160h", label: "90 days" },
  { value: "8760h", label: "1 year" },
  { value: "", label: "For ever" },
];
