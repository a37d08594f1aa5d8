// Runs before the first paint, so that a dark page does not flash white. It is a
// file of its own since the content security policy allows no inline script.
(function () {
  var scheme = null;
  try {
    scheme = localStorage.getItem("cove-color-scheme");
  } catch (e) {
    // Storage is closed; the system's preference it is.
  }
  if (scheme !== "light" && scheme !== "dark") {
    scheme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }
  document.documentElement.setAttribute("data-mantine-color-scheme", scheme);
})();
