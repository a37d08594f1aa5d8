import { Center } from "@mantine/core";
import { IconCompassOff } from "@tabler/icons-react";

import { ButtonLink } from "@/components/ButtonLink";
import { EmptyState } from "@/components/states";

/** An address that leads nowhere. */
export function NotFound() {
  return (
    <Center component="main" mih="70dvh" p="md">
      <EmptyState
        bare
        icon={<IconCompassOff size={22} />}
        title="There is no such page"
        action={
          <ButtonLink to="/" variant="default">
            To the overview
          </ButtonLink>
        }
      />
    </Center>
  );
}
