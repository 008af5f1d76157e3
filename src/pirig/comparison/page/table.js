// The table: columns, sorting, filtering, ticks.
const several = (values) => new Set(values).size > 1;

const COLUMNS = [
  { id: "run", value: (row) => row.label },
  several(DATA.rows.map((row) => row.task)) ? { id: "task", value: (row) => row.task } : null,
  { id: "success", value: (row) => share(row, "policy"), cell: successCell },
  { id: "start", value: (row) => share(row, startOf(row)), cell: (row) => countText(row.counts[startOf(row)]), title: "what training started from: zero-shot or untrained" },
  { id: "oracle", value: (row) => share(row, "oracle"), cell: (row) => countText(row.counts.oracle), title: "the demos' own actions, replayed" },
  ...DATA.columns.filter((one) => one.name !== "task").map((one) => ({ id: one.name, value: (row) => row.settings[one.key] })),
  { id: "loss", value: (row) => runOf(row).loss, cell: (row) => number(runOf(row).loss, 3) },
  DATA.runs.some((run) => isNumber(run.validation_loss))
    ? { id: "validation", value: (row) => runOf(row).validation_loss, cell: (row) => number(runOf(row).validation_loss, 3) } : null,
  { id: "step", value: (row) => runOf(row).step, cell: stepCell },
  { id: "samples/s", value: (row) => runOf(row).samples_per_s, cell: (row) => number(runOf(row).samples_per_s, 3) },
  { id: "time", value: (row) => runOf(row).elapsed_s, cell: (row) => duration(runOf(row).elapsed_s) },
  { id: "state", value: (row) => runOf(row).state, cell: (row) => el("span", { class: `state ${runOf(row).state.split(" ").pop()}` }, runOf(row).state) },
  { id: "marks", value: (row) => row.marks.join("; "), cell: marksCell },
].filter(Boolean);

function startOf(row) {
  return row.counts.zero_shot ? "zero_shot" : "untrained";
}

function share(row, of) {
  const count = row.counts[of];
  return count ? count.k / count.n : null;
}

function successCell(row) {
  const count = row.counts.policy;
  if (!count) return "–";
  return el("span", { class: "success", title: `${percent(count.low)} to ${percent(count.high)} (Wilson 95 %)` },
    interval(count, colourOf(row)), el("span", {}, countText(count)));
}

// A line from 0 to 100 %: the interval as a bar, the rate as a dot.
function interval(count, colour) {
  const left = count.low * 100, width = (count.high - count.low) * 100;
  return el("span", { class: "interval", "aria-hidden": "true", style: `--c:${colour}` },
    el("i", { style: `left:${left}%;width:${width}%` }), el("b", { style: `left:${(count.k / count.n) * 100}%` }));
}

function stepCell(row) {
  const run = runOf(row);
  return run.steps && run.step < run.steps ? `${whole(run.step)} / ${whole(run.steps)}` : whole(run.step);
}

function marksCell(row) {
  if (!row.marks.length) return "";
  return el("span", { class: "marks", title: row.marks.join("\n") }, ...row.marks.map((mark) => el("span", { class: "mark" }, mark)));
}

// Words must all occur; name=value, !=, >, <, >=, <= look at one column or setting.
function matcher(query) {
  const tests = query.trim().split(/\s+/).filter(Boolean).map((word) => {
    const parts = word.match(/^([\w./]+)(>=|<=|!=|=|>|<)(.*)$/);
    const value = parts && valueNamed(parts[1]);
    return value ? (row) => holds(value(row), parts[2], parts[3]) : (row) => searchText(row).includes(word.toLowerCase());
  });
  return (row) => tests.every((test) => test(row));
}

function valueNamed(name) {
  const column = COLUMNS.find((one) => one.id === name);
  if (column) return column.value;
  return DATA.keys.includes(name) || name in DATA.common ? (row) => row.settings[name] ?? DATA.common[name] : null;
}

