/* The part of the runs that took no longer: one step curve with its band for each cell, to be hovered. */
const DASHES = ["", "7 3", "2 3", "9 3 2 3", "4 2", "1 2"];
const seconds = (s) => length(Math.round(s * 1e9));

function distributions() {
  const names = Object.keys(DATA.curves);
  if (!names.length) return null;
  const hidden = new Set(), svg = draw("svg", { "aria-hidden": "true" }), legend = el("div", { class: "legend" }), note = el("p", { class: "dim" });
  const which = el("select", { "aria-label": "Measure", onchange: () => { at = null; render(); } }, names.map((name) => el("option", { value: name }, name.replaceAll("_", " "))));
  const box = el("div", { class: "chart", tabindex: 0, role: "group", "aria-roledescription": "chart",
    "aria-label": "Part of the runs that took no longer. Left and right move a cursor that reads the curves." }, svg);
  let W = 800, at = null;
  const H = 330, L = 52, R = 12, TOP = 10, BOTTOM = 34;
  const curves = () => DATA.curves[which.value], shown = () => curves().filter((_, number) => !hidden.has(number));
  /* The axis begins at 0 unless that wastes a third of it. */
  function range() {
    const least = Math.min(...curves().map((curve) => curve.seconds[0])), most = Math.max(...curves().map((curve) => curve.seconds.at(-1)), 1e-9);
    const room = Math.max((most - least) * 0.06, most * 0.02);
    return [least > most / 3 ? least - room : 0, most + room];
  }
  const x = (s) => { const [low, high] = range(); return L + ((Math.max(s, low) - low) / (high - low)) * (W - L - R); }, y = (part) => TOP + (1 - part) * (H - TOP - BOTTOM);
  const path = (xs, ys, start) => xs.reduce((all, s, number) => `${all}H${x(s).toFixed(1)}V${y(ys[number]).toFixed(1)}`, `M${L} ${y(start)}`);
  /* How many of the curve's points are not beyond s. */
  const upTo = (curve, s) => { let low = 0, high = curve.seconds.length; while (low < high) { const middle = (low + high) >> 1; if (curve.seconds[middle] <= s) low = middle + 1; else high = middle; } return low; };

  function render() {
    W = Math.max(box.clientWidth, 260);
    const parts = [], [start, end] = range(), scale = ticks(start * 1e9, end * 1e9, W - L - R, 92);
    if (scale.base) parts.push(label(L, H - 2, scale.base, { class: "small strong" }));
    for (const part of [0, 0.25, 0.5, 0.75, 0.9, 1]) parts.push(draw("line", { class: "grid", x1: L, x2: W - R, y1: y(part), y2: y(part) }), label(L - 7, y(part) + 4, `${part * 100} %`, { class: "small dim", "text-anchor": "end" }));
    for (const [ns, text] of scale.found) parts.push(draw("line", { class: "grid", x1: x(ns / 1e9), x2: x(ns / 1e9), y1: TOP, y2: H - BOTTOM }), label(Math.min(x(ns / 1e9), W - R - wide(text) / 2), H - BOTTOM + 16, text, { class: "small dim", "text-anchor": "middle" }));
    curves().forEach((curve, number) => {
      if (hidden.has(number)) return;
      const low = path(curve.seconds, curve.low, 0), high = path(curve.seconds, curve.high, 0);
      const back = [...curve.seconds.keys()].reverse().map((each) => `V${y(curve.low[each]).toFixed(1)}H${x(each ? curve.seconds[each - 1] : 0).toFixed(1)}`).join("");
      parts.push(draw("path", { class: `spread series${number % 6}`, d: low && `${high}H${x(curve.seconds.at(-1)).toFixed(1)}${back}Z` }),
        draw("path", { class: `pen step series${number % 6}`, "stroke-dasharray": DASHES[number % 6], d: `${path(curve.seconds, curve.part, 0)}H${W - R}` }));
      if (curve.cut !== null) parts.push(draw("line", { class: "flag end", x1: x(curve.cut), x2: x(curve.cut), y1: TOP, y2: H - BOTTOM }));
    });
    if (at !== null) {
      parts.push(draw("line", { class: "cross", x1: x(at), x2: x(at), y1: TOP, y2: H - BOTTOM }));
      for (const curve of shown()) { const count = upTo(curve, at); parts.push(draw("circle", { class: "dot", cx: x(at), cy: y(count ? curve.part[count - 1] : 0), r: 3.5 })); }
    }
    put(svg, { viewBox: `0 0 ${W} ${H}`, height: H }, []);
    svg.replaceChildren(...parts);
    const cut = curves().some((curve) => curve.cut !== null), thinned = curves().some((curve) => curve.of);
    note.textContent = `Bands: 95 %.${cut ? " Dotted upright: from here on the end of the run cut some." : ""}${thinned ? " Curves are thinned to evenly spaced points." : ""}`;
    legend.replaceChildren(...(curves().length < 2 ? [] : curves().map((curve, number) => el("button", { type: "button", "aria-pressed": String(!hidden.has(number)), onclick: () => {
      if (!hidden.delete(number)) hidden.add(number);
      render();
    } }, el("span", {}, draw("svg", { viewBox: "0 0 22 12", "aria-hidden": "true" }, draw("path", { class: `pen series${number % 6}`, "stroke-dasharray": DASHES[number % 6], d: "M0 6H22" })), `${hidden.has(number) ? "show " : ""}${curve.label || "all runs"}`)))));
  }
  const reading = () => [`${which.value.replaceAll("_", " ")} ≤ ${seconds(at)}`, ...shown().map((curve) => {
    const count = upTo(curve, at), per = (line) => `${(100 * (count ? line[count - 1] : 0)).toFixed(1)} %`;
    return `${curve.label || "of the runs"}: ${per(curve.part)} (${per(curve.low)} to ${per(curve.high)})`;
  })];
  const point = (event) => {
    const px = event.clientX - svg.getBoundingClientRect().left;
    const [low, high] = range();
    at = low + Math.min(Math.max((px - L) / (W - L - R), 0), 1) * (high - low);
    render();
    showTip(reading(), event.clientX, event.clientY);
  };
  const leave = () => { at = null; hideTip(); render(); };
  box.addEventListener("pointermove", point);
  box.addEventListener("pointerup", point);
  box.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") leave(); });
  box.addEventListener("blur", leave);
  box.addEventListener("keydown", (event) => {
    const steps = [...new Set(shown().flatMap((curve) => curve.seconds))].sort((a, b) => a - b);
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape") leave();
    if (!by || !steps.length) return;
    event.preventDefault();
    const now = at === null ? -1 : steps.findLastIndex((each) => each <= at);
    at = steps[Math.min(Math.max(now + by, 0), steps.length - 1)];
    render();
    const area = svg.getBoundingClientRect();
    showTip(reading(), area.left + x(at), area.top + H / 2, true);
  });
  new ResizeObserver(render).observe(box);
  return el("section", { class: "card", "aria-label": "Distribution" }, el("div", { class: "row" }, el("h2", {}, "Part of the runs that took no longer"), el("span", { class: "push" }), which), box, legend, note);
}
