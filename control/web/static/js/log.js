// The log: only the lines in sight are in the page; the rest is a tall empty box with a scroll bar.
import { pieces } from "./ansi.js";
import { Lines } from "./log-lines.js";

const HEIGHT = 20; // of a line; --log-line
const TALLEST = 16_000_000; // browsers lay out no taller box; beyond it the scroll bar is scaled
const FOLD = 1000;
const KINDS = { o: "out", e: "err", s: "sys" };

const make = (name, className, text) => {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
};
const button = (bar, name) => bar.querySelector(`[data-log-${name}]`);

class View {
  constructor(box) {
    this.box = box;
    this.bar = box.parentElement.querySelector("[data-log-bar]");
    this.unfolded = new Set();
    this.shown = new Map();
    this.hits = [];
    this.extra = 0;
    this.isMain = box.classList.contains("whole");
    const rows = [...box.querySelectorAll(".line")];
    this.lines = new Lines(box.dataset.log, Number(box.dataset.total), "complete" in box.dataset, (fresh) => this.changed(fresh));
    for (const row of rows) {
      const kind = row.classList.contains("err") ? "e" : row.classList.contains("sys") ? "s" : "o";
      const raw = row.dataset.raw ?? row.querySelector("span").textContent;
      if (!raw.endsWith(" more characters)")) this.lines.keep({ number: Number(row.dataset.number), time: row.dataset.time, kind, raw });
    }
    this.tall = make("div");
    this.pane = make("div", "pane");
    this.rows = make("div");
    this.pane.append(this.rows);
    this.tall.append(this.pane);
    box.replaceChildren(this.tall);
    this.follows = !this.lines.isComplete && !this.target();
    this.wire();
    this.restore();
    this.layout();
    if (this.target()) this.jump(this.target()[0]);
    else this.toEnd();
    this.lines.listen();
  }

  get size() {
    return this.only ? this.only.length : this.lines.total;
  }

  lineAt(index) {
    return this.only ? this.only[index] : this.lines.get(index + 1);
  }

  /** The marked lines: #L120 or #L120-L130. */
  target() {
    const match = /^#L(\d+)(?:-L(\d+))?$/.exec(location.hash);
    return match && [Number(match[1]), Number(match[2] || match[1])];
  }

