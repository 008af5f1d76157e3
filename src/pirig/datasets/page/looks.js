// First and last frames of episodes, and filmstrips of some.
function looks() {
  if (!DATA.looks.length) { $("looks").hidden = true; return; }
  const all = DATA.lengths.length, shown = DATA.looks.length;
  $("shown").textContent = shown < all ? `${shown} of ${count(all)} episodes, evenly chosen.` : "Of every episode.";
  for (const one of DATA.looks) {
    for (const [camera, frames] of Object.entries(one.strip ?? {}))
      $("strips").append(el("div", { class: "strip" }, el("p", { title: camera }, el("b", {}, `Episode ${one.episode}`), short(camera)),
        el("div", {}, ...frames.map((data, place) => picture(data, `Episode ${one.episode}, ${camera}, ${place + 1} of ${frames.length}`)))));
    const ends = Object.entries(one.ends).flatMap(([camera, [first, last]]) => [
      picture(first, `Episode ${one.episode}, ${camera}, first frame`), picture(last, `Episode ${one.episode}, ${camera}, last frame`)]);
    $("pairs").append(el("figure", { class: "card pair" }, el("div", {}, ...ends),
      el("p", {}, el("b", {}, `Episode ${one.episode}`), `${plural(one.length, "frame")}`)));
  }
}
