// Success bars, the matrix of pairs, and the funnels of sub-goals.
const MOST_BARS = 60, MOST_PAIRED = 12, MOST_FUNNELS = 12;

function drawBars() {
  const host = $("bars"), rows = ticked().filter((row) => row.counts.policy);
  host.replaceChildren();
  if (!rows.length) return host.append(nothing("No ticked row has an evaluation."));
  host.append(el("div", { class: "scale", "aria-hidden": "true" }, el("span"), el("span", { class: "marksline" }, ...[0, 25, 50, 75, 100].map((one) => el("i", { style: `left:${one}%` }, `${one}`))), el("span")));
  host.append(...limited(rows, MOST_BARS, host).map(barNode));
}

function barNode(row) {
  const { policy, oracle } = row.counts, start = row.counts[startOf(row)], startName = startOf(row).replace("_", "-");
  const line = interval(policy, colourOf(row));
  if (start) line.append(el("u", { class: "untrained", style: `left:${(start.k / start.n) * 100}%`, title: `${startName} ${countText(start)}` }));
  if (oracle) line.append(el("u", { class: "oracle", style: `left:${(oracle.k / oracle.n) * 100}%`, title: `demos replayed ${countText(oracle)}` }));
  const numbers = `${percent(policy.k / policy.n)}, ${percent(policy.low)} to ${percent(policy.high)}`;
  return el("div", { class: "barrow" }, el("span", { class: "name" }, row.label, row.marks.length ? el("span", { class: "mark", title: row.marks.join("\n") }, "!") : null),
    line, el("span", { class: "numbers" }, el("b", {}, countText(policy)), ` ${numbers}`, policy.of ? el("em", {}, " so far") : null));
}

function verdictOf(a, b) {
  const [left, right] = [a.counts.policy, b.counts.policy].sort((one, other) => one.k - other.k || one.n - other.n);
  const [p, differ, needed] = DATA.verdicts[`${left.k}/${left.n}:${right.k}/${right.n}`];
  return { p, differ, needed };
}

function changed(a, b) {
  return DATA.columns.filter(({ key }) => key in a.settings && key in b.settings && text(a.settings[key]) !== text(b.settings[key])).map((one) => one.name);
}

const pText = (p) => (p < 1e-4 ? "p < 0.0001" : `p = ${p < 0.01 ? p.toFixed(4) : p.toFixed(2)}`);

function sentence(a, b) {
  const { p, differ, needed } = verdictOf(a, b), names = changed(a, b);
  const verdict = differ ? "differ" : "not distinguishable at this n" + (needed ? `; about ${whole(needed)} episodes each would be needed` : "; the shares are equal");
  return [el("b", {}, `${a.label} ${countText(a.counts.policy)}, ${b.label} ${countText(b.counts.policy)}: ${verdict}`), ` (${pText(p)}). `, remark(names)];
}

function remark(names) {
  const others = names.filter((name) => name !== "train.seed"), besides = others.length < names.length ? ", besides the seed" : "";
  if (!names.length) return "Their settings are equal.";
  if (!others.length) return "Two seeds of one config.";
  if (others.length === 1) return `Only ${others[0]} differs${besides}.`;
  return `${others.length} settings differ${besides} (${others.join(", ")}), so the test cannot say which one matters.`;
}

function drawMatrix() {
  const host = $("matrix"), all = ticked().filter((row) => row.finished);
  host.replaceChildren();
  $("verdict").replaceChildren();
  const rows = limited(all, MOST_PAIRED, host);
  if (rows.length < 2) return host.append(nothing("Two ticked rows with finished evaluations are needed."));
  const head = el("tr", {}, el("td"), ...rows.slice(1).map((row) => el("th", { scope: "col" }, el("span", {}, row.label))));
  const lines = rows.slice(0, -1).map((row, r) => el("tr", {}, el("th", { scope: "row" }, row.label, el("small", {}, countText(row.counts.policy))),
    ...rows.slice(1).map((other, c) => el("td", {}, c >= r ? pairButton(row, other) : ""))));
  host.append(el("div", { class: "scroll", tabindex: "0", "aria-label": "Pairs, scrolls" }, el("table", { class: "matrix" }, el("thead", {}, head), el("tbody", {}, ...lines))));
  const first = host.querySelector("button");
  if (first) first.click();
}

function pairButton(a, b) {
  if (a.task !== b.task) return el("span", { class: "hint", title: "two tasks are not compared" }, "other task");
  const { p, differ, needed } = verdictOf(a, b);
  const label = differ ? "differ" : needed ? `≈ ${whole(needed)} ep.` : "equal";
  return el("button", { type: "button", class: differ ? "pair differ" : "pair", "aria-pressed": "false", onclick: (event) => {
    for (const one of $("matrix").querySelectorAll("button")) one.setAttribute("aria-pressed", String(one === event.currentTarget));
    $("verdict").replaceChildren(...sentence(a, b));
  } }, label, el("small", {}, pText(p)));
}

function drawFunnels() {
  const host = $("funnel"), all = ticked().filter((row) => Object.keys(row.counts.policy?.sub_goals ?? {}).length);
  host.replaceChildren();
  if (!all.length) return host.append(nothing("No ticked row has sub-goals recorded."));
  host.append(...limited(all, MOST_FUNNELS, host).map(funnelNode));
}

function funnelNode(row) {
  const { sub_goals: goals, n, k } = row.counts.policy;
  const steps = [...Object.entries(goals), ["success", k]];
  return el("figure", { class: "funnel" }, el("figcaption", {}, row.label),
    ...steps.map(([name, reached]) => el("div", { class: "goal" }, el("span", {}, name.replaceAll("_", " ")),
      el("span", { class: "track" }, el("i", { style: `width:${(reached / n) * 100}%;background:${colourOf(row)}` })), el("span", { class: "number" }, `${reached}/${n}`))));
}
