import { Button } from "@mantine/core";
import { IconFileZip } from "@tabler/icons-react";
import { useEffect, useRef, useState } from "react";

import { formatBytes } from "@/components/format";

import type { Source } from "./CreatePage";
import { DropBox } from "./DropBox";
import { archiveType } from "./source";

interface Props {
  over: boolean;
  dropped: File | undefined;
  onPick: (source: Source | undefined) => void;
}

/** Takes a zip or tar.gz as it is. */
export function ArchiveSource(props: Props) {
  const input = useRef<HTMLInputElement>(null);
  const [file, setFile] = useState<File>();
  const [error, setError] = useState<string>();

  const take = async (chosen: File | undefined) => {
    if (!chosen) return;
    const type = await archiveType(chosen);
    if (type === undefined) {
      setFile(undefined);
      setError(`${chosen.name} is neither a zip nor a tar.gz.`);
      props.onPick(undefined);
      return;
    }
    setFile(chosen);
    setError(undefined);
    const filename = type === "application/zip" ? "code.zip" : "code.tar.gz";
    props.onPick({ code: { archive: new Blob([chosen], { type }), filename }, config: {}, name: chosen.name });
  };
  const { dropped } = props;
  useEffect(() => {
    void take(dropped);
    // Only what is dropped is news.
  }, [dropped]);

  return (
    <>
      <DropBox
        title={file ? file.name : "Drop a zip or tar.gz here"}
        error={error}
        over={props.over}
        action={
          <Button variant="default" leftSection={<IconFileZip size={16} />} onClick={() => input.current?.click()}>
            {file ? "Choose another archive" : "Choose an archive"}
          </Button>
        }
      >
        {file ? formatBytes(file.size) : "With the handler’s file at its top. It is kept byte for byte."}
      </DropBox>
      <input
        ref={input}
        type="file"
        hidden
        accept=".zip,.tar.gz,.tgz"
        data-testid="archive-input"
        onChange={(e) => {
          void take(e.currentTarget.files?.[0]);
          e.currentTarget.value = "";
        }}
      />
    </>
  );
}
