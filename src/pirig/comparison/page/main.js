// Wiring: controls, sections, theme, keys.
function drawSections() {
  drawBars();
  drawMatrix();
  drawCurves();
  drawFunnels();
  drawSettings();
  drawFilms();
  drawSources();
}

function drawAll() {
  drawRows();
  drawSections();
}

function tickShown() {
  for (const row of shownOrder()) state.ticked.add(place.get(row));
  drawAll();
}

function startTicks() {
  const measured = DATA.rows.filter((row) => row.finished), first = measured.length ? measured : DATA.rows;
  const rows = DATA.rows.length <= FIRST_TICKED ? DATA.rows : first.slice(0, FIRST_TICKED);
  for (const row of rows) state.ticked.add(place.get(row));
}

function fillControls() {
  const names = [["run", "run"], ["task", "task"], ...DATA.columns.filter((one) => one.name !== "task").map((one) => [one.key, one.name])];
  $("colour").append(...names.map(([value, name]) => el("option", { value }, name)));
  $("nav").append(...[...document.querySelectorAll("main > section")].map((section) => el("a", { href: `#${section.id}` }, section.querySelector("h2").textContent)));
  const runs = DATA.runs.length, measured = DATA.rows.filter((row) => row.finished).length;
  $("summary").textContent = `${runs} run${runs === 1 ? "" : "s"}, ${measured} finished evaluation${measured === 1 ? "" : "s"}, ${DATA.made}`;
  $("cap").textContent = capText();
  for (const of of ["policy", "zero_shot", "untrained", "oracle"]) {
    const input = el("input", { type: "radio", name: "of", value: of, onchange: () => { state.of = of; drawFilms(); } });
    input.checked = of === state.of;
    $("of").append(el("label", {}, input, el("span", {}, of)));
  }
}

function listen() {
  let waiting = 0;
  $("filter").addEventListener("input", (event) => {
    state.filter = event.target.value;
    clearTimeout(waiting);
    waiting = setTimeout(drawAll, 60);
  });
  $("all").addEventListener("click", tickShown);
  $("none").addEventListener("click", () => { state.ticked.clear(); drawAll(); });
  $("colour").addEventListener("change", (event) => { state.colour = event.target.value; drawAll(); });
  $("smoothing").addEventListener("input", (event) => { state.smoothing = Number(event.target.value); drawCurves(); });
  $("band").addEventListener("change", (event) => { state.band = event.target.checked; drawCurves(); });
  $("log").addEventListener("change", (event) => { state.log = event.target.checked; drawCurves(); });
  for (const input of document.querySelectorAll("[name=axis]")) input.addEventListener("change", () => { state.axis = input.value; drawCurves(); });
  $("every").addEventListener("change", drawSettings);
  $("play").addEventListener("click", playAll);
  $("theme").addEventListener("click", switchTheme);
  document.addEventListener("keydown", shortcut);
}

function shortcut(event) {
  const typing = event.target.matches("input[type=search], select");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    $("filter").focus();
  } else if (event.key === "Escape" && event.target === $("filter")) {
    $("filter").value = state.filter = "";
    drawAll();
  }
}

const isDark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

function switchTheme() {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  drawCurves();
}

$("charts").append(...CHARTS.map((chart) => chart.node));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawCurves);
startTicks();
fillControls();
listen();
drawHead();
drawAll();
document.documentElement.dataset.ready = String(Math.round(performance.now()));
