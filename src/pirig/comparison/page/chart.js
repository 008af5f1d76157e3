// One chart on a canvas: axes, lines, optional bands, and a crosshair.
const MARGIN = { left: 52, right: 12, top: 8, bottom: 24 };

class Chart {
  constructor(name, title, canLog) {
    Object.assign(this, { name, title, canLog, series: [], cursor: null });
    this.canvas = el("canvas", { tabindex: "0", role: "img", "aria-label": title });
    this.said = el("p", { class: "sr", role: "status" });
    this.node = el("figure", { class: "chart", "data-chart": name }, el("figcaption", {}, title), this.canvas, this.said);
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("pointerleave", () => this.leave());
    this.canvas.addEventListener("blur", () => this.leave());
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  // series: { run, label, colour, x, mean, low, high }, only what is to be seen
  show(series, options) {
    this.series = series;
    this.options = options;
    this.log = this.canLog && options.log;
    this.canvas.dataset.visible = String(series.length);
    this.canvas.setAttribute("aria-label", `${this.title}, ${series.length} curves: ${series.slice(0, 8).map((one) => one.label).join(", ")}`);
    this.draw();
  }

  domain() {
    let x0 = Infinity, x1 = -Infinity, y0 = Infinity, y1 = -Infinity;
    for (const one of this.series) {
      const low = this.options.band && one.low ? one.low : one.mean, high = this.options.band && one.high ? one.high : one.mean;
      for (let i = 0; i < one.x.length; i++) {
        x0 = Math.min(x0, one.x[i]); x1 = Math.max(x1, one.x[i]);
        if (!this.log || low[i] > 0) y0 = Math.min(y0, low[i]);
        y1 = Math.max(y1, high[i]);
      }
    }
    if (!this.log) y0 = Math.min(0, y0);
    if (this.log && !(y1 > 0)) [y0, y1] = [0.1, 1];
    if (y1 <= y0) y1 = this.log ? y0 * 10 : y0 + 1;
    const pad = this.log ? Math.pow(y1 / y0, 0.04) : (y1 - y0) * 0.04;
    if (x1 === x0) [x0, x1] = [x0 - 5, x1 + 5];
    return { x0, x1, y0: this.log ? y0 / pad : y0, y1: this.log ? y1 * pad : y1 + pad };
  }

  draw() {
    const width = this.canvas.clientWidth, height = this.canvas.clientHeight, ratio = window.devicePixelRatio || 1;
    if (!width || !this.options) return;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(document.documentElement);
    this.ink = { text: style.getPropertyValue("--muted"), line: style.getPropertyValue("--line"), strong: style.getPropertyValue("--text") };
    pen.font = "11px system-ui, sans-serif";
    if (!this.series.length) return this.empty(pen, width, height);
    const d = this.domain();
    const inner = { width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
    this.toX = (x) => MARGIN.left + ((x - d.x0) / (d.x1 - d.x0)) * inner.width;
    const scale = this.log ? Math.log : (y) => y;
    this.toY = (y) => MARGIN.top + (1 - (scale(Math.max(y, this.log ? d.y0 : y)) - scale(d.y0)) / (scale(d.y1) - scale(d.y0))) * inner.height;
    this.axes(pen, d, width, height);
    for (const one of this.series) this.line(pen, one);
    this.crosshair(pen, height);
  }

  empty(pen, width, height) {
    pen.fillStyle = this.ink.text;
    pen.textAlign = "center";
    pen.fillText("no curve of a ticked run", width / 2, height / 2);
  }

  axes(pen, d, width, height) {
    pen.lineWidth = 1;
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const y of this.log ? logTicks(d.y0, d.y1) : ticks(d.y0, d.y1, 5)) {
      this.rule(pen, MARGIN.left, this.toY(y), width - MARGIN.right, this.toY(y));
      pen.fillText(number(y, 3), MARGIN.left - 8, this.toY(y));
    }
    pen.textBaseline = "top";
    const unit = this.options.axis === "elapsed" ? (d.x1 > 7200 ? 3600 : 60) : 1;
    const name = { 1: "", 60: " min", 3600: " h" }[unit];
    const marks = ticks(d.x0 / unit, d.x1 / unit, Math.max(3, width / 90));
    marks.forEach((x, index) => {
      pen.textAlign = index === marks.length - 1 ? "right" : "center";
      const shift = index === marks.length - 1 && this.toX(x * unit) < width - 40 ? ((pen.textAlign = "center"), 0) : 0;
      pen.fillText(number(x, 4) + (index === marks.length - 1 ? name : ""), this.toX(x * unit) + shift, height - MARGIN.bottom + 7);
    });
  }

  rule(pen, x0, y0, x1, y1) {
    pen.strokeStyle = this.ink.line;
    pen.fillStyle = this.ink.text;
    pen.beginPath();
    pen.moveTo(x0, Math.round(y0) + 0.5);
    pen.lineTo(x1, Math.round(y1) + 0.5);
    pen.stroke();
  }

  line(pen, one) {
    const many = this.series.length > 12, near = this.nearest === one.run;
    const faded = this.cursor !== null && this.nearest !== undefined && !near;
    if (this.options.band && one.low && this.series.length <= 12) this.bandOf(pen, one, faded);
    pen.globalAlpha = faded ? 0.25 : many && !near ? 0.55 : 1;
    pen.strokeStyle = one.colour;
    pen.lineWidth = near ? 2.2 : many ? 1 : 1.5;
    pen.lineJoin = "round";
    pen.beginPath();
    one.x.forEach((x, i) => pen.lineTo(this.toX(x), this.toY(one.mean[i])));
    pen.stroke();
    if (one.x.length === 1) pen.fillRect(this.toX(one.x[0]) - 2, this.toY(one.mean[0]) - 2, 4, 4);
    pen.globalAlpha = 1;
  }

  bandOf(pen, one, faded) {
    pen.globalAlpha = faded ? 0.05 : 0.16;
    pen.fillStyle = one.colour;
    pen.beginPath();
    one.x.forEach((x, i) => pen.lineTo(this.toX(x), this.toY(one.high[i])));
    for (let i = one.x.length - 1; i >= 0; i--) pen.lineTo(this.toX(one.x[i]), this.toY(one.low[i]));
    pen.fill();
  }

  point(event) {
    if (!this.series.length || !this.toX) return;
    const box = this.canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    this.nearest = undefined;
    let best = 900;
    for (const one of this.series) {
      const i = closest(one.x, x, this.toX), distance = (this.toX(one.x[i]) - x) ** 2 + (this.toY(one.mean[i]) - y) ** 2;
      if (distance < best) [best, this.nearest] = [distance, one.run];
    }
    this.cursor = x;
    this.draw();
    showTip(event.clientX, event.clientY, this.values());
  }

  leave() {
    this.cursor = null;
    this.nearest = undefined;
    $("tip").hidden = true;
    this.draw();
  }

  key(event) {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move || !this.series.length) return;
    event.preventDefault();
    const box = this.canvas.getBoundingClientRect();
    const step = (event.shiftKey ? 0.1 : 0.02) * (box.width - MARGIN.left - MARGIN.right);
    const start = this.cursor ?? (move > 0 ? MARGIN.left : box.width - MARGIN.right);
    this.cursor = Math.min(box.width - MARGIN.right, Math.max(MARGIN.left, start + move * step));
    this.draw();
    const values = this.values();
    this.said.textContent = values.map((one) => `${one.label} ${number(one.y)}`).slice(0, 5).join(", ");
    showTip(box.left + this.cursor, box.top + MARGIN.top, values);
  }

