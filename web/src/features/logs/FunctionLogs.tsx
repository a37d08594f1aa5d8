import { LoadingPage } from "@/components/states";

export function FunctionLogs() {
  return <LoadingPage />;
}
