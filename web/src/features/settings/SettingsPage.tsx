import { LoadingPage } from "@/components/states";

export function SettingsPage() {
  return <LoadingPage />;
}
