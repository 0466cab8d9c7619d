// The keyboard: / search, ? help, g p / g e / g d places, n new run, j k rows, x select, Enter open, Esc leave.
let leader = -Infinity;
const isTyping = (target) => target.closest("input, textarea, select, [contenteditable]");
const shortcuts = document.querySelector("[data-shortcuts]");
const go = (url) => url && location.assign(url);
const project = () => document.querySelector("[data-project]")?.dataset.project;
const places = {
  p: () => go("/"),
  e: () => go(project() && `${project()}executions/`),
  d: () => go(project() && `${project()}data/`),
};

function move(step) {
  const rows = [...document.querySelectorAll("[data-rows] tr")];
  if (!rows.length) return;
  const at = rows.findIndex((row) => "current" in row.dataset);
  const next = rows[Math.min(rows.length - 1, Math.max(0, at + step))];
  if (rows[at]) delete rows[at].dataset.current;
  next.dataset.current = "";
  (next.querySelector(".main a") || next).focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

const actions = {
  "/": () => document.querySelector("[data-search]")?.focus(),
  "?": () => shortcuts.showModal(),
  n: () => document.querySelector("[data-key=n]")?.click(),
  f: () => document.querySelector("[data-key=f]")?.click(),
  j: () => move(1),
  k: () => move(-1),
  x: () => document.querySelector("tr[data-current] input[type=checkbox]")?.click(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") {
    document.querySelectorAll("details.menu[open]").forEach((menu) => (menu.open = false));
    if (isTyping(event.target)) event.target.blur();
    return;
  }
  if (isTyping(event.target) && event.target.type !== "checkbox") return;
  const isLed = performance.now() - leader < 1200;
  leader = event.key === "g" ? performance.now() : -Infinity;
  const action = isLed ? places[event.key] : actions[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});
document.querySelector("[data-help]")?.addEventListener("click", () => shortcuts.showModal());
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
