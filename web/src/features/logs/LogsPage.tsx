import { LoadingPage } from "@/components/states";

export function LogsPage() {
  return <LoadingPage />;
}
