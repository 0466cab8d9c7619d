// On a narrow screen the tabs scroll sideways: the one whose page this is stays in sight.
function show() {
  for (const tab of document.querySelectorAll(".tabs [aria-current]")) {
    const row = tab.parentElement;
    row.scrollLeft = tab.offsetLeft - row.offsetLeft - (row.clientWidth - tab.offsetWidth) / 2;
  }
}

show();
document.addEventListener("htmx:afterSettle", show);
