import { Link } from "@tanstack/react-router";

import classes from "./Brand.module.css";

/** The mark and the name, which lead home. */
export function Brand() {
  return (
    <Link to="/" className={classes.root} aria-label="Cove: to the overview">
      <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
        <rect width="32" height="32" rx="8" fill="#0b7285" />
        <path d="M22.5 10.2A8.5 8.5 0 1 0 22.5 21.8" fill="none" stroke="#fff" strokeWidth="3.6" strokeLinecap="round" />
        <circle cx="16" cy="16" r="2.6" fill="#99e9f2" />
      </svg>
      <span>Cove</span>
    </Link>
  );
}
