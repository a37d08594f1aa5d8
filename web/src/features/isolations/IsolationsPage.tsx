import { LoadingPage } from "@/components/states";

export function IsolationsPage() {
  return <LoadingPage />;
}
