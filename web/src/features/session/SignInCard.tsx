import { Alert, Button, Center, Loader, Paper, PasswordInput, Stack, Text, TextInput, Title } from "@mantine/core";
import { IconInfoCircle } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import { useEffect, useState, type FormEvent } from "react";

import type { Login } from "@/api/gen";
import { loginMutation } from "@/api/gen/@tanstack/react-query.gen";
import { asApiError } from "@/api/problem";

import classes from "./SignInCard.module.css";
import { takeCode } from "./code";

interface Props {
  /** Why one is asked to sign in, where that needs a word. */
  notice?: string | undefined;
  /** A name to begin with. */
  name?: string | undefined;
  onSignedIn: () => void | Promise<void>;
}

/** Signs in by name and password, or by the code of a one-time link. */
export function SignInCard({ notice, name, onSignedIn }: Props) {
  const login = useMutation({ ...loginMutation(), meta: { signsIn: true }, onSuccess: onSignedIn });
  const { mutate } = login;
  useEffect(() => {
    const take = () => {
      const code = takeCode();
      if (code !== undefined) mutate({ body: { code } });
    };
    take();
    // A link that is opened here changes what is behind the # and loads nothing.
    window.addEventListener("hashchange", take);
    return () => window.removeEventListener("hashchange", take);
  }, [mutate]);
  const byLink = login.variables?.body.code !== undefined;
  return (
    <div className={classes.page}>
      <Paper className={classes.card} p="xl" radius="lg">
        <Stack gap="lg">
          <Stack gap={6} align="flex-start">
            <svg viewBox="0 0 32 32" width="36" height="36" aria-hidden="true">
              <rect width="32" height="32" rx="8" fill="#0b7285" />
              <path d="M22.5 10.2A8.5 8.5 0 1 0 22.5 21.8" fill="none" stroke="#fff" strokeWidth="3.6" strokeLinecap="round" />
              <circle cx="16" cy="16" r="2.6" fill="#99e9f2" />
            </svg>
            <Title order={1} mt="xs">
              Sign in to Cove
            </Title>
          </Stack>
          {byLink && (login.isPending || login.isSuccess) ? (
            <Center h={180} aria-busy="true">
              <Stack align="center" gap="sm">
                <Loader size="sm" />
                <Text size="sm">Signing in</Text>
              </Stack>
            </Center>
          ) : (
            <LoginForm
              first={name ?? ""}
              pending={login.isPending || login.isSuccess}
              error={login.error}
              notice={login.error ? undefined : notice}
              onSubmit={(body) => login.mutate({ body })}
            />
          )}
        </Stack>
      </Paper>
    </div>
  );
}

function LoginForm(props: { first: string; pending: boolean; error: unknown; notice: string | undefined; onSubmit: (body: Login) => void }) {
  const [name, setName] = useState(props.first);
  const [password, setPassword] = useState("");
  const submit = (e: FormEvent) => {
    e.preventDefault();
    props.onSubmit({ name: name.trim(), password });
  };
  const problem = props.error ? asApiError(props.error) : undefined;
  return (
    <form onSubmit={submit}>
      <Stack gap="md">
        {props.notice !== undefined && (
          <Alert color="cove" variant="light" icon={<IconInfoCircle size={18} />}>
            {props.notice}
          </Alert>
        )}
        {problem && (
          <Alert color="red" variant="light" role="alert">
            {problem.detail || problem.title}
          </Alert>
        )}
        <TextInput label="Name" autoComplete="username" autoCapitalize="none" spellCheck={false} autoFocus={props.first === ""} data-autofocus={props.first === "" || undefined} required withAsterisk={false} value={name} onChange={(e) => setName(e.currentTarget.value)} />
        <PasswordInput label="Password" autoComplete="current-password" data-autofocus={props.first !== "" || undefined} required withAsterisk={false} value={password} onChange={(e) => setPassword(e.currentTarget.value)} />
        <Button type="submit" size="md" loading={props.pending} disabled={name.trim() === "" || password === ""}>
          Sign in
        </Button>
        <Text size="xs" c="var(--cove-muted)">
          No password yet? <code>cove console</code> on the daemon’s machine prints a link that signs you in once.
        </Text>
      </Stack>
    </form>
  );
}
