import { PasswordInput } from "@mantine/core";

interface Props {
  /** What the first field is called. */
  label: string;
  password: string;
  again: string;
  onPassword: (value: string) => void;
  onAgain: (value: string) => void;
  error: string | undefined;
}

/** Takes a new password, twice. */
export function NewPassword({ label, password, again, onPassword, onAgain, error }: Props) {
  return (
    <>
      <PasswordInput label={label} description="10 characters at least" value={password} onChange={(event) => onPassword(event.currentTarget.value)} autoComplete="new-password" required error={error} />
      <PasswordInput label="The same again" value={again} onChange={(event) => onAgain(event.currentTarget.value)} autoComplete="new-password" required />
    </>
  );
}
