import { LoadingPage } from "@/components/states";

export function FunctionInvocations() {
  return <LoadingPage />;
}
