// Tiles, gates, episode lengths, sentences, features.
function overview() {
  document.title = DATA.name;
  $("name").textContent = DATA.name;
  $("about").textContent = `${DATA.kind}${DATA.robot ? `, ${DATA.robot}` : ""} · ${DATA.folder} · ${DATA.made}`;
  const wrong = DATA.gates.flatMap((asked) => asked.said).filter((one) => one.state === "wrong").length;
  const frames = DATA.lengths.reduce((sum, length) => sum + length, 0);
  const tiles = [
    ["Episodes", count(DATA.lengths.length)],
    ["Frames", count(frames)],
    ["Time", duration(frames / DATA.fps)],
    ["Rate", number(DATA.fps), "frames/s"],
    ["Cameras", count(DATA.cameras.length), DATA.cameras.length ? DATA.cameras[0].size : ""],
    ["Sentences", count(DATA.prompts.length)],
    ["On disk", number(DATA.bytes / 1e6), "MB"],
    ["Gates", wrong ? plural(wrong, "finding") : "all pass", "", wrong ? "bad" : "good"],
  ];
  $("tiles").append(...tiles.map(([name, value, unit, kind]) =>
    el("div", { class: kind }, el("dt", {}, name), el("dd", {}, value, unit ? el("small", {}, unit) : null))));
}

function gates() {
  $("verdicts").append(...DATA.gates.map((asked) => el("div", { class: "card asked" }, el("h3", {}, asked.title),
    el("ul", {}, ...asked.said.map((one) => el("li", { class: one.state },
      one.state === "wrong" ? el("b", {}, one.gate) : one.gate, one.text ? (one.state === "wrong" ? one.text : `: ${one.text}`) : null))))));
}

function lengths() {
  const all = DATA.lengths, sorted = [...all].sort((a, b) => a - b), median = sorted[Math.floor(sorted.length / 2)];
  const most = sorted.at(-1), wide = Math.max(all.length, 24), drawing = svg("svg", { viewBox: `0 0 ${wide} 100`, preserveAspectRatio: "none", role: "img", "aria-label": "Length of each episode" });
  const gap = all.length > 400 ? 0 : 0.18;
  all.forEach((length, place) => drawing.append(tipped(
    svg("rect", { x: place + gap / 2, width: 1 - gap, y: 100 - (94 * length) / most, height: (94 * length) / most, class: DATA.numbers[place] === DATA.played.episode ? "on" : false }),
    `Episode ${DATA.numbers[place]}: ${plural(length, "frame")}, ${duration(length / DATA.fps)}`)));
  drawing.append(svg("line", { class: "median", x1: 0, x2: wide, y1: 100 - (94 * median) / most, y2: 100 - (94 * median) / most }));
  $("spread").textContent = `${plural(sorted[0], "frame")} to ${count(most)}, half have more than ${count(median)} (${duration(median / DATA.fps)}).`;
  $("bars").append(drawing, el("div", { class: "legend" }, "A bar is an episode; dashed: the median; green: the one that plays above."));
  $("prompts").tBodies[0].append(...DATA.prompts.map((one) => el("tr", {}, el("td", {}, one.text || "(none)"),
    el("td", { class: "number" }, count(one.episodes)), el("td", { class: "number" }, count(one.frames)))));
}

function features() {
  $("table").tBodies[0].append(...DATA.features.map((one) => el("tr", {}, el("td", {}, el("code", {}, one.key)),
    el("td", {}, one.dtype), el("td", { class: "nowrap" }, `[${one.shape.join(", ")}]`), el("td", {}, one.names))));
}

function nav() {
  for (const section of document.querySelectorAll("main section[aria-labelledby]"))
    if (section.hidden) continue;
    else $("nav").append(el("a", { href: `#${section.id}` }, section.querySelector("h2").textContent));
}
