// Videos and contact sheets, made from the page's own text when they come into view.
const MOST_FILMS = 6;
const addresses = new Map();

function address(index) {
  if (!addresses.has(index)) {
    const bytes = Uint8Array.from(atob($(`medium${index}`).textContent), (letter) => letter.charCodeAt(0));
    addresses.set(index, URL.createObjectURL(new Blob([bytes], { type: DATA.media[index].type })));
  }
  return addresses.get(index);
}

const inView = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    inView.unobserve(entry.target);
    entry.target.src = address(Number(entry.target.dataset.medium));
  }
}, { rootMargin: "300px" });

function drawFilms() {
  const host = $("films"), with_media = ticked().filter((row) => DATA.media.some((one) => one.row === place.get(row)));
  host.replaceChildren();
  if (!with_media.length) return host.append(nothing("No ticked row has videos in this page."));
  host.append(el("div", { class: "films" }, ...limited(with_media, MOST_FILMS, host).map(filmColumn)));
}

function filmColumn(row) {
  const own = DATA.media.map((one, index) => ({ ...one, index })).filter((one) => one.row === place.get(row) && one.of === state.of);
  const parts = own.map((one) => (one.type.startsWith("image") ? sheetNode(row, one) : videoNode(row, one)));
  const count = row.counts[state.of];
  return el("article", { class: "film" }, el("h3", { style: `--c:${colourOf(row)}` }, row.label, el("small", {}, countText(count))),
    ...(parts.length ? parts : [nothing(count ? "None in this page." : "Not measured.")]));
}

function sheetNode(row, medium) {
  const image = el("img", { alt: `contact sheet of ${row.label}`, "data-medium": medium.index });
  inView.observe(image);
  return el("button", { type: "button", class: "sheet", title: "larger", onclick: () => {
    $("large").querySelector("img").src = address(medium.index);
    $("large").showModal();
  } }, image);
}

function videoNode(row, medium) {
  const video = el("video", { controls: true, loop: true, muted: true, playsinline: true, preload: "metadata", "data-medium": medium.index, "aria-label": `${row.label}, ${medium.name}` });
  video.muted = true;
  inView.observe(video);
  return el("figure", { class: medium.won ? "video won" : "video" }, video, el("figcaption", {}, medium.name));
}

function playAll() {
  const videos = [...$("films").querySelectorAll("video")], start = videos.some((video) => video.paused);
  for (const video of videos) {
    video.src ||= address(Number(video.dataset.medium));
    if (start) video.play(); else video.pause();
  }
  $("play").textContent = start ? "Pause all" : "Play all";
}

function capText() {
  const { cap_mb: cap, files } = DATA.left_out;
  const rest = files.length ? `${files.length} more files stay in the run folders (<run>/eval/.../videos), since` : "Everything that was filmed is here;";
  return `${rest} a page holds up to ${cap} MB of videos and sheets.`;
}
