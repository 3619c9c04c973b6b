// Light or dark, as the system says or as the person chose here; before the page is drawn, so that nothing flashes.

(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
  const kept = (work) => {
    try {
      return work();
    } catch {
      return null; // a browser that keeps nothing
    }
  };
  const chosen = kept(() => localStorage.theme);
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const name = () => button.setAttribute("aria-label", isDark() ? "Light colours" : "Dark colours");
    button.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      kept(() => (localStorage.theme = root.dataset.theme));
      name();
    });
    dark.addEventListener("change", name);
    name();
  });
})();
