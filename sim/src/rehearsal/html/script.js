"use strict";
for (const figure of document.querySelectorAll("figure[data-plot]")) {
  const plot = JSON.parse(figure.dataset.plot);
  const svg = figure.querySelector("svg");
  const cursor = svg.querySelector(".cursor");
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  figure.append(tip);
  const hide = () => {
    tip.hidden = true;
    cursor.setAttribute("x1", -9);
    cursor.setAttribute("x2", -9);
  };
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * plot.width;
    const room = plot.width - plot.left - 12;
    const at = Math.floor((x - plot.left) / room * plot.times.length);
    if (at < 0 || at >= plot.times.length) return hide();
    const middle = plot.left + (at + 0.5) * room / plot.times.length;
    cursor.setAttribute("x1", middle);
    cursor.setAttribute("x2", middle);
    tip.replaceChildren();
    const title = document.createElement("b");
    title.textContent = "from " + plot.times[at];
    tip.append(title);
    for (const [kind, name, shown] of plot.rows) {
      const line = document.createElement("div");
      const key = document.createElement("i");
      key.className = "key " + kind;
      const label = document.createElement("span");
      label.textContent = name;
      const value = document.createElement("span");
      value.textContent = shown[at];
      line.append(key, label, value);
      tip.append(line);
    }
    tip.hidden = false;
    const frame = figure.getBoundingClientRect();
    const left = event.clientX - frame.left;
    const fits = left + tip.offsetWidth + 24 < frame.width;
    tip.style.left = (fits ? left + 14 : left - tip.offsetWidth - 14) + "px";
    tip.style.top = (event.clientY - frame.top + 12) + "px";
  });
}
