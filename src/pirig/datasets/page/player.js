// One episode: its pictures, and its numbers under them with a cursor at the frame that is shown.
function player() {
  const played = DATA.played, views = [], cursors = [], shows = [];
  const frames = played.frames.length, last = frames - 1; // frames: numbers of those that are shown
  $("said").textContent = `Episode ${played.episode}: ${played.prompt ? `“${played.prompt}”, ` : ""}${plural(played.length, "frame")}` +
    (frames < played.length ? `, of which ${frames} are shown.` : ".");
  for (const [camera, data] of Object.entries(played.pictures)) {
    const image = picture(data[0], camera);
    views.push({ image, data });
    $("views").append(el("figure", { title: camera }, image, el("figcaption", {}, short(camera))));
  }
  if (!views.length) $("views").hidden = true;
  for (const column of played.columns) trace(column, cursors, shows);

  let at = 0, timer = null;
  const scrub = $("scrub");
  scrub.max = last;
  function show(place) {
    at = Math.max(0, Math.min(last, place));
    for (const { image, data } of views) image.src = `data:image/webp;base64,${data[at]}`;
    const frame = played.frames[at];
    scrub.value = at;
    $("clock").textContent = `frame ${frame} of ${played.length - 1}, ${(frame / DATA.fps).toFixed(2)} s`;
    cursors.forEach((cursor) => { cursor.setAttribute("x1", frame); cursor.setAttribute("x2", frame); });
    shows.forEach((showing) => showing(frame));
  }
  function stop() {
    clearTimeout(timer);
    timer = null;
    $("play").textContent = "Play";
  }
  function next() {
    const step_s = frames > 1 ? (played.frames.at(-1) / last) / DATA.fps : 1;
    timer = setTimeout(() => {
      if (at >= last) return stop();
      show(at + 1);
      next();
    }, (1000 * step_s) / Number($("speed").value));
  }
  $("play").addEventListener("click", () => {
    if (timer) return stop();
    if (at >= last) show(0);
    $("play").textContent = "Pause";
    next();
  });
  scrub.addEventListener("input", () => { stop(); show(Number(scrub.value)); });
  player.seek = (frame) => {
    stop();
    const behind = played.frames.findIndex((one) => one >= frame);
    show(behind < 0 ? last : behind);
  };
  show(0);
}

// A chart of a column [T][D]: a line for each number, all on one scale; a click on a name hides its line and scales the others.
function trace(column, cursors, shows) {
  const rows = column.rows, width = Math.max(rows.length - 1, 1), hidden = new Set();
  const drawing = svg("svg", { viewBox: `0 0 ${width} 100`, preserveAspectRatio: "none", role: "img", "aria-label": `${column.key} over the episode` });
  const zero = svg("line", { class: "zero", x1: 0, x2: width }), cursor = svg("line", { class: "cursor", y1: 0, y2: 100 });
  const colours = column.names.map((_, place) => PALETTE[place % PALETTE.length]);
  const paths = colours.map((colour) => svg("path", { stroke: colour })), values = column.names.map(() => el("b", {}));
  const top = el("span", { class: "high" }), bottom = el("span", { class: "low" });
  drawing.append(zero, ...paths, cursor);
  function draw() {
    const all = rows.flatMap((row) => row.filter((_, place) => !hidden.has(place)));
    const low = all.length ? Math.min(...all) : 0, high = all.length ? Math.max(...all) : 1, span = high - low || 1;
    const y = (value) => (96 - (92 * (value - low)) / span).toFixed(2);
    paths.forEach((path, place) => {
      path.style.display = hidden.has(place) ? "none" : "";
      path.setAttribute("d", rows.map((row, frame) => `${frame ? "L" : "M"}${frame} ${y(row[place])}`).join(""));
    });
    zero.style.display = low < 0 && high > 0 ? "" : "none";
    for (const end of ["y1", "y2"]) zero.setAttribute(end, y(0));
    top.textContent = number(high);
    bottom.textContent = number(low);
  }
  const keys = column.names.map((name, place) => el("li", {}, el("button", { type: "button", title: name, "aria-pressed": "true", onclick: (event) => {
    const off = !hidden.delete(place);
    if (off) hidden.add(place);
    event.currentTarget.setAttribute("aria-pressed", String(!off));
    draw();
  } }, el("i", { style: `background:${colours[place]}` }), el("span", {}, name), values[place])));
  draw();
  cursors.push(cursor);
  shows.push((frame) => values.forEach((value, place) => (value.textContent = number(rows[frame][place]))));
  const follow = (event) => {
    const box = drawing.getBoundingClientRect();
    player.seek(Math.round(((event.clientX - box.left) / box.width) * width));
  };
  drawing.addEventListener("pointerdown", (event) => { drawing.setPointerCapture(event.pointerId); follow(event); });
  drawing.addEventListener("pointermove", (event) => event.buttons && follow(event));
  $("traces").append(el("div", { class: "trace", "data-column": column.key },
    el("h3", {}, column.key, column.more ? el("small", {}, `the first ${column.names.length} of ${column.more} numbers`) : null),
    el("div", { class: "frame" }, drawing, top, bottom), el("ul", { class: "keys" }, ...keys)));
}
