// Copies the text beside a button, and says so to everybody.
export function toast(text) {
  const place = document.querySelector("[data-toasts]");
  const message = document.createElement("p");
  message.className = "toast";
  message.textContent = text;
  place.append(message);
  setTimeout(() => message.remove(), 4000);
}

async function write(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea"); // plain http on another machine has no clipboard
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = button.dataset.copy || button.closest(".copy").querySelector("pre").textContent;
  try {
    await write(text);
    toast("Copied.");
  } catch {
    toast("The browser did not allow copying: select the text instead.");
  }
});
for (const message of document.querySelectorAll(".toast")) setTimeout(() => message.remove(), 6000);
