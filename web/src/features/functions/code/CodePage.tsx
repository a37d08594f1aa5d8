import { LoadingPage } from "@/components/states";

export function CodePage() {
  return <LoadingPage />;
}
