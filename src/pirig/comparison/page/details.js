// Settings beside each other; data set, contract and code of each run.
const MOST_SETTINGS = 16, MOST_CARDS = 12;

function drawSettings() {
  const host = $("diff"), all = ticked(), rows = all.slice(0, MOST_SETTINGS);
  host.replaceChildren();
  if (!rows.length) return host.append(el("tbody", {}, el("tr", {}, el("td", {}, nothing("No row is ticked.")))));
  const differing = DATA.keys.filter((key) => several(rows.filter((row) => key in row.settings).map((row) => text(row.settings[key]))));
  const equal = $("every").checked ? [...DATA.keys.filter((key) => !differing.includes(key)), ...Object.keys(DATA.common)] : [];
  const head = el("tr", {}, el("th", { scope: "col" }, all.length > rows.length ? `first ${rows.length} of ${all.length}` : "setting"), ...rows.map((row) => el("th", { scope: "col" }, row.label)));
  const line = (key) => el("tr", { class: differing.includes(key) ? "" : "equal" }, el("th", { scope: "row" }, key),
    ...rows.map((row) => el("td", {}, key in DATA.common ? text(DATA.common[key]) : key in row.settings ? text(row.settings[key]) : "")));
  const body = [...differing, ...equal].map(line);
  if (!body.length) body.push(el("tr", {}, el("td", { colspan: rows.length + 1 }, nothing("No setting that changes results differs among the ticked rows."))));
  host.append(el("thead", {}, head), el("tbody", {}, ...body));
}

function drawSources() {
  const host = $("cards"), runs = tickedRuns().map((run) => DATA.runs[run]);
  host.replaceChildren();
  if (!runs.length) return host.append(nothing("No row is ticked."));
  const facts = runs.map(factsOf);
  const differs = (group, name) => several(facts.map((one) => text(one[group][name])));
  const differing = (group, values) => Object.keys(values).filter((name) => differs(group, name)).length;
  host.append(...limited(runs, MOST_CARDS, host).map((run, index) => el("article", { class: "card" }, el("h3", {}, run.name), el("p", { class: "path" }, run.folder),
    ...Object.entries(facts[index]).map(([group, values]) => el("details", { open: group === "Data set" }, el("summary", {}, group, differing(group, values) ? el("small", { class: "differs" }, ` ${differing(group, values)} differ`) : null),
      el("dl", {}, ...Object.entries(values).flatMap(([name, value]) => [el("dt", {}, name.replaceAll("_", " ")), el("dd", { class: differs(group, name) ? "differs" : "" }, text(value))])))))));
}

function factsOf(run) {
  const { versions = {}, code = {}, variables = {}, ...machine } = run.environment;
  const contract = { ...(DATA.contracts[run.contract] ?? {}) };
  const cameras = Object.fromEntries((contract.cameras ?? []).map((camera) => [`camera ${camera.role}`, cameraText(camera)]));
  delete contract.cameras;
  return {
    "Data set": run.data_set,
    Contract: { hash: run.contract, ...contract, ...cameras },
    "Code and machine": { commit: code.commit, changed_files: code.changed || "none", ...machine, ...versions, ...variables },
    "Time, memory, hardware": Object.fromEntries(run.stages.map((cost) => [cost.stage, costText(cost)])),
  };
}

function costText(cost) {
  const gpu = cost.gpu_peak_gb === null ? "" : `, of a GPU ${number(cost.gpu_peak_gb, 3)} GB`;
  return `${number(cost.minutes, 3)} minutes, at most ${number(cost.peak_gb, 3)} GB${gpu}; ${cost.hardware}`;
}

function cameraText(camera) {
  const pose = camera.eye_m ? `, from ${camera.eye_m.join(" ")} to ${camera.target_m.join(" ")} m` : "";
  return `${camera.sensor}, ${camera.width_px} x ${camera.height_px} px` + (camera.fov_rad ? `, ${number(camera.fov_rad, 3)} rad` : "") + pose;
}
