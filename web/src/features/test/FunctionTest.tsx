import { LoadingPage } from "@/components/states";

export function FunctionTest() {
  return <LoadingPage />;
}
