// What a person opened stays open when the server sends that part of the page anew.
const opened = new Map();

document.addEventListener(
  "toggle",
  (event) => event.target.matches?.("details[id]") && opened.set(event.target.id, event.target.open),
  true,
);
document.addEventListener("htmx:afterSettle", restore);
document.addEventListener("htmx:oobAfterSwap", restore);

function restore() {
  for (const [id, isOpen] of opened) {
    const fold = document.getElementById(id);
    if (fold) fold.open = isOpen;
  }
}
