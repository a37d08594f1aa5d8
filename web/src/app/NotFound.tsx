import { Button } from "@mantine/core";
import { IconCompassOff } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";

import { EmptyState } from "@/components/states";

/** An address that leads nowhere. */
export function NotFound() {
  return (
    <EmptyState
      icon={<IconCompassOff size={22} />}
      title="There is no such page"
      action={
        <Button component={Link} to="/" variant="default">
          To the overview
        </Button>
      }
    />
  );
}