function holds(value, sign, wanted) {
  if (value === null || value === undefined) return sign === "!=";
  const numeric = isNumber(value) && wanted !== "" && !Number.isNaN(Number(wanted));
  if (sign === "=" || sign === "!=") {
    const equal = numeric ? value === Number(wanted) : text(value).toLowerCase() === wanted.toLowerCase();
    return equal === (sign === "=");
  }
  if (!numeric) return false;
  return { ">": value > wanted, "<": value < wanted, ">=": value >= wanted, "<=": value <= wanted }[sign];
}

const searchTexts = new Map();

function searchText(row) {
  if (!searchTexts.has(row)) {
    searchTexts.set(row, COLUMNS.map((column) => text(column.value(row))).concat(runOf(row).folder).join(" ").toLowerCase());
  }
  return searchTexts.get(row);
}

// Rows that pass the filter, sorted; those without a value come last, whichever way.
function shownOrder() {
  const rows = DATA.rows.filter(matcher(state.filter));
  const column = COLUMNS.find((one) => one.id === state.sort.id);
  if (!column) return rows;
  const sign = state.sort.down ? -1 : 1;
  const missing = (value) => value === null || value === undefined || value === "";
  return rows.map((row) => [column.value(row), row]).sort(([a], [b]) => {
    if (missing(a) || missing(b)) return missing(a) - missing(b);
    return sign * (isNumber(a) && isNumber(b) ? a - b : text(a).localeCompare(text(b), "en", { numeric: true }));
  }).map(([, row]) => row);
}

function drawHead() {
  const cells = COLUMNS.map((column) => {
    const sorted = state.sort.id === column.id ? (state.sort.down ? "descending" : "ascending") : "none";
    return el("th", { scope: "col", "aria-sort": sorted, class: isNumeric(column) ? "number" : "" },
      el("button", { type: "button", title: column.title, "data-sort": column.id, onclick: () => sortBy(column) }, column.id));
  });
  $("rows").tHead.replaceChildren(el("tr", {}, el("th", { class: "tick" }, el("span", { class: "sr" }, "ticked")), ...cells));
}

const isNumeric = (column) => DATA.rows.some((row) => isNumber(column.value(row))) && column.id !== "success";

// First the way one looks for: numbers from the top, names from A; then the other way; then the order given.
function sortBy(column) {
  const firstDown = isNumber(column.value(DATA.rows.find((row) => column.value(row) !== null && column.value(row) !== undefined) ?? DATA.rows[0])) && column.id !== "loss" && column.id !== "validation";
  if (state.sort.id !== column.id) state.sort = { id: column.id, down: firstDown };
  else if (state.sort.down === firstDown) state.sort.down = !firstDown;
  else state.sort = { id: null, down: false };
  drawHead();
  drawAll();
  $("rows").querySelector(`[data-sort="${CSS.escape(column.id)}"]`).focus();
}

function drawRows() {
  const rows = shownOrder();
  $("count").textContent = rows.length === DATA.rows.length ? `${rows.length} rows` : `${rows.length} of ${DATA.rows.length} rows`;
  $("rows").tBodies[0].replaceChildren(...rows.map(rowNode));
  if (!rows.length) $("rows").tBodies[0].append(el("tr", {}, el("td", { colspan: COLUMNS.length + 1 }, nothing("No row passes the filter."))));
}

function rowNode(row) {
  const index = place.get(row);
  const box = el("input", { type: "checkbox", "aria-label": `show ${row.label} below`, style: `accent-color:${colourOf(row)}`, onchange: () => tick(index) });
  box.checked = state.ticked.has(index);
  const cells = COLUMNS.map((column) => {
    const content = column.cell ? column.cell(row) : text(column.value(row));
    const title = column.id === "run" ? runOf(row).folder : null;
    return el(column.id === "run" ? "th" : "td", { scope: column.id === "run" ? "row" : null, title, class: isNumeric(column) ? "number" : null }, content);
  });
  return el("tr", { class: box.checked ? "on" : "" }, el("td", { class: "tick" }, box), ...cells);
}

function tick(index) {
  if (!state.ticked.delete(index)) state.ticked.add(index);
  for (const node of $("rows").tBodies[0].rows) {
    const box = node.querySelector("input");
    if (box) node.className = box.checked ? "on" : "";
  }
  drawSections();
}
