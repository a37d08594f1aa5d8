import { LoadingPage } from "@/components/states";

export function FunctionMetrics() {
  return <LoadingPage />;
}
