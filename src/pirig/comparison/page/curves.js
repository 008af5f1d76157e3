// The curves of the ticked runs over each other, and the legend that switches each on and off.
const USUAL = [
  ["loss", "Loss", true], ["validation_loss", "Held-out loss", true], ["grad_norm", "Gradient norm", true],
  ["lr", "Learning rate", false], ["samples_per_s", "Samples per second", false],
];
const PARTS = [...new Set(DATA.runs.flatMap((run) => Object.keys(run.curves)))].filter((name) => !USUAL.some(([usual]) => usual === name));
const CHARTS = [
  ...USUAL, ...PARTS.map((name) => [name, name.replace(/^validation_/, "held-out ").replaceAll("_", " "), true]),
].filter(([name]) => DATA.runs.some((run) => run.curves[name])).map((one) => new Chart(...one));
const LEGEND_MOST = 60;

function drawCurves() {
  const runs = tickedRuns();
  const visible = runs.filter((run) => !state.hidden.has(run));
  drawLegend(runs);
  for (const chart of CHARTS) {
    const series = visible.filter((run) => DATA.runs[run].curves[chart.name]).map((run) => seriesOf(run, chart.name));
    chart.node.hidden = !runs.some((run) => DATA.runs[run].curves[chart.name]) && runs.length > 0;
    chart.show(series, { axis: state.axis, band: state.band, log: state.log });
  }
}

function seriesOf(run, name) {
  const { curves, axes, name: label } = DATA.runs[run], curve = curves[name];
  return {
    run, label, colour: colourOf(rowOfRun(run)), x: axes[curve.axis][state.axis],
    mean: smoothed(curve.mean, state.smoothing), low: curve.low, high: curve.high,
  };
}

// Exponential moving average, corrected for its start.
function smoothed(values, weight) {
  if (!weight) return values;
  let sum = 0, total = 0;
  return values.map((value) => {
    sum = weight * sum + (1 - weight) * value;
    total = weight * total + (1 - weight);
    return sum / total;
  });
}

function drawLegend(runs) {
  const focused = document.activeElement?.dataset?.run;
  $("legend").replaceChildren(...colourKey(runs), ...runs.slice(0, LEGEND_MOST).map((run) => el("button", {
    type: "button", class: "chip", "data-run": run, "aria-pressed": String(!state.hidden.has(run)),
    title: "curve on or off", style: `--c:${colourOf(rowOfRun(run))}`, onclick: () => toggleCurve(run),
  }, DATA.runs[run].name)));
  if (runs.length > LEGEND_MOST) $("legend").append(el("span", { class: "hint" }, `and ${runs.length - LEGEND_MOST} more`));
  if (focused !== undefined) $("legend").querySelector(`[data-run="${focused}"]`)?.focus();
}

// What the colours mean where they do not mean runs.
function colourKey(runs) {
  if (state.colour === "run") return [];
  const rows = runs.map(rowOfRun), found = new Map(rows.map((row) => [colourOf(row), [text(colourValue(row))]]));
  for (const row of rows) if (!found.get(colourOf(row)).includes(text(colourValue(row)))) found.get(colourOf(row)).push(text(colourValue(row)));
  return [el("span", { class: "key" }, ...[...found].map(([colour, values]) => el("span", { style: `--c:${colour}` }, values.slice(0, 4).join(", ") + (values.length > 4 ? ", …" : ""))))];
}

function toggleCurve(run) {
  if (!state.hidden.delete(run)) state.hidden.add(run);
  drawCurves();
}
