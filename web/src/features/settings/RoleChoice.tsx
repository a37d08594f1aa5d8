import { Radio, Stack } from "@mantine/core";

import { roles, type RoleName } from "./roles";

interface Props<R extends RoleName> {
  allowed: readonly R[];
  value: R;
  onChange: (role: R) => void;
}

/** Chooses a role, with what it may do. */
export function RoleChoice<R extends RoleName>({ allowed, value, onChange }: Props<R>) {
  return (
    <Radio.Group label="Role" value={value} onChange={(role) => onChange(role as R)}>
      <Stack gap={8} mt={6}>
        {roles.filter((role) => (allowed as readonly string[]).includes(role.value)).map((role) => (
          <Radio key={role.value} value={role.value} label={role.label} description={role.help} />
        ))}
      </Stack>
    </Radio.Group>
  );
}