  crosshair(pen, height) {
    if (this.cursor === null) return;
    pen.strokeStyle = this.ink.text;
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(Math.round(this.cursor) + 0.5, MARGIN.top);
    pen.lineTo(Math.round(this.cursor) + 0.5, height - MARGIN.bottom);
    pen.stroke();
  }

  // What each curve has at the cursor, the nearest curve first, else from the top.
  values() {
    const found = this.series.map((one) => {
      const i = closest(one.x, this.cursor, this.toX);
      return { run: one.run, label: one.label, colour: one.colour, x: one.x[i], y: one.mean[i], axis: this.options.axis };
    });
    return found.sort((a, b) => (b.run === this.nearest) - (a.run === this.nearest) || b.y - a.y);
  }
}

function closest(xs, pixel, toX) {
  let low = 0, high = xs.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (toX(xs[middle]) < pixel) low = middle; else high = middle;
  }
  return Math.abs(toX(xs[low]) - pixel) < Math.abs(toX(xs[high]) - pixel) ? low : high;
}

function ticks(low, high, about) {
  const raw = (high - low) / Math.max(1, about), power = Math.pow(10, Math.floor(Math.log10(raw)));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= raw);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-6; value += step) found.push(Number(value.toPrecision(12)));
  return found;
}

function logTicks(low, high) {
  const decades = Math.log10(high / low), factors = decades > 3 ? [1] : decades > 1.2 ? [1, 3] : [1, 2, 3, 5];
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    for (const factor of factors) {
      const value = Number((factor * Math.pow(10, power)).toPrecision(6));
      if (value >= low && value <= high) found.push(value);
    }
  }
  return found.length > 1 ? found : ticks(low, high, 4);
}

function showTip(x, y, values) {
  const tip = $("tip"), shown = values.slice(0, 8);
  if (!shown.length) return;
  const at = shown[0].axis === "elapsed" ? duration(shown[0].x) : `step ${whole(shown[0].x)}`;
  tip.replaceChildren(el("p", {}, at), ...shown.map((one) =>
    el("p", {}, el("i", { style: `background:${one.colour}` }), el("span", {}, one.label), el("b", {}, number(one.y)))));
  if (values.length > shown.length) tip.append(el("p", {}, `and ${values.length - shown.length} more`));
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.min(x + 14, window.innerWidth - box.width - 8)}px`;
  tip.style.top = `${Math.min(y + 14, window.innerHeight - box.height - 8)}px`;
}
