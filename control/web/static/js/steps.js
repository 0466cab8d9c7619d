// Step lines over time, by uPlot: above the queue, below it the machines; hover in one shows both.
import { token } from "./colours.js";

const PLOTS = [["queued"], ["wanted", "live", "busy"]];
const HEIGHTS = [110, 200];
const LOOKS = {
  queued: { stroke: "--waiting", fill: "--waiting-soft" },
  wanted: { stroke: "--ink", dash: [6, 4] },
  live: { stroke: "--active", width: 2.2 },
  busy: { stroke: "--done", fill: "--done-soft", width: 1.4 },
};
const EVERY_MS = 10_000;

class Steps {
  constructor(box) {
    this.box = box;
    this.plots = [];
    new ResizeObserver(() => this.plots.forEach((plot, at) => plot.setSize({ width: this.width(), height: HEIGHTS[at] }))).observe(box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    document.addEventListener("talkoot:changed", () => this.load());
    setInterval(() => document.hidden || this.load(), EVERY_MS);
    this.load();
  }

  width() {
    const style = getComputedStyle(this.box);
    return Math.floor(this.box.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight));
  }

  async load() {
    const answer = await fetch(this.box.dataset.steps).catch(() => null);
    if (!answer?.ok) return;
    this.data = await answer.json();
    if (this.plots.length) this.plots.forEach((plot, at) => plot.setData(this.columns(PLOTS[at])));
    else this.draw();
  }

  columns(names) {
    return [this.data.time, ...names.map((name) => this.line(name).values)];
  }

  line(name) {
    return this.data.series.find((one) => one.name === name);
  }

  draw() {
    if (!this.data) return;
    this.plots.forEach((plot) => plot.destroy());
    this.box.replaceChildren();
    const axis = { stroke: token("--quiet"), grid: { stroke: token("--line"), width: 1 }, ticks: { stroke: token("--line"), width: 1 }, font: "11px system-ui" };
    this.plots = PLOTS.map((names, at) => this.plot(names, HEIGHTS[at], axis, at === PLOTS.length - 1));
  }

  plot(names, height, axis, isLast) {
    const place = document.createElement("div");
    place.className = "chart";
    place.setAttribute("role", "img");
    place.setAttribute("aria-label", names.map((name) => `${this.line(name).word}: now ${this.line(name).values.at(-1)}`).join(", "));
    this.box.append(place);
    const whole = (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? tick.toLocaleString() : ""));
    const options = {
      width: this.width(),
      height,
      cursor: { sync: { key: this.box.dataset.steps }, points: { size: 6 }, drag: { x: false, y: false } },
      scales: { y: { range: (_, __, most) => [0, Math.max(1, most * 1.08)] } },
      axes: [{ ...axis, size: isLast ? 28 : 4, values: isLast ? undefined : () => [] }, { ...axis, size: 48, space: 24, values: whole }],
      series: [{ value: (_, time) => (time ? new Date(time * 1000).toLocaleString([], { dateStyle: "short", timeStyle: "short" }) : "now"), label: "at" }, ...names.map((name) => this.series(name))],
      legend: { live: true },
    };
    return new window.uPlot(options, this.columns(names), place);
  }

  series(name) {
    const look = LOOKS[name];
    return {
      label: this.line(name).word,
      stroke: token(look.stroke),
      fill: look.fill && token(look.fill),
      dash: look.dash,
      width: look.width || 1.8,
      paths: window.uPlot.paths.stepped({ align: 1 }),
      points: { show: false },
      value: (_, value) => (value ?? this.line(name).values.at(-1) ?? "").toLocaleString(),
    };
  }
}

for (const box of document.querySelectorAll("[data-steps]")) new Steps(box);
