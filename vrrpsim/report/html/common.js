/* What every page needs: elements, times, colours, tooltips. Text only ever enters as text. */
const DATA = JSON.parse(document.getElementById("data").textContent);
const PAGE = document.getElementById("page");
const BAD = ["several", "nobody", "silent"];
const MINUS = "\u2212", DASH = "\u2013";

function put(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}
const el = (name, attributes, ...children) => put(document.createElement(name), attributes, children);
const draw = (name, attributes, ...children) => put(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
const label = (x, y, text, more) => draw("text", { x, y, ...more }, text);
const card = (title, ...children) => el("section", { class: "card", "aria-label": title }, el("h2", {}, title), ...children);

/* Times are integer nanoseconds. */

/* All nine decimals of a second. */
function exact(ns) {
  const whole = Math.floor(ns / 1e9);
  return `${whole}.${String(Math.round(ns - whole * 1e9)).padStart(9, "0")} s`;
}
/* With milliseconds; in runs of hours as h:mm:ss, of days with the day. */
function clockTime(ns) {
  const two = (value) => String(Math.floor(value)).padStart(2, "0");
  if (DATA.duration < 7200e9) return `${(ns / 1e9).toFixed(3)} s`;
  const days = DATA.duration < 172800e9 ? "" : `${Math.floor(ns / 86400e9)} d `;
  return `${days}${Math.floor(days ? (ns / 3600e9) % 24 : ns / 3600e9)}:${two((ns / 60e9) % 60)}:${two((ns / 1e9) % 60)}.${String(Math.floor((ns / 1e6) % 1000)).padStart(3, "0")}`;
}
/* As the text report writes it: seconds with three decimals, below one second ms or us with one. */
function length(ns) {
  if (ns >= 172800e9) return `${Number((ns / 86400e9).toFixed(2))} days`;
  if (ns >= 3600e9) return `${Math.floor(ns / 3600e9)} h ${String(Math.floor((ns / 60e9) % 60)).padStart(2, "0")} min`;
  if (ns >= 120e9) return `${Math.floor(ns / 60e9)} min ${((ns / 1e9) % 60).toFixed(1).replace(/\.0$/, "")} s`;
  if (ns >= 1e9 || !ns) return `${(ns / 1e9).toFixed(ns % 1e9 ? 3 : 0)} s`;
  return ns >= 1e5 ? `${(ns / 1e6).toFixed(1)} ms` : ns >= 100 ? `${(ns / 1e3).toFixed(1)} us` : `${ns} ns`;
}
/* The ticks of a window: where they stand and what they say, at most one every `apart` pixels. */
function ticks(t0, t1, pixels, apart) {
  const least = ((t1 - t0) * apart) / pixels;
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
  const seconds = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 432000, 864000, 1728000, 2592000, 5184000, 8640000].map((each) => each * 1e9);
  const step = least > 1e9 ? seconds.find((each) => each >= least) ?? Math.ceil(least / 86400e9) * 86400e9
    : [1, 2, 5, 10].map((each) => each * power).find((each) => each >= least);
  const base = step >= 1e7 ? 0 : step >= 1e4 ? Math.floor(t0 / 1e9) * 1e9 : Math.floor(t0 / 1e6) * 1e6;
  const found = [];
  for (let at = Math.ceil(t0 / step) * step; at <= t1; at += step) found.push([at, tickText(at - base, step, base)]);
  return { found, base: base ? `${(base / 1e9).toFixed(step >= 1e4 ? 0 : 3)} s +` : "" };
}
function tickText(ns, step, base) {
  if (base || step < 1e7) {
    const [unit, size] = step >= 1e4 ? ["ms", 1e6] : ["us", 1e3];
    return `${(ns / size).toFixed(Math.max(0, Math.ceil(Math.log10(size / step))))} ${unit}`;
  }
  if (step < 1e9) return `${(ns / 1e9).toFixed(Math.max(0, Math.ceil(Math.log10(1e9 / step))))} s`;
  if (step >= 86400e9 && DATA.duration >= 172800e9) return `${ns / 86400e9} d`;
  if ((DATA.duration ?? 0) >= 172800e9) return clockTime(ns).slice(0, step < 60e9 ? -4 : -7);
  if ((DATA.duration ?? 0) >= 7200e9) return `${Math.floor(ns / 3600e9)}:${String(Math.floor((ns / 60e9) % 60)).padStart(2, "0")}` + (step < 60e9 ? `:${String((ns / 1e9) % 60).padStart(2, "0")}` : " h");
  if (step >= 60e9) return `${ns / 60e9} min`;
  return `${ns / 1e9} s`;
}