  changed(fresh) {
    if (fresh && this.only) this.only.push(...fresh.filter((line) => this.kinds.includes(line.kind)));
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.layout();
      if (this.follows) this.toEnd();
      else this.draw();
    });
  }

  layout() {
    const isWrapped = this.box.classList.contains("wrap");
    const content = this.size * HEIGHT + (isWrapped ? this.extra : 0);
    this.height = Math.min(content, TALLEST);
    this.tall.style.height = `${Math.max(this.height, this.box.clientHeight)}px`;
    this.pane.style.height = `${this.box.clientHeight}px`;
    const range = this.height - this.box.clientHeight;
    this.scale = range > 0 ? (content - this.box.clientHeight) / range : 1;
    const state = this.lines.isLost ? "connection lost, trying again" : this.lines.isComplete ? "" : "live";
    const count = `${this.size.toLocaleString("en").replaceAll(",", "\u202f")} ${this.size === 1 ? "line" : "lines"}`;
    button(this.bar, "count").textContent = state ? `${count}, ${state}` : count;
    const follow = button(this.bar, "follow");
    follow.hidden = this.lines.isComplete;
    follow.setAttribute("aria-pressed", this.follows);
  }

  toEnd() {
    this.isOurs = true;
    this.box.scrollTop = this.tall.offsetHeight;
    this.draw();
  }

  jump(number) {
    this.follows = false;
    const index = this.only ? this.only.findIndex((line) => line.number >= number) : number - 1;
    const middle = Math.max(0, index * HEIGHT - this.box.clientHeight / 3);
    this.isOurs = true;
    this.box.scrollTop = middle / this.scale;
    this.layout();
    this.draw();
  }

  draw() {
    const view = this.box.clientHeight;
    const top = Math.max(0, this.box.scrollTop * this.scale);
    const many = Math.ceil(view / HEIGHT) + 2;
    const first = Math.max(0, Math.min(Math.floor(top / HEIGHT), this.size - many + 2));
    const last = Math.min(this.size, first + many);
    const wanted = [];
    for (let index = first; index < last; index += 1) wanted.push(this.row(index));
    for (const child of [...this.rows.children]) if (!wanted.includes(child)) child.remove();
    let cursor = this.rows.firstChild;
    for (const row of wanted) {
      if (row === cursor) cursor = cursor.nextSibling;
      else this.rows.insertBefore(row, cursor);
    }
    this.place(top, first, last === this.size, view);
    if (this.only && last === this.size && this.next) this.more();
    if (!this.size) this.rows.replaceChildren(make("p", "gap", this.lines.isComplete ? "Nothing here." : "Nothing printed yet."));
  }

  /** Shift the rows by the part of the first line that is scrolled away; the last line stays at the bottom. */
  place(top, first, isEnd, view) {
    const tall = this.rows.offsetHeight;
    const above = this.rows.firstChild?.offsetHeight || HEIGHT;
    let shift = -((top - first * HEIGHT) / HEIGHT) * above;
    const isAtEnd = this.box.scrollTop + view >= this.box.scrollHeight - 2;
    this.restsAtEnd = isAtEnd;
    if (isEnd && tall > view) shift = isAtEnd ? view - tall : Math.max(shift, view - tall);
    else if (isEnd && tall <= view) shift = 0;
    this.rows.style.transform = `translateY(${Math.round(shift)}px)`;
    const extra = isEnd ? Math.min(Math.max(0, tall - view - 2 * HEIGHT), view) : this.extra;
    if (Math.abs(extra - this.extra) > HEIGHT && this.box.classList.contains("wrap")) {
      this.extra = extra;
      this.layout();
      if (this.follows || isAtEnd) {
        this.isOurs = true;
        this.box.scrollTop = this.tall.offsetHeight;
      }
    }
  }

  row(index) {
    const line = this.lineAt(index);
    const number = line ? line.number : index + 1;
    const known = this.shown.get(number);
    if (known && known.line === line && known.version === this.version) return known.row;
    const row = line ? this.drawn(line) : make("div", "line out");
    if (!line) row.append(make("a"), make("span", "quiet", "…"));
    if (this.shown.size > 400) this.shown.clear();
    this.shown.set(number, { line, row, version: this.version });
    return row;
  }

  drawn(line) {
    const row = make("div", `line ${KINDS[line.kind] || "out"}`);
    const target = this.target();
    if (target && line.number >= target[0] && line.number <= target[1]) row.classList.add("marked");
    const link = make("a");
    link.href = `#L${line.number}`;
    link.setAttribute("aria-label", `Line ${line.number}`);
    link.append(make("b", "", line.number), make("time", "", line.time.slice(11, 23)));
    link.querySelector("time").dataset.still = "";
    const body = make("span");
    const isFolded = line.raw.length > FOLD && !this.unfolded.has(line.number);
    for (const [text, style] of pieces(isFolded ? line.raw.slice(0, FOLD) : line.raw)) this.write(body, text, style);
    if (isFolded) {
      const more = make("button", "more", `${line.raw.length - FOLD} more characters`);
      more.onclick = () => {
        this.unfolded.add(line.number);
        this.redraw();
      };
      body.append(more);
    }
    row.append(link, body);
    return row;
  }

  write(body, text, style) {
    const parts = this.needle ? text.split(this.needle) : [text];
    for (const [at, part] of parts.entries()) {
      if (!part) continue;
      const piece = this.needle && at % 2 ? make("mark", style, part) : style ? make("span", style, part) : document.createTextNode(part);
      body.append(piece);
    }
  }

  redraw() {
    this.version = (this.version || 0) + 1;
    this.layout();
    if (this.follows) this.toEnd();
    else this.draw();
  }

  async search(text) {
    const asked = (this.asked = text.trim());
    this.needle = asked && new RegExp(`(${asked.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")})`, "i");
    this.remember("find", asked);
    if (!asked) {
      this.hits = [];
      return this.tellHits("");
    }
    this.tellHits("…");
    const { lines } = await this.lines.matching({ text: asked, kinds: this.kinds || "oes" });
    if (asked !== this.asked) return;
    this.hits = lines.map((line) => line.number);
    this.at = -1;
    this.step(1);
  }

  step(by) {
    if (!this.hits.length) return this.tellHits("none");
    this.at = (this.at + by + this.hits.length) % this.hits.length;
    this.tellHits(`${this.at + 1} of ${this.hits.length}`);
    history.replaceState(null, "", `#L${this.hits[this.at]}`);
    this.version = (this.version || 0) + 1;
    this.jump(this.hits[this.at]);
  }

  tellHits(text) {
    button(this.bar, "hits").textContent = text;
    if (!this.hits.length) this.redraw();
  }

  async filter() {
    const kinds = [...this.bar.querySelectorAll("[data-log-stream]:checked")].map((box) => box.dataset.logStream).join("");
    this.remember("streams", kinds.length === 3 ? "" : kinds || "none");
    this.kinds = kinds.length === 3 ? "" : kinds || "-";
    this.only = this.kinds ? [] : undefined;
    this.next = 0;
    if (this.kinds) await this.more(true);
    this.redraw();
  }

  async more(isFirst) {
    if (this.isFetching) return;
    this.isFetching = true;
    const found = await this.lines.matching({ kinds: this.kinds, after: isFirst ? 0 : this.next, limit: 5000 });
    this.isFetching = false;
    if (!this.only) return;
    this.only.push(...found.lines);
    this.next = found.next < found.total ? found.next : 0;
    this.redraw();
  }

  remember(name, value) {
    const url = new URL(location);
    if (value) url.searchParams.set(name, value);
    else url.searchParams.delete(name);
    if (this.isMain) history.replaceState(null, "", url);
  }

  toggle(name, value = !this.box.classList.contains(name)) {
    this.box.classList.toggle(name, value);
    button(this.bar, name).checked = value;
    this.extra = 0;
    this.redraw();
    return value;
  }

  restore() {
    const query = new URLSearchParams(location.search);
    if (query.get("wrap") === "no") this.toggle("wrap", false);
    if (query.get("times")) this.toggle("times", true);
    const streams = query.get("streams");
    if (streams) {
      for (const box of this.bar.querySelectorAll("[data-log-stream]")) box.checked = streams.includes(box.dataset.logStream);
      this.filter();
    }
    if (query.get("find")) {
      button(this.bar, "search").value = query.get("find");
      this.search(query.get("find"));
    }
  }

  wire() {
    const { box, bar } = this;
    box.addEventListener("scroll", () => {
      if (!this.isOurs) {
        this.follows = !this.lines.isComplete && box.scrollTop + box.clientHeight >= box.scrollHeight - 4;
        button(bar, "follow").setAttribute("aria-pressed", this.follows);
      }
      this.isOurs = false;
      this.draw();
    }, { passive: true });
    new ResizeObserver(() => {
      this.layout();
      if (this.restsAtEnd) this.toEnd();
      else this.draw();
    }).observe(box);
    addEventListener("hashchange", () => {
      this.version = (this.version || 0) + 1;
      if (this.target()) this.jump(this.target()[0]);
    });
    this.rows.addEventListener("click", (event) => this.mark(event));
    button(bar, "wrap").onchange = () => this.remember("wrap", this.toggle("wrap") ? "" : "no");
    button(bar, "times").onchange = () => this.remember("times", this.toggle("times") ? "yes" : "");
    button(bar, "follow").onclick = () => {
      this.follows = !this.follows;
      this.redraw();
    };
    button(bar, "error").onclick = (event) => this.firstError(event);
    for (const one of bar.querySelectorAll("[data-log-stream]")) one.onchange = () => this.filter();
    const search = button(bar, "search");
    let timer;
    search.oninput = () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.search(search.value), 250);
    };
    search.onkeydown = (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      if (search.value.trim() === this.asked) this.step(event.shiftKey ? -1 : 1);
      else this.search(search.value);
    };
  }

  mark(event) {
    const link = event.target.closest("a");
    if (!link) return;
    event.preventDefault();
    const number = Number(link.hash.slice(2));
    const first = event.shiftKey && this.target() ? this.target()[0] : number;
    const range = first === number ? `#L${number}` : `#L${Math.min(first, number)}-L${Math.max(first, number)}`;
    history.replaceState(null, "", location.hash === range ? location.pathname + location.search : range);
    this.version = (this.version || 0) + 1;
    this.draw();
  }

  async firstError(event) {
    event.preventDefault();
    const answer = await fetch(`${this.lines.url}log/first-error/?as=number`);
    const number = Number(await answer.text());
    if (!number) return this.tellHits("no error");
    history.replaceState(null, "", `#L${number}`);
    this.version = (this.version || 0) + 1;
    this.jump(number);
  }
}

for (const box of document.querySelectorAll("[data-log]")) new View(box);
