// Sends files straight to the store: ask where, send, confirm. Without scripts the form goes through the server.
import { toast } from "./copy.js";
import { Sha256 } from "./sha256.js";

const PIECE = 4 * 1024 * 1024;

async function hash(file, tell) {
  const sum = new Sha256();
  for (let at = 0; at < file.size; at += PIECE) {
    sum.update(new Uint8Array(await file.slice(at, at + PIECE).arrayBuffer()));
    tell(at / file.size);
  }
  return sum.hex();
}

function send(file, { url, method, headers }, tell) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest(); // fetch tells no progress of an upload
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) if (name.toLowerCase() !== "content-length") request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => tell(event.loaded / file.size);
    request.onload = () => (request.status < 300 ? done() : fail(new Error(`the store answered ${request.status}`)));
    request.onerror = () => fail(new Error("the store does not let this page upload, or cannot be reached; talkoot doctor says which"));
    request.send(file);
  });
}

async function ask(url, body, csrf) {
  const answer = await fetch(url, { method: "POST", headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf }, body: JSON.stringify(body) });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.detail || Object.values(said).flat().map((one) => one.message || one).join(" "));
  return said;
}

for (const form of document.querySelectorAll("[data-upload]")) {
  const bar = form.querySelector("progress");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    bar.hidden = false;
    const csrf = form.elements.csrf_token.value;
    try {
      for (const file of form.elements.file.files) {
        const sha256 = await hash(file, (part) => (bar.value = part * 0.3));
        const { datum, upload } = await ask("/api/v0/data/", { project: form.dataset.upload, name: file.name, size: file.size, sha256 }, csrf);
        await send(file, upload, (part) => (bar.value = 0.3 + part * 0.7));
        await ask(`/api/v0/data/${datum.id}/confirm/`, {}, csrf);
      }
      location.reload();
    } catch (error) {
      toast(`It was not stored: ${error.message}.`);
      button.disabled = false;
      bar.hidden = true;
    }
  });
}
