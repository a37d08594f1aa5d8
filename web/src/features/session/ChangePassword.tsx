import { Button, Group, Modal, PasswordInput, Stack, Text } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { changeOwnPasswordMutation } from "@/api/gen/@tanstack/react-query.gen";
import { asApiError, told } from "@/api/problem";
import { whoOptions } from "@/api/who";
import { NewPassword } from "@/components/NewPassword";
import { notifyDone } from "@/components/notify";
import { badPassword } from "@/components/password";
import { ErrorState } from "@/components/states";

interface Props {
  /** The name of the user who is signed in. */
  user: string;
  opened: boolean;
  onClose: () => void;
}

/** Gives who is signed in another password. */
export function ChangePassword({ user, opened, onClose }: Props) {
  return (
    <Modal opened={opened} onClose={onClose} title="Change your password">
      <Form user={user} onDone={onClose} />
    </Modal>
  );
}

function Form({ user, onDone }: { user: string; onDone: () => void }) {
  const queryClient = useQueryClient();
  const [old, setOld] = useState("");
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const [tried, setTried] = useState(false);
  const change = useMutation({
    ...changeOwnPasswordMutation(),
    onSuccess: (who) => {
      queryClient.setQueryData(whoOptions.queryKey, who);
      notifyDone("Your password is changed");
      onDone();
    },
  });
  const bad = badPassword(password, again);
  const problem = change.error ? asApiError(change.error) : undefined;
  const wrong = (field: string) => told(problem?.errors.find((one) => one.field === field));
  const elsewhere = problem && wrong("password") === undefined && wrong("new_password") === undefined;
  return (
    <form onSubmit={(event) => {
      event.preventDefault();
      setTried(true);
      if (!bad) change.mutate({ body: { password: old, new_password: password } });
    }}>
      <Stack gap="md">
        <Text size="sm">Everywhere else that you are signed in, you are signed out.</Text>
        {/* For password managers, which keep a password by its name. */}
        <input type="text" name="username" autoComplete="username" value={user} readOnly hidden />
        <PasswordInput label="The one that you have" value={old} onChange={(event) => setOld(event.currentTarget.value)} autoComplete="current-password" required data-autofocus error={wrong("password")} />
        <NewPassword label="New password" password={password} again={again} onPassword={setPassword} onAgain={setAgain} error={(tried ? bad : undefined) ?? wrong("new_password")} />
        {elsewhere && <ErrorState error={problem} compact />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onDone}>Cancel</Button>
          <Button type="submit" loading={change.isPending} disabled={old === "" || password === ""}>Change password</Button>
        </Group>
      </Stack>
    </form>
  );
}
