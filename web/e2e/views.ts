import AxeBuilder from "@axe-core/playwright";
import { join } from "node:path";

import { expect, type Page } from "@playwright/test";

const shots = process.env.COVE_SCREENSHOTS ?? join(import.meta.dirname, "../screenshots");

const sizes = [
  { width: 1280, height: 800 },
  { width: 390, height: 844 },
] as const;
const schemes = ["light", "dark"] as const;

/** Waits until nothing on the page is on its way any more. */
export async function settle(page: Page): Promise<void> {
  await page.evaluate(async () => {
    await document.fonts.ready;
  });
  await expect(page.locator('main [aria-busy="true"]')).toHaveCount(0, { timeout: 15_000 });
}

/**
 * Looks at the page as it is, in light and dark, wide and narrow: a screenshot of
 * each into web/screenshots, nothing wider than the window, and nothing serious
 * found by axe, wide in light and narrow in dark.
 */
export async function look(page: Page, name: string): Promise<void> {
  await settle(page);
  const before = page.viewportSize();
  for (const size of sizes) {
    await page.setViewportSize(size);
    for (const scheme of schemes) {
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
      await expect(page.locator("html")).toHaveAttribute("data-mantine-color-scheme", scheme);
      // Two frames: the one in which the colours change, and the one that shows them.
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 60)))));
      await page.screenshot({ path: join(shots, `${name}-${size.width}-${scheme}.png`) });
      if ((size.width === 1280) === (scheme === "light")) expect.soft(await serious(page), `${name}, ${size.width} px, ${scheme}`).toEqual([]);
    }
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect.soft(over, `${name} is wider than ${size.width} px`).toBeLessThanOrEqual(0);
  }
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
  if (before) await page.setViewportSize(before);
}

/** What axe finds that is serious or worse, one line each. */
async function serious(page: Page): Promise<string[]> {
  // What is out of the window and skipped by content-visibility still has the colours
  // of the scheme before.
  await page.evaluate(() => {
    for (const element of document.querySelectorAll<HTMLElement>("main *")) {
      if (getComputedStyle(element).contentVisibility === "auto") element.style.contentVisibility = "visible";
    }
  });
  const { violations } = await new AxeBuilder({ page }).withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]).analyze();
  return violations
    .filter((v) => v.impact === "serious" || v.impact === "critical")
    .flatMap((v) => v.nodes.slice(0, 4).map((node) => `${v.id}: ${node.target.join(" ")}: ${node.any[0]?.message ?? v.help}`));
}
