import { client } from "./gen/client.gen";
import { asApiError } from "./problem";

/**
 * Sets up the generated client: the session's cookie goes along, to this origin
 * alone, and every failure is an ApiError.
 */
export function setUpClient(): void {
  client.setConfig({ baseUrl: "", credentials: "same-origin", redirect: "error" });
  client.interceptors.error.use((error, response) => asApiError(error, response));
}
