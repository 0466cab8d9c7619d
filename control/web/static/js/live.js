// Live pages: the server says what changed, htmx fetches those fragments again.
// One stream a page, closed while the page is hidden: a browser has six connections to a host.
import "./folds.js";

const WAIT = 250;
const source = document.querySelector("[data-live]");
const offline = document.querySelector("[data-offline]");
let stream, timer, wasLost = false;

function refresh() {
  clearTimeout(timer);
  timer = setTimeout(() => {
    for (const part of document.querySelectorAll("[data-fresh]")) window.htmx?.trigger(part, "fresh");
    document.dispatchEvent(new CustomEvent("talkoot:changed"));
  }, WAIT);
}

function say(text) {
  offline.textContent = text;
  offline.hidden = !text;
}

function open() {
  if (stream || document.hidden) return;
  stream = new EventSource(source.dataset.live);
  stream.addEventListener("changed", refresh);
  stream.onopen = () => {
    if (wasLost) refresh(); // what changed meanwhile
    wasLost = false;
    say("");
  };
  stream.onerror = () => {
    wasLost = true;
    say("The connection is lost. Trying again; what you see may be out of date.");
    if (stream.readyState === EventSource.CLOSED) {
      close();
      setTimeout(open, 3000);
    }
  };
}

function close() {
  stream?.close();
  stream = undefined;
}

// Where no stream tells of changes, the page asks now and then, while somebody can see it.
const every = document.querySelector("[data-every]")?.dataset.every;
if (every) setInterval(() => document.hidden || window.htmx?.trigger(document.querySelector("[data-every]"), "fresh"), every * 1000);

if (source) {
  open();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      close();
      wasLost = true;
    } else open();
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && open());
}
