import { LoadingPage } from "@/components/states";

export function InvocationPage() {
  return <LoadingPage />;
}
