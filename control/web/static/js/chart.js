// Curves of metrics, by uPlot: one chart a key, hover in one shows all; x is step, epoch or time.
import { token } from "./colours.js";

const COLOURS = ["--active", "--done", "--lost", "--waiting", "--failed", "--accent"];
const HEIGHT = 200;
const show = (value) => (value === null || value === undefined ? "" : Number(value.toPrecision(5)).toString());

function smooth(values, weight) {
  if (!weight) return values;
  let last = null;
  return values.map((value) => {
    if (value === null) return null;
    last = last === null ? value : last * weight + value * (1 - weight);
    return last;
  });
}

class Charts {
  constructor(box) {
    this.box = box;
    this.isCompact = "compact" in box.dataset;
    this.card = box.closest(".card") || box;
    this.plots = [];
    this.axis = this.card.querySelector("[data-chart-axis]");
    for (const name of ["axis", "log", "smooth"]) this.card.querySelector(`[data-chart-${name}]`)?.addEventListener("input", () => this.draw());
    new ResizeObserver(() => this.plots.forEach((plot) => plot.setSize({ width: this.width(), height: HEIGHT }))).observe(box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    document.addEventListener("talkoot:changed", () => this.load());
    this.load();
  }

  width() {
    const gap = 16, style = getComputedStyle(this.box);
    const room = this.box.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const most = this.isCompact ? 300 : 400;
    const columns = Math.max(1, Math.min(this.drawn?.length || 1, Math.floor((room + gap) / (most + gap)) || 1));
    return Math.floor((room - gap * (columns - 1)) / columns);
  }

  async load() {
    const answer = await fetch(this.box.dataset.chart);
    if (!answer.ok) return;
    const data = await answer.json();
    if (data.total === this.data?.total) return;
    const isFirst = !this.data;
    this.data = data;
    if (isFirst && this.axis) {
      for (const [value, word] of [...data.axes.map((key) => [key, key]), ["time", "time"], ["index", "number"]]) this.axis.add(new Option(word, value));
    }
    this.draw();
  }

  x() {
    const chosen = this.axis?.value || this.data.axes[0] || "index";
    if (chosen === "time") return [this.data.time, true];
    if (chosen === "index") return [this.data.time.map((_, at) => at + 1), false];
    let last = 0;
    return [this.data.series[chosen].map((value) => (last = value ?? last)), false];
  }

  draw() {
    this.plots.forEach((plot) => plot.destroy());
    const [xs, isTime] = this.x();
    const order = xs.map((_, at) => at).sort((a, b) => xs[a] - xs[b]);
    const pick = (values) => order.map((at) => values[at]);
    const weight = Number(this.card.querySelector("[data-chart-smooth]")?.value || 0);
    const isLog = this.card.querySelector("[data-chart-log]")?.checked;
    this.drawn = this.isCompact ? this.data.drawn.slice(0, 2) : this.data.drawn;
    this.box.replaceChildren();
    const ink = token("--quiet"), line = token("--line");
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: "11px system-ui" };
    this.plots = this.drawn.map((key, at) => {
      const place = document.createElement("div");
      place.className = "chart";
      place.setAttribute("role", "img");
      const values = this.data.series[key];
      const known = values.filter((value) => value !== null);
      place.setAttribute("aria-label", `Curve of ${key}: from ${show(known[0])} to ${show(known.at(-1))}`);
      this.box.append(place);
      const options = {
        title: key,
        width: this.width(),
        height: HEIGHT,
        cursor: { sync: { key: this.box.dataset.chart }, points: { size: 6 } },
        scales: { x: { time: isTime }, y: isLog ? { distr: 3 } : {} },
        axes: [{ ...axis, size: 28 }, { ...axis, size: 52 }],
        series: [{ label: this.axis?.selectedOptions[0]?.text || this.data.axes[0] || "number", value: (_, value) => ((value ?? xs.at(-1)) && isTime ? new Date((value ?? xs.at(-1)) * 1000).toLocaleTimeString() : show(value ?? xs.at(-1))) }, { label: key, stroke: token(COLOURS[at % COLOURS.length]), width: 1.8, spanGaps: true, points: { show: known.length < 40, size: 4 }, value: (_, value) => show(value ?? known.at(-1)) }],
        legend: { live: true },
      };
      const shown = isLog ? values.map((value) => (value > 0 ? value : null)) : values;
      return new window.uPlot(options, [pick(xs), pick(smooth(shown, weight))], place);
    });
  }
}

function begin() {
  for (const box of document.querySelectorAll("[data-chart]:not([data-begun])")) {
    box.dataset.begun = "";
    new Charts(box);
  }
}

addEventListener("DOMContentLoaded", begin);
document.addEventListener("htmx:afterSwap", begin); // the first metric of an execution brings its card
