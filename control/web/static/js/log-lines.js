// The lines of a log: those that were fetched, by number, and the stream that brings new ones.
const PIECE = 1000;
const KEPT = 60000;

export const parse = (text, number) => {
  const letter = text.indexOf(" ") + 1;
  const raw = text.slice(letter + 2);
  return { number, time: text.slice(0, letter - 1), kind: text[letter], raw: raw.slice(raw.lastIndexOf("\r") + 1) };
};

export class Lines {
  constructor(url, total, isComplete, onChange) {
    Object.assign(this, { url, total, isComplete, onChange, isLost: false });
    this.kept = new Map();
    this.coming = new Set();
    addEventListener("pagehide", () => this.pause());
    document.addEventListener("visibilitychange", () => (document.hidden ? this.pause() : this.listen()));
  }

  keep(line) {
    this.kept.set(line.number, line);
    if (this.kept.size > KEPT) {
      for (const number of this.kept.keys()) {
        this.kept.delete(number);
        if (this.kept.size <= KEPT * 0.8) break;
      }
    }
  }

  /** The line, or undefined: then it is on its way and onChange tells. */
  get(number) {
    const line = this.kept.get(number);
    if (!line) this.fetch(number);
    return line;
  }

  async fetch(number) {
    const after = Math.floor((number - 1) / PIECE) * PIECE;
    if (this.coming.has(after)) return;
    this.coming.add(after);
    try {
      const answer = await fetch(`${this.url}log/lines?after=${after}&limit=${PIECE}`);
      if (!answer.ok) throw new Error(answer.statusText);
      const rows = (await answer.text()).split("\n");
      rows.pop();
      rows.forEach((row, at) => this.keep(parse(row, after + 1 + at)));
      if (!this.kept.has(number)) throw new Error("not there yet");
      this.onChange();
      this.coming.delete(after);
    } catch {
      setTimeout(() => {
        this.coming.delete(after);
        this.onChange();
      }, 1500);
    }
  }

  /** Lines that hold a text or are of some streams: [{number, …}], from a number on. */
  async matching({ text = "", kinds = "oes", after = 0, limit = 2000 }) {
    const query = new URLSearchParams({ q: text, streams: kinds, after, limit });
    const answer = await fetch(`${this.url}log/matches?${query}`);
    if (!answer.ok) throw new Error(answer.statusText);
    const [head, ...rows] = (await answer.text()).split("\n");
    rows.pop();
    const lines = rows.map((row) => {
      const blank = row.indexOf(" ");
      return parse(row.slice(blank + 1), Number(row.slice(0, blank)));
    });
    const [next, total] = head.split(" ").map(Number);
    return { lines, next, total };
  }

  /** Open the stream of new lines; the browser resumes it after a cut by the last number it got. */
  listen() {
    if (this.source || this.isComplete || document.hidden) return;
    this.source = new EventSource(`${this.url}log/stream?after=${this.total}`);
    this.source.addEventListener("lines", (event) => this.take(event.data));
    this.source.addEventListener("end", () => {
      this.isComplete = true;
      this.pause();
      this.onChange();
    });
    this.source.onopen = () => this.say(false);
    this.source.onerror = () => {
      this.say(true);
      if (this.source?.readyState !== EventSource.CLOSED) return;
      this.pause();
      setTimeout(() => this.listen(), 2000);
    };
  }

  pause() {
    this.source?.close();
    this.source = undefined;
  }

  say(isLost) {
    if (this.isLost === isLost) return;
    this.isLost = isLost;
    this.onChange();
  }

  take(data) {
    const rows = data.split("\n");
    const [first, count] = rows[0].split(" ").map(Number);
    const fresh = [];
    for (let at = 1; at <= count; at += 1) {
      const number = first + at - 1;
      if (number <= this.total) continue; // sent twice around a cut
      const line = parse(rows[at], number);
      this.keep(line);
      fresh.push(line);
      this.total = number;
    }
    this.onChange(fresh);
  }
}
