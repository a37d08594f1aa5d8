import { Group, Stack, Text, Title } from "@mantine/core";
import { IconArrowRight, IconFileZip, IconFolderOpen } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { listTemplatesOptions } from "@/api/gen/@tanstack/react-query.gen";
import { useMay } from "@/api/who";
import { ButtonLink } from "@/components/ButtonLink";
import { ErrorState, LoadingBox } from "@/components/states";

import classes from "./FirstFunction.module.css";
import { RuntimeBadge } from "./parts";

/** What stands where the table will be, while nothing is deployed: the way to the first function. */
export function FirstFunction() {
  const mayCreate = useMay("developer");
  const templates = useQuery({ ...listTemplatesOptions(), staleTime: Number.POSITIVE_INFINITY });
  if (!mayCreate) {
    return (
      <div className={classes.root}>
        <Title order={2}>There are no functions yet</Title>
        <Text c="var(--cove-muted)">Somebody with the role developer can deploy the first one.</Text>
      </div>
    );
  }
  return (
    <div className={classes.root}>
      <Stack gap={4} mb="lg">
        <Title order={2}>Deploy your first function</Title>
        <Text c="var(--cove-muted)">Choose what to begin with. You can change every line of it before and after it runs.</Text>
      </Stack>
      {templates.isError ? (
        <ErrorState error={templates.error} retry={() => void templates.refetch()} />
      ) : (
        <div className={classes.grid}>
          {templates.data
            ? templates.data.items.map((t) => (
                <Link key={t.name} to="/create" search={{ template: t.name }} className={classes.choice}>
                  <span className={classes.choiceTitle}>
                    {t.title}
                    <IconArrowRight size={16} className={classes.arrow} aria-hidden="true" />
                  </span>
                  <span className={classes.choiceText}>{t.description}</span>
                  <RuntimeBadge runtime={t.runtime} />
                </Link>
              ))
            : Array.from({ length: 6 }, (_, i) => <LoadingBox key={i} height={118} />)}
        </div>
      )}
      <Group mt="lg" gap="xs">
        <Text size="sm" c="var(--cove-muted)">
          Or bring your own:
        </Text>
        <ButtonLink to="/create" search={{ from: "folder" }} variant="default" size="xs" leftSection={<IconFolderOpen size={15} />}>
          A folder
        </ButtonLink>
        <ButtonLink to="/create" search={{ from: "archive" }} variant="default" size="xs" leftSection={<IconFileZip size={15} />}>
          An archive
        </ButtonLink>
      </Group>
    </div>
  );
}
