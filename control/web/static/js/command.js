// Writes the `vh` command of a form while it is filled in; the words are those of presenters/invocation.py.
const form = document.querySelector("[data-command]");
const quote = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`);

function values(field) {
  if (field.type === "checkbox") return [field.checked ? "true" : ""];
  if (field.tagName === "TEXTAREA") return field.value.split("\n").map((line) => line.trim()).filter(Boolean);
  if (field.dataset.split) return field.value.split(field.dataset.split).map((part) => part.trim()).filter(Boolean);
  return [field.value.trim()];
}

function write() {
  const words = [`vh exec run ${quote(form.dataset.command)}`, `--commit=${form.dataset.commit}`];
  for (const field of form.querySelectorAll("[data-option]")) {
    const now = values(field);
    if (now.join("\n") === (field.dataset.default || "")) continue;
    if (field.type === "checkbox") now[0] ||= "false";
    for (const value of now) if (value) words.push(`${field.dataset.option}=${quote(value)}`);
  }
  form.querySelector(".copy pre").textContent = words.join(" \\\n  ");
}

function pick({ target }) {
  const name = target.closest("[data-pick]")?.dataset.pick;
  if (!name) return;
  const field = document.getElementById(name), choice = form.elements[`pick.${name}`];
  const lines = values(field);
  if (choice.value && !lines.includes(choice.value)) field.value = [...lines, choice.value].join("\n");
  choice.value = "";
  write();
}

if (form) {
  form.addEventListener("click", pick);
  form.addEventListener("input", write);
  write();
}
for (const select of document.querySelectorAll("[data-submits]")) select.addEventListener("change", () => select.form.requestSubmit());
