import { Button } from "@mantine/core";
import { IconFolderOpen } from "@tabler/icons-react";
import { useEffect, useRef, useState } from "react";

import { formatBytes } from "@/components/format";

import type { Source } from "./CreatePage";
import { DropBox } from "./DropBox";
import { guessLanguage, pack, readPicker, type Found, type Package } from "./source";

interface Made extends Package {
  name: string;
}

interface Props {
  over: boolean;
  dropped: { name: string; found: Promise<Found> } | undefined;
  onPick: (source: Source | undefined) => void;
}

/** Takes a folder that is dropped on the page or chosen, and packs it. */
export function FolderSource(props: Props) {
  const input = useRef<HTMLInputElement>(null);
  const [state, setState] = useState<{ busy: boolean; made?: Made; error?: string }>({ busy: false });

  const latest = useRef(0);
  const take = async (name: string, read: () => Promise<Found> | Found) => {
    const turn = ++latest.current;
    setState({ busy: true });
    props.onPick(undefined);
    try {
      const made = await pack(await read());
      // Another folder was chosen while this one was packed.
      if (turn !== latest.current) return;
      setState({ busy: false, made: { ...made, name } });
      props.onPick({ code: { archive: made.archive, filename: "code.zip" }, config: made.config, name, language: guessLanguage(made.paths) });
    } catch (error) {
      if (turn !== latest.current) return;
      setState({ busy: false, error: error instanceof Error ? error.message : "The folder could not be read." });
    }
  };

  const { dropped } = props;
  useEffect(() => {
    if (dropped) void take(dropped.name, () => dropped.found);
    // Only what is dropped is news.
  }, [dropped]);

  return (
    <>
      <DropBox
        title={state.made ? state.made.name || "The folder" : "Drop a folder here"}
        busy={state.busy}
        error={state.error}
        over={props.over}
        action={
          <Button variant="default" leftSection={<IconFolderOpen size={16} />} onClick={() => input.current?.click()}>
            {state.made ? "Choose another folder" : "Choose a folder"}
          </Button>
        }
        list={state.made?.paths}
      >
        {state.made
          ? `${state.made.paths.length} ${state.made.paths.length === 1 ? "file" : "files"}, ${formatBytes(state.made.bytes)}${
              state.made.skipped.length > 0 ? `; ${state.made.skipped.length} left out, such as ${state.made.skipped[0]}` : ""
            }`
          : "With the code, its dependencies and, if you like, a cove.yaml. Folders such as .git, files such as .env and what .coveignore names stay here."}
      </DropBox>
      <input
        ref={(element) => {
          input.current = element;
          // React has no property for it.
          element?.setAttribute("webkitdirectory", "");
        }}
        type="file"
        hidden
        multiple
        data-testid="folder-input"
        onChange={(e) => {
          const list = e.currentTarget.files;
          if (!list || list.length === 0) return;
          const picked = readPicker(list);
          void take(list[0]?.webkitRelativePath.split("/")[0] ?? "", () => picked);
          e.currentTarget.value = "";
        }}
      />
    </>
  );
}
