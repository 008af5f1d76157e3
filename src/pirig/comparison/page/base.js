// The data, small helpers, and the state that all sections share.
const DATA = JSON.parse(document.getElementById("data").textContent);
const PALETTE = ["#3a72d8", "#df7a22", "#2a9d6f", "#c93f7d", "#8860d0", "#ab8a14", "#1c9cb6", "#d1493c", "#6d8127", "#86705e"];
const FIRST_TICKED = 8;

const state = {
  sort: { id: null, down: false },
  filter: "",
  ticked: new Set(),   // places in DATA.rows
  hidden: new Set(),   // places in DATA.runs whose curves are switched off
  colour: "run",
  axis: "step",
  smoothing: 0,
  band: false,
  log: true,
  of: "policy",
};

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

function number(value, digits = 4) {
  if (!isNumber(value)) return "–";
  if (value !== 0 && (Math.abs(value) < 1e-4 || Math.abs(value) >= 1e7)) return value.toExponential(Math.max(0, digits - 3));
  return value.toLocaleString("en", { maximumSignificantDigits: digits, useGrouping: Math.abs(value) >= 1e4 });
}

const whole = (value) => (isNumber(value) ? value.toLocaleString("en") : "–");
const percent = (share) => `${Math.round(share * 100)} %`;

function duration(seconds) {
  if (!isNumber(seconds)) return "–";
  if (seconds < 100) return `${number(seconds, 3)} s`;
  return seconds < 6000 ? `${number(seconds / 60, 3)} min` : `${number(seconds / 3600, 3)} h`;
}

function text(value) {
  if (value === null || value === undefined) return "–";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

const countText = (count) => (count ? `${count.k}/${count.n}` + (count.of ? ` of ${count.of}` : "") : "–");
const runOf = (row) => DATA.runs[row.run];
const place = new Map(DATA.rows.map((row, index) => [row, index]));

// The ticked rows in the table's order.
const ticked = () => shownOrder().filter((row) => state.ticked.has(place.get(row)));

function tickedRuns() {
  return [...new Set(ticked().map((row) => row.run))];
}

// Runs of one value of the chosen setting have one colour.
const colours = { key: null, of: new Map() };

function colourOf(row) {
  if (colours.key !== state.colour) {
    const values = [...new Set(DATA.rows.map(colourValue))];
    colours.of = new Map(values.map((value, index) => [value, PALETTE[index % PALETTE.length]]));
    colours.key = state.colour;
  }
  return colours.of.get(colourValue(row));
}

function colourValue(row) {
  if (state.colour === "run") return row.run;
  return state.colour === "task" ? row.task : text(row.settings[state.colour]);
}

const rowOfRun = (run) => DATA.rows.find((row) => row.run === run);

function limited(rows, most, host) {
  if (rows.length > most) host.append(el("p", { class: "hint" }, `The first ${most} of ${rows.length} ticked rows.`));
  return rows.slice(0, most);
}

const nothing = (sentence) => el("p", { class: "nothing" }, sentence);
