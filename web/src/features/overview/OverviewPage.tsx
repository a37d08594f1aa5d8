import { LoadingPage } from "@/components/states";

export function OverviewPage() {
  return <LoadingPage />;
}
