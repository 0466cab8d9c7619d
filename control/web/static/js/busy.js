// A form that was sent says so on its button, and is not sent twice by a second click.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if ("busy" in form.dataset) return event.preventDefault();
  form.dataset.busy = "";
  event.submitter?.setAttribute("aria-busy", "true");
});

// Whoever comes back by the browser's own button finds the form as it was.
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-busy]")) {
    delete form.dataset.busy;
    form.querySelector("[aria-busy]")?.removeAttribute("aria-busy");
  }
});
