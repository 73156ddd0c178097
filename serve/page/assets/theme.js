// Switches between light and dark; without a choice the page follows the system.

function startTheme() {
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  document.getElementById("theme").addEventListener("click", () => {
    const current = root.dataset.theme || (dark.matches ? "dark" : "light");
    root.dataset.theme = current === "dark" ? "light" : "dark";
  });
}
