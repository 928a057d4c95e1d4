// How long each of 21 zoom steps takes, from the wheel to the end of the frame that shows it, in ms.
const done = arguments[0], box = document.querySelector(".lanes"), area = box.getBoundingClientRect(), took = [];
function step(number) {
  const began = performance.now();
  box.dispatchEvent(new WheelEvent("wheel", {
    deltaY: number < 10 ? -150 : 150, clientX: area.left + 0.6 * area.width, clientY: area.top + 90, bubbles: true, cancelable: true,
  }));
  requestAnimationFrame(() => setTimeout(() => {
    took.push(performance.now() - began);
    if (number < 20) step(number + 1);
    else done(took);
  }));
}
step(0);
