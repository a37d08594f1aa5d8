import { Title } from "@mantine/core";
import type { ReactNode } from "react";

import type { Form, Wrong } from "../config";

import classes from "./SettingsPage.module.css";

/** What every part of the form gets. */
export interface PartProps {
  form: Form;
  wrong: Wrong;
  set: (change: Partial<Form>) => void;
  readOnly: boolean;
}

/** One part of the form: what it is about at the left, its fields at the right. */
export function Section(props: { title: string; about: ReactNode; children: ReactNode; danger?: boolean }) {
  return (
    <section className={`${classes.section} ${props.danger ? classes.danger : ""}`}>
      <div>
        <Title order={2} mb={4}>
          {props.title}
        </Title>
        <div className={classes.about}>{props.about}</div>
      </div>
      <div className={classes.fields}>{props.children}</div>
    </section>
  );
}
