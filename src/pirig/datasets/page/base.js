// The data, small helpers, the theme.
const DATA = JSON.parse(document.getElementById("data").textContent);
const PALETTE = ["#3a72d8", "#df7a22", "#2a9d6f", "#c93f7d", "#8860d0", "#ab8a14", "#1c9cb6", "#d1493c", "#6d8127", "#86705e"];
const SVG = "http://www.w3.org/2000/svg";
const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const picture = (data, alt) => el("img", { src: `data:image/webp;base64,${data}`, alt, loading: "lazy" });

function number(value, digits = 3) {
  if (typeof value !== "number" || !Number.isFinite(value)) return "–";
  const size = Math.abs(value), tiny = size !== 0 && (size < 1e-3 || size >= 1e6);
  const text = tiny ? size.toExponential(1) : size.toLocaleString("en", { maximumSignificantDigits: digits, useGrouping: size >= 1e4 });
  return (value < 0 ? "−" : "") + text.replace("e-", "e−");
}
const short = (camera) => camera.split(".").at(-1);
const count = (value) => value.toLocaleString("en");
const plural = (value, word) => `${count(value)} ${word}${value === 1 ? "" : "s"}`;
const duration = (s) => (s < 90 ? `${number(s)} s` : s < 5400 ? `${number(s / 60)} min` : `${number(s / 3600)} h`);

function tipped(node, text) {
  const tip = $("tip");
  node.addEventListener("pointermove", (event) => {
    tip.textContent = text;
    tip.hidden = false;
    const left = Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8);
    tip.style.left = `${left}px`;
    tip.style.top = `${Math.max(event.clientY - 34, 4)}px`;
  });
  node.addEventListener("pointerleave", () => (tip.hidden = true));
  return node;
}

const redrawn = []; // what is drawn in the colours of the theme
function accent() {
  const probe = document.createElement("canvas").getContext("2d");
  probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--accent").trim();
  const hex = probe.fillStyle;
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}
$("theme").addEventListener("click", () => {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark" ||
    (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  redrawn.forEach((draw) => draw());
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redrawn.forEach((draw) => draw()));
