// Light or dark: as the system says, until the reader chooses.

function startTheme(words) {
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const button = document.getElementById("theme");
  const show = (theme) => {
    root.dataset.theme = theme;
    // It names what a press gives, so that it needs no state of its own.
    button.textContent = theme === "dark" ? words.light_theme : words.dark_theme;
  };
  dark.addEventListener("change", () => show(dark.matches ? "dark" : "light"));
  button.addEventListener("click", () => show(root.dataset.theme === "dark" ? "light" : "dark"));
  show(dark.matches ? "dark" : "light");
}
