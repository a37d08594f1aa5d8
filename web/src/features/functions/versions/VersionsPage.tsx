import { LoadingPage } from "@/components/states";

export function VersionsPage() {
  return <LoadingPage />;
}
