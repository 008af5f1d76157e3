// A card for each number of a column: where it is over an episode's time, in all frames, and its statistics.
function numbers() {
  for (const column of DATA.columns) {
    const more = column.more ? `the first ${column.dims.length} of ${column.more} numbers` : plural(column.dims.length, "number");
    $("columns").append(el("div", { class: "column", "data-column": column.key },
      el("h3", {}, column.key, el("small", {}, more)), el("div", { class: "dims" }, ...column.dims.map(dimension))));
  }
}

function dimension(dim) {
  const canvas = el("canvas", { width: DATA.bins.time, height: DATA.bins.value, role: "img", "aria-label": `${dim.name} over time` });
  const cells = Uint8Array.from(atob(dim.cells), (one) => one.charCodeAt(0)); // [value][time], from the lowest value
  const draw = () => {
    const context = canvas.getContext("2d"), image = context.createImageData(canvas.width, canvas.height), [red, green, blue] = accent();
    for (let v = 0; v < canvas.height; v++)
      for (let t = 0; t < canvas.width; t++) {
        const to = 4 * ((canvas.height - 1 - v) * canvas.width + t);
        image.data.set([red, green, blue, Math.round(255 * Math.sqrt(cells[v * canvas.width + t] / 255))], to);
      }
    context.putImageData(image, 0, 0);
  };
  redrawn.push(draw);
  draw();
  const most = Math.max(...dim.counts, 1), steps = dim.counts.length;
  const outline = dim.counts.map((n, v) => `L${((40 * n) / most).toFixed(1)} ${steps - v}L${((40 * n) / most).toFixed(1)} ${steps - v - 1}`).join("");
  const stats = { mean: dim.mean, std: dim.std, "1 %": dim.q01, "99 %": dim.q99 };
  return el("div", { class: "card dim" },
    el("h4", {}, el("span", { title: dim.name }, dim.name), dim.mark ? el("em", {}, dim.mark) : null),
    el("div", { class: "plot" },
      el("div", {}, canvas, el("span", { class: "high" }, number(dim.max)), el("span", { class: "low" }, number(dim.min))),
      el("div", {}, svg("svg", { viewBox: `0 0 42 ${steps}`, preserveAspectRatio: "none", "aria-hidden": true }, svg("path", { d: `M0 ${steps}${outline}L0 0Z` })))),
    el("dl", { class: "stats" }, ...Object.entries(stats).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, number(value))))));
}
