// Selecting rows: the bar below the table counts them, and a fresh table keeps what was selected.
const boxes = () => [...document.querySelectorAll("[data-rows] input[type=checkbox]")];
let kept = new Set(), current;

function show() {
  const chosen = boxes().filter((box) => box.checked).length;
  for (const bar of document.querySelectorAll("[data-chosen]")) {
    bar.hidden = chosen === 0;
    bar.querySelector("[data-count]").textContent = chosen === 1 ? "1 selected" : `${chosen} selected`;
    for (const button of bar.querySelectorAll("button")) button.disabled = chosen === 0;
  }
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-all]")) for (const box of boxes()) box.checked = event.target.checked;
  show();
});
document.addEventListener("htmx:beforeSwap", () => {
  kept = new Set(boxes().filter((box) => box.checked).map((box) => box.value));
  current = document.querySelector("[data-rows] tr[data-current]")?.id;
});
document.addEventListener("htmx:afterSwap", () => {
  for (const box of boxes()) box.checked = kept.has(box.value);
  const row = current && document.getElementById(current);
  if (row) row.dataset.current = "";
  show();
});
show();
