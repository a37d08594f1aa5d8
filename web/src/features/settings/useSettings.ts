import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { getSettingsOptions, getSettingsQueryKey, patchSettingsMutation } from "@/api/gen/@tanstack/react-query.gen";
import { notifyDone } from "@/components/notify";

/** The settings, and how to change them. */
export function useSettings() {
  const queryClient = useQueryClient();
  const settings = useQuery(getSettingsOptions());
  const change = useMutation({
    ...patchSettingsMutation(),
    onSuccess: (changed) => {
      queryClient.setQueryData(getSettingsQueryKey(), changed);
      notifyDone("The settings are saved");
    },
  });
  return { settings, change };
}
