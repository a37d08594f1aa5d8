import { LoadingPage } from "@/components/states";

export function FunctionsPage() {
  return <LoadingPage />;
}
