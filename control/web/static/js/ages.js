// Keeps "3 min ago" and running durations true while a page stays open; the words are those of control/web/formats.py.
const MINUTE = 60, HOUR = 3600, DAY = 86400;
const two = (number) => String(number).padStart(2, "0");

function rough(seconds) {
  if (seconds < MINUTE) return `${Math.floor(seconds)} s`;
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min`;
  if (seconds < DAY) return `${Math.floor(seconds / HOUR)} h`;
  const days = Math.floor(seconds / DAY);
  return days === 1 ? "1 day" : `${days} days`;
}

function duration(seconds) {
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < MINUTE) return `${whole} s`;
  if (whole < HOUR) return `${Math.floor(whole / MINUTE)} min ${two(whole % MINUTE)} s`;
  if (whole < DAY) return `${Math.floor(whole / HOUR)} h ${two(Math.floor((whole % HOUR) / MINUTE))} min`;
  return `${Math.floor(whole / DAY)} d ${Math.floor((whole % DAY) / HOUR)} h`;
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function tick() {
  if (document.hidden) return;
  const now = Date.now();
  for (const element of document.querySelectorAll("time[datetime]:not([data-still])")) {
    const seconds = (now - Date.parse(element.dateTime)) / 1000;
    if (seconds >= 0 && seconds < 14 * DAY) write(element, seconds < 10 ? "just now" : `${rough(seconds)} ago`);
  }
  for (const element of document.querySelectorAll("[data-since]")) {
    write(element, duration((now - Date.parse(element.dataset.since)) / 1000));
  }
}

setInterval(tick, 1000);
document.addEventListener("visibilitychange", tick);
