import { LoadingPage } from "@/components/states";

export function InvocationsPage() {
  return <LoadingPage />;
}
