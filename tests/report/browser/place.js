// Where a part of a slice of the first lane of a kind is on the screen, and the slice.
const [kind, number, part] = arguments;
const svg = document.querySelector(".lanes svg"), box = svg.getBoundingClientRect();
const lane = LANES[kind][0], item = lane.items[number];
const label = [...svg.querySelectorAll("text")].find((each) => each.textContent === lane.label);
const gutter = Number(document.querySelector(".mini .well").getAttribute("x"));
const at = item.start + (item.end - item.start) * part;
const x = box.left + gutter + ((at - view.t0) / (view.t1 - view.t0)) * (box.width - gutter);
return [x, box.top + Number(label.getAttribute("y")) + (gutter ? -3 : 14), item];
