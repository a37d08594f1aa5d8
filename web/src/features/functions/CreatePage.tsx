import { LoadingPage } from "@/components/states";

export function CreatePage() {
  return <LoadingPage />;
}
