// What a person opened stays open, and what has the focus keeps it, when the server sends that part of the page anew.
const opened = new Map();
let focused = null, rememberedAt = 0;

document.addEventListener(
  "toggle",
  (event) => event.target.matches?.("details[id]") && opened.set(event.target.id, event.target.open),
  true,
);
document.addEventListener("htmx:beforeSwap", remember);
document.addEventListener("htmx:afterSettle", restore);
document.addEventListener("htmx:oobAfterSwap", restore);

// By its address or kind, and the how-manieth of those: the element itself is replaced.
// Parts come together: the first to be replaced takes the focus away, and the others find it gone.
function remember() {
  const active = document.activeElement;
  if (active === document.body && performance.now() - rememberedAt < 1000) return;
  focused = null;
  rememberedAt = performance.now();
  if (!active || active === document.body || active.id) return;
  const href = active.getAttribute("href");
  const kind = href ? `a[href="${CSS.escape(href)}"]` : active.localName;
  focused = { kind, at: [...document.querySelectorAll(kind)].indexOf(active) };
}

function restore() {
  for (const [id, isOpen] of opened) {
    const fold = document.getElementById(id);
    if (fold) fold.open = isOpen;
  }
  if (!focused || document.activeElement !== document.body) return;
  const again = document.querySelectorAll(focused.kind)[focused.at];
  again?.focus({ preventScroll: true });
  const row = again?.closest("[data-rows] tr");
  if (row) row.dataset.current = "";
}
