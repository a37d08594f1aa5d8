import { createTheme, localStorageColorSchemeManager, type MantineColorsTuple } from "@mantine/core";

/** A bay's water: the one accent of the console. */
const cove: MantineColorsTuple = [
  "#e6fafb",
  "#c9f0f3",
  "#99e3ea",
  "#66d3de",
  "#3bc2d1",
  "#1ba6b8",
  "#0e8ba0",
  "#0b7285",
  "#095b6b",
  "#064452",
];

/** A dark that is blue rather than black; 0 is text, 7 the page. */
const dark: MantineColorsTuple = [
  "#d6dee7",
  "#a9b6c3",
  "#93a1b0",
  "#5f6d7b",
  "#38434f",
  "#2b333d",
  "#222a33",
  "#191f27",
  "#12171d",
  "#0c1014",
];

/** Mantine's reds, from the sixth on dark enough to carry white text. */
const red: MantineColorsTuple = [
  "#fff1f1",
  "#fde0e0",
  "#f9bcbc",
  "#f49595",
  "#ee7377",
  "#e5575c",
  "#d93a40",
  "#c62a2f",
  "#ad2227",
  "#8c1a1e",
];

export const theme = createTheme({
  colors: { cove, dark, red },
  primaryColor: "cove",
  primaryShade: 7,
  autoContrast: false,
  defaultRadius: "md",
  cursorType: "pointer",
  fontFamily: '"Inter", system-ui, -apple-system, "Segoe UI", sans-serif',
  fontFamilyMonospace: '"JetBrains Mono", ui-monospace, "SFMono-Regular", Menlo, monospace',
  fontSizes: { xs: "0.75rem", sm: "0.8125rem", md: "0.875rem", lg: "1rem", xl: "1.25rem" },
  headings: {
    fontWeight: "620",
    sizes: {
      h1: { fontSize: "1.375rem", lineHeight: "1.3" },
      h2: { fontSize: "1.0625rem", lineHeight: "1.4" },
      h3: { fontSize: "0.9375rem", lineHeight: "1.4" },
    },
  },
  components: {
    Paper: { defaultProps: { radius: "md", withBorder: true } },
    // Some colours are no ink: the title of a yellow one could hardly be read.
    Alert: { styles: { title: { color: "var(--mantine-color-text)" } } },
    Tooltip: { defaultProps: { openDelay: 250, withArrow: true } },
    Button: { defaultProps: { size: "sm" } },
    Modal: { defaultProps: { centered: true, overlayProps: { backgroundOpacity: 0.45 }, closeButtonProps: { "aria-label": "Close" } } },
    Drawer: { defaultProps: { closeButtonProps: { "aria-label": "Close" } } },
    Notification: { defaultProps: { closeButtonProps: { "aria-label": "Close" } } },
    Skeleton: { defaultProps: { radius: "sm" } },
  },
});

/** Where the chosen scheme is kept; public/theme.js reads the same key. */
export const colorSchemeManager = localStorageColorSchemeManager({ key: "cove-color-scheme" });
