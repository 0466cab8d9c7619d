// Asks once before what cannot be undone; without scripts the form is sent at once.
const dialog = document.createElement("dialog");
dialog.setAttribute("aria-labelledby", "confirm-text");
dialog.innerHTML =
  '<form method="dialog" class="stack"><p id="confirm-text"></p><div class="buttons"><button class="button danger" value="yes"></button><button class="button" value="no">Cancel</button></div></form>';

document.addEventListener("submit", (event) => {
  const form = event.target;
  const question = event.submitter?.dataset.confirm || form.dataset.confirm;
  if (!question || form.dataset.sure) return;
  event.preventDefault();
  event.stopPropagation();
  document.body.append(dialog);
  dialog.querySelector("p").textContent = question;
  dialog.querySelector("[value=yes]").textContent = event.submitter?.innerText.trim() || event.submitter?.ariaLabel || "Yes, do it";
  dialog.returnValue = "";
  dialog.onclose = () => {
    if (dialog.returnValue !== "yes") return;
    form.dataset.sure = "yes";
    if (!form.isConnected) document.body.append(form); // the page was refreshed around the question
    form.requestSubmit(event.submitter);
    delete form.dataset.sure;
  };
  dialog.showModal();
}, true);
