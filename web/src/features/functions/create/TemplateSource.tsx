import { Select } from "@mantine/core";
import { useState } from "react";

import type { Template } from "@/api/gen";
import { CodeEditor } from "@/components/code";

import { handlerFile, textOf } from "../files";
import { RuntimeBadge } from "../parts";

import classes from "./TemplateSource.module.css";

/** Chooses a template and shows what is in it. */
export function TemplateSource(props: { templates: Template[]; chosen: Template; onChoose: (name: string) => void }) {
  const { chosen } = props;
  const paths = Object.keys(chosen.files).sort();
  const [opened, setOpened] = useState<string>();
  const path = opened !== undefined && paths.includes(opened) ? opened : (handlerFile(chosen.config.handler, paths) ?? "");
  return (
    <>
      <div className={classes.grid} role="radiogroup" aria-label="Template">
        {props.templates.map((t) => (
          <label key={t.name} className={classes.choice} data-chosen={t.name === chosen.name || undefined}>
            <input type="radio" name="template" className={classes.radio} checked={t.name === chosen.name} onChange={() => props.onChoose(t.name)} />
            <span className={classes.title}>{t.title}</span>
            <span className={classes.text}>{t.description}</span>
            <RuntimeBadge runtime={t.runtime} />
          </label>
        ))}
      </div>
      <div className={classes.preview}>
        <div className={classes.head}>
          <Select
            aria-label="File"
            size="xs"
            variant="unstyled"
            data={paths}
            value={path}
            onChange={(value) => setOpened(value ?? undefined)}
            allowDeselect={false}
            classNames={{ input: "mono" }}
            comboboxProps={{ width: 240, position: "bottom-start" }}
          />
        </div>
        <CodeEditor path={`${chosen.name}/${path}`} value={textOf(chosen.files[path])} readOnly label={`${path}, as it will be deployed`} maxHeight="min(420px, 42dvh)" />
      </div>
    </>
  );
}
