/* The page of a sweep. */
const grid = DATA.compared > 0;
const table = (heads, rows) => el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, heads.map(([text, number]) => el("th", { class: number && "number", scope: "col" }, text)))), el("tbody", {}, rows)));

function quantiles() {
  const heads = [[grid ? "" : "measure"], ["runs", 1], ...DATA.tables[0].columns.map((name) => [name, 1]), ["max", 1], ...(grid ? [["against the first"]] : [])];
  const row = (each, row) => el("tr", {}, el("td", {}, grid ? row.label : `${each.name.replaceAll("_", " ")}${each.unit ? `, ${each.unit}` : ""}`), el("td", { class: "number" }, String(row.n)),
    row.quantiles.map(([value, interval]) => el("td", { class: "number" }, value, interval ? el("small", {}, interval) : "")), el("td", { class: "number" }, row.max), grid ? el("td", {}, row.mark) : "");
  const tables = grid
    ? table(heads, DATA.tables.filter((each) => each.rows.some((row) => row.n)).map((each) => [
      el("tr", {}, el("th", { class: "section", colspan: heads.length, scope: "colgroup" }, `${each.name.replaceAll("_", " ")}${each.unit ? `, ${each.unit}` : ""}`)), each.rows.map((one) => row(each, one))]))
    : table(heads, DATA.tables.map((each) => row(each, each.rows[0])));
  return card("Quantiles", tables, el("p", { class: "dim" }, DATA.about),
    grid ? el("p", { class: "dim" }, `+ more, ${MINUS} less than in the first row, and the median of the differences of the same seed, where the sign test says so (5 % shared by ${DATA.compared} comparisons).`) : null);
}
function expectations() {
  if (!DATA.expectations.length) return null;
  const rows = DATA.expectations.map((each) => el("tr", {}, el("td", {}, answer(each.ok)), grid ? el("td", {}, each.cell) : "", el("td", {}, each.wanted, each.command && each.ok === false ? el("small", { class: "mono" }, each.command) : ""), el("td", {}, each.measured || DASH)));
  return card("Expectations and thresholds", table([[""], ...(grid ? [["cell"]] : []), ["expected"], ["measured"]], rows));
}
function splitBrain() {
  const rows = DATA.split_brain.map((each) => el("tr", {}, grid ? el("td", {}, each.label) : "", el("td", { class: "still" }, `${each.runs} of ${each.of} runs`), el("td", {}, each.interval)));
  return card(`Split brain: two owners for more than ${DATA.split_brain[0].longer}`, table([...(grid ? [["cell"]] : []), ["runs"], ["probability, exact 95 % interval"]], rows));
}
function worst() {
  if (!DATA.worst.length) return null;
  const one = (each) => el("article", { class: "fall" }, el("div", {}, el("b", {}, `seed ${each.seed}`), `: ${each.values.join(", ").replaceAll("_", " ")}`), command(each.command && `${each.command} --html seed-${each.seed}.html`));
  const cells = Map.groupBy(DATA.worst, (each) => each.cell);
  return card("Worst runs, and how to see each", [...cells].map(([cell, all]) => (cell ? el("details", {}, el("summary", {}, cell), all.map(one)) : all.map(one))));
}
const missing = DATA.missing.length ? card("Runs without a result", el("ul", {}, DATA.missing.map((each) => el("li", {}, each)))) : null;
open(header(""), command(DATA.command), quantiles(), distributions(), grid ? [splitBrain(), expectations()] : el("div", { class: "two" }, expectations(), splitBrain()), worst(), missing, footer());
