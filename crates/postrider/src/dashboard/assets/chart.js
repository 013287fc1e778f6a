// Charts: tooltips, arrow keys and the viewer's zone. What it relies on is written down in
// chart/mod.rs. It stands before app.js in one module.

const CHART_CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const CHART_DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const CHART_DAY_MS = 86_400_000;
const CHART_KEYS = { ArrowLeft: (at) => at - 1, ArrowRight: (at) => at + 1, Home: () => 0, End: () => Infinity };

/** Brings every chart within `root` to life. */
export function attach(root) {
  for (const chart of root.querySelectorAll("figure.chart[data-from]")) attachChart(chart);
}

function attachChart(chart) {
  const area = chart.querySelector(".area");
  if (area.querySelector(".tip")) return;
  const tip = area.appendChild(document.createElement("div"));
  tip.className = "tip";
  tip.hidden = true;
  chart.querySelectorAll("[data-format]").forEach((time) => tellChartTime(chart, time));

  const slots = [...area.querySelectorAll(".slot")];
  const hide = () => showChartSlot(chart, tip, null);
  area.addEventListener("pointermove", (event) => {
    const slot = event.target.closest(".slot");
    if (slot) showChartSlot(chart, tip, slot);
  });
  area.addEventListener("pointerleave", hide);
  area.addEventListener("focusin", (event) => showChartSlot(chart, tip, event.target.closest(".slot")));
  area.addEventListener("focusout", hide);
  area.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    const links = slots.filter((slot) => slot.matches("a"));
    const at = links.indexOf(event.target.closest(".slot"));
    if (at < 0 || !CHART_KEYS[event.key]) return;
    event.preventDefault();
    const next = links[Math.min(Math.max(CHART_KEYS[event.key](at), 0), links.length - 1)];
    links.forEach((link) => link.setAttribute("tabindex", link === next ? "0" : "-1"));
    next.focus();
  });
}

/** Puts the tooltip beside a slot and the line through it, or takes both away. */
function showChartSlot(chart, tip, slot) {
  const cross = chart.querySelector(".cross");
  tip.hidden = !slot;
  cross.setAttribute("visibility", slot ? "visible" : "hidden");
  if (!slot) return;
  const at = Number(slot.dataset.at);
  const { from, until, slot: width } = chart.dataset;
  const place = (at + width / 2 - from) / (until - from);
  for (const end of ["x1", "x2"]) cross.setAttribute(end, `${place * 100}%`);

  const head = document.createElement("p");
  head.textContent = chartSpan(at, Number(width));
  const list = document.createElement("ul");
  const values = JSON.parse(slot.dataset.values);
  // as they stand upon each other
  [...chart.querySelectorAll(".legend li")].forEach((layer, index) => {
    const line = document.createElement("li");
    line.className = layer.className;
    const name = line.appendChild(document.createElement("span"));
    name.className = "name";
    name.textContent = layer.querySelector(".name").textContent;
    line.appendChild(document.createElement("b")).textContent = values[index];
    list.prepend(line);
  });
  tip.replaceChildren(head, list);

  const room = tip.parentElement.clientWidth;
  const x = place * room;
  const left = x + 12 + tip.offsetWidth > room ? x - 12 - tip.offsetWidth : x + 12;
  tip.style.left = `${Math.min(Math.max(left, 0), Math.max(room - tip.offsetWidth, 0))}px`;
}

function chartSpan(at, width) {
  const day = CHART_DAY.format(at);
  if (width % CHART_DAY_MS === 0) {
    return width === CHART_DAY_MS ? day : `${day} – ${CHART_DAY.format(at + width - 1)}`;
  }
  return `${day}, ${CHART_CLOCK.format(at)} – ${CHART_CLOCK.format(at + width)}`;
}

/** A time in the viewer's zone. Ticks move to where it is round there. */
function tellChartTime(chart, element) {
  let at = Number(element.dataset.time) || Date.parse(element.getAttribute("datetime"));
  if (element.dataset.format === "slot") {
    element.textContent = `${CHART_DAY.format(at)} ${CHART_CLOCK.format(at)}`;
    return;
  }
  const step = Math.min(element.dataset.step, CHART_DAY_MS);
  const { from, until } = chart.dataset;
  const ahead = -new Date(at).getTimezoneOffset() * 60_000;
  at -= ahead - Math.round(ahead / step) * step;
  element.setAttribute("visibility", at < from || at > until ? "hidden" : "visible");
  element.setAttribute("x", `${((at - from) / (until - from)) * 100}%`);
  const local = new Date(at);
  const isMidnight = local.getHours() === 0 && local.getMinutes() === 0;
  element.textContent = isMidnight ? CHART_DAY.format(at) : CHART_CLOCK.format(at);
}