const ruler = document.createElement("canvas").getContext("2d");
const widths = new Map();
function wide(text) {
  if (!widths.has(text)) {
    ruler.font = '11.5px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
    widths.set(text, ruler.measureText(text).width + 1);
  }
  return widths.get(text);
}

/* Patterns that repeat what the colours say; drawn once for all pictures. */
function hatches() {
  const pattern = (id, path, more) => draw("pattern", { id, width: 6, height: 6, patternUnits: "userSpaceOnUse", ...more },
    draw("rect", { width: 6, height: 6 }), draw("path", { d: path }));
  const slash = "M-1 1 L1 -1 M0 6 L6 0 M5 7 L7 5", back = "M-1 5 L1 7 M0 0 L6 6 M5 -1 L7 1";
  return draw("svg", { width: 0, height: 0, "aria-hidden": "true", class: "heard" }, draw("defs", {},
    pattern("hatch-fault", slash), pattern("hatch-silent", back), pattern("hatch-several", `${slash} ${back}`),
    pattern("hatch-off", `${slash} ${back}`, { class: "plain" }), pattern("hatch-paused", "M1 0 V6 M4 0 V6", { class: "plain" }),
    pattern("hatch-many", "M1 0 V6 M4 0 V6")));
}

const tip = el("div", { id: "tip", role: "tooltip", hidden: true });
const heard = el("div", { class: "heard", "aria-live": "polite" });
/* Show lines, the first as a title, beside a point of the window; `say` also for screen readers. */
function showTip(lines, x, y, say) {
  stays = say && [scrollX, scrollY];
  tip.style.translate = "";
  tip.replaceChildren(...lines.filter(Boolean).map((line, number) => el(number ? "span" : "b", {}, line)));
  tip.hidden = false;
  const box = tip.getBoundingClientRect(), room = document.documentElement.clientWidth;
  tip.style.left = `${Math.max(4, Math.min(x + 14, room - box.width - 6))}px`;
  tip.style.top = `${y + 18 + box.height > window.innerHeight ? Math.max(4, y - box.height - 12) : y + 18}px`;
  if (say) heard.textContent = lines.filter(Boolean).join(", ");
}
let stays = null;  // where the page stood when a key asked for the tip: that one moves with the page
const hideTip = () => { tip.hidden = true; };

function command(text) {
  if (!text) return null;
  const code = el("code", {}, text);
  const copy = el("button", { type: "button", "aria-label": `Copy: ${text}`, onclick: async () => {
    getSelection().selectAllChildren(code);
    try { await navigator.clipboard.writeText(text); copy.textContent = "Copied"; } catch { copy.textContent = "Selected"; }
  } }, "Copy");
  return el("div", { class: "command" }, code, copy);
}
const WORDS_OF = new Map([[true, ["✓ ok", "pass"]], [false, ["✗ FAIL", "fail"]], [null, ["? unknown", "unknown"]], ["shown", ["◆ shown", "shown"]]]);
const answer = (ok) => el("span", { class: WORDS_OF.get(ok)[1] }, el("b", {}, WORDS_OF.get(ok)[0]));

function header(about) {
  const sign = { pass: "✓ ", fail: "✗ ", unknown: "? ", shown: "◆ ", none: "" }[DATA.badge ?? DATA.verdict];
  const dark = () => getComputedStyle(document.documentElement).colorScheme === "dark"
    || (getComputedStyle(document.documentElement).colorScheme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  const theme = el("button", { type: "button", class: "theme", onclick: () => {
    document.documentElement.style.colorScheme = dark() ? "light" : "dark";
    theme.textContent = dark() ? "Light" : "Dark";
  } }, dark() ? "Light" : "Dark");
  theme.setAttribute("aria-label", "Switch between light and dark");
  return el("header", {}, el("div", { class: "row" }, el("h1", {}, DATA.name),
    el("span", { class: `badge ${DATA.badge ?? DATA.verdict}` }, sign + DATA.verdict_line), el("span", { class: "push" }), theme),
    el("p", {}, about), el("p", { class: "dim" }, DATA.headline.replace(`${DATA.name}: `, "")));
}
function footer(...lines) {
  return el("footer", { class: "dim" }, ...lines.map((line) => el("p", { class: "mono" }, line)), el("p", {}, `vrrpsim ${DATA.version}`));
}
function open(...children) {
  PAGE.append(...children.flat().filter(Boolean), hatches(), tip, heard);
  addEventListener("beforeprint", () => { hideTip(); document.querySelectorAll("details").forEach((each) => { each.open = true; }); });
  addEventListener("scroll", () => { if (stays) tip.style.translate = `${stays[0] - scrollX}px ${stays[1] - scrollY}px`; else hideTip(); }, { passive: true });
}
