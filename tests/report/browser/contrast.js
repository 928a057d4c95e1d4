// Every text on the page with a contrast below 4.5 : 1 (WCAG AA) against what is behind it.
const number = (text) => {
  const found = text.match(/[\d.]+/g).map(Number);
  return text.startsWith("color(") ? found.map((value, at) => (at < 3 ? value * 255 : value)) : found;
};
const light = (colour) => {
  const [r, g, b] = colour.map((value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ratio = (one, other) => {
  const [more, less] = [light(one), light(other)].sort((a, b) => b - a);
  return (more + 0.05) / (less + 0.05);
};
const behind = (element) => {
  for (let each = element; each; each = each.parentElement) {
    const colour = number(getComputedStyle(each).backgroundColor);
    if (colour.length === 3 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
};
const found = [];
for (const element of document.querySelectorAll("body *")) {
  const written = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!written || !element.getClientRects().length || element.closest(".heard, script, style, noscript")) continue;
  const inside = element instanceof SVGElement;
  const tone = inside && !element.classList.contains("halo") && [...element.classList].find((name) => name.startsWith("on-"));
  const rect = tone && document.querySelector(`rect.slice.${tone.slice(3)}`);
  const fill = rect ? getComputedStyle(rect).fill : "none";
  const back = fill === "none" || fill.startsWith("url") ? behind(element) : number(fill);
  const value = ratio(number(getComputedStyle(element)[inside ? "fill" : "color"]), back);
  if (value < 4.5) found.push(`${element.textContent.slice(0, 30)}: ${value.toFixed(2)}`);
}
return found;
