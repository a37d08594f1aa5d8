import { ActionIcon, Menu, useMantineColorScheme, type MantineColorScheme } from "@mantine/core";
import { IconCheck, IconDeviceDesktop, IconMoon, IconSun } from "@tabler/icons-react";

const schemes: { key: MantineColorScheme; label: string; icon: typeof IconSun }[] = [
  { key: "light", label: "Light", icon: IconSun },
  { key: "dark", label: "Dark", icon: IconMoon },
  { key: "auto", label: "As the system", icon: IconDeviceDesktop },
];

/** Light, dark, or as the system is. */
export function ThemeSwitch() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const Current = schemes.find((s) => s.key === colorScheme)?.icon ?? IconDeviceDesktop;
  return (
    <Menu position="bottom-end" shadow="md" width={180}>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size="lg" aria-label="Colour scheme">
          <Current size={18} stroke={1.7} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {schemes.map(({ key, label, icon: Icon }) => (
          <Menu.Item
            key={key}
            leftSection={<Icon size={16} />}
            rightSection={key === colorScheme ? <IconCheck size={14} /> : undefined}
            onClick={() => setColorScheme(key)}
          >
            {label}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
