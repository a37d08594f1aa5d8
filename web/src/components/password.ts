/** Why a new password is not good enough; undefined if it is. The API says so too, and knows more. */
export function badPassword(password: string, again: string): string | undefined {
  if ([...password].length < 10) return "10 characters at least";
  return password === again ? undefined : "The two are not the same";
}
