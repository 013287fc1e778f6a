// The dashboard's script. Pages work without it; it makes times relative and local, moves through
// tables by keyboard, asks before what can't be undone, copies, switches dark and light, and fetches
// the parts of a page marked `data-live` anew when the server says that something changed.
// It stands behind chart.js in one module, so `attach` is at hand.

const one = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

/* Times */

const relative = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "narrow" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const UNITS = [["second", 1, 90], ["minute", 60, 5400], ["hour", 3600, 129600], ["day", 86400, Infinity]];

function distance(at) {
  const s = Math.round((at - Date.now()) / 1000);
  const [unit, length] = UNITS.find(([, , below]) => Math.abs(s) < below);
  return relative.format(Math.trunc(s / length) || 0, unit);
}

function tellTimes(within) {
  for (const time of all("time[data-ago], time[data-exact]", within)) {
    const at = Date.parse(time.dateTime);
    if (Number.isNaN(at)) continue;
    time.title = `${exact.format(at)} (${time.dateTime})`;
    if ("ago" in time.dataset) time.textContent = distance(at);
    else if (!time.dataset.told) {
      const ms = String(Math.abs(at % 1000)).padStart(3, "0");
      const clock = new Intl.DateTimeFormat("en-GB", {
        year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
      });
      time.textContent = `${clock.format(at)}.${ms}`;
      time.dataset.told = "yes";
    }
  }
}

/* Dark and light */

function switchTheme() {
  const root = document.documentElement;
  const isDark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  document.cookie = `postrider_theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=strict`;
}

/* Asking first */

async function ask(text) {
  const dialog = one("#confirm");
  one("#confirm-text").textContent = text;
  dialog.returnValue = "no";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  return dialog.returnValue === "yes";
}

async function submitted(event) {
  const form = event.target;
  if (!form.dataset.confirm || form.dataset.agreed) return;
  event.preventDefault();
  if (await ask(form.dataset.confirm)) {
    form.dataset.agreed = "yes";
    form.requestSubmit(event.submitter);
  }
}

/* Copying, and the other buttons */

async function clicked(event) {
  const button = event.target.closest("button");
  if (!button) return;
  if ("themeSwitch" in button.dataset) switchTheme();
  if ("help" in button.dataset) one("#help").showModal();
  if ("resume" in button.dataset) catchUp(true);
  if ("copy" in button.dataset) {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.title = "Copied";
    button.setAttribute("aria-label", "Copied");
  }
}

/* Keyboard. A row is whatever has `data-row`; its first link opens it. */

let row = null;

function move(by) {
  const rows = all("[data-row]");
  if (!rows.length) return;
  const at = rows.indexOf(row);
  select(rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + by, 0), rows.length - 1)]);
}

function select(next) {
  row?.classList.remove("here");
  row = next;
  row.classList.add("here");
  one("a[href]", row)?.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function retry() {
  const ofRow = row && one("form[data-retry]", row);
  const form = ofRow ?? all("form[data-retry]").find((one) => !one.closest("[data-row]"));
  form?.requestSubmit();
}

const KEYS = {
  "/": () => one("[data-search]")?.focus(),
  "j": () => move(1),
  "k": () => move(-1),
  "r": retry,
  "?": () => one("#help")?.showModal(),
};

function pressed(event) {
  const isTyping = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key === "Escape" && isTyping) event.target.blur();
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || one("dialog[open]")) return;
  if (event.key === "Enter" && row && document.activeElement === document.body) {
    one("a[href]", row)?.click();
    return;
  }
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

/* Live parts. What somebody reads is not taken from under their eyes: a part marked
   `data-live-tail` waits while the pointer or the focus is in it, or it is scrolled away. */

const html = globalThis.trustedTypes?.createPolicy("postrider", { createHTML: (text) => text });
let isFetching = false;
let isStale = false;

function isRead(part) {
  if (!("liveTail" in part.dataset)) return part.contains(document.activeElement) && part.matches("form, :has(form:focus-within)");
  const selection = getSelection();
  const hasSelected = selection && !selection.isCollapsed && part.contains(selection.anchorNode);
  return part.matches(":hover, :focus-within") || hasSelected || part.getBoundingClientRect().top < -80;
}

function tell(state) {
  for (const mark of all("[data-live-state]")) {
    mark.dataset.state = state;
    mark.textContent = { live: "Live", paused: "Paused while you read", off: "Not live" }[state];
  }
  for (const button of all("button[data-resume]")) button.hidden = state !== "paused";
}

async function catchUp(isWanted = false) {
  const parts = all("[data-live]");
  if (!parts.length) return;
  if (document.hidden || isFetching) { isStale = true; return; }
  isFetching = true;
  isStale = false;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const text = await answer.text();
    const page = new DOMParser().parseFromString(html ? html.createHTML(text) : text, "text/html");
    for (const part of parts) replace(part, page.getElementById(part.id), isWanted);
    tell(isStale ? "paused" : "live");
  } catch {
    // the server can't be reached, or this page is being left; the stream says when it is back
    tell("off");
  } finally {
    isFetching = false;
  }
}

function replace(part, fresh, isWanted) {
  if (!fresh || fresh.isEqualNode(part)) return;
  if (!isWanted && isRead(part)) { isStale = true; return; }
  const opened = all("details[open][id]", part).map((details) => details.id);
  const here = row && part.contains(row) ? row.id : null;
  const focused = part.contains(document.activeElement) ? finder(document.activeElement, part) : null;
  part.replaceChildren(...fresh.childNodes);
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
  if (here !== null) {
    const again = here ? document.getElementById(here) : null;
    row = again;
    again?.classList.add("here");
  }
  dress(part);
  focused?.()?.focus({ preventScroll: true });
}

/** Finds an element again once its part is drawn anew: by its id, its time in a chart, where it
    leads, or its place among its like. */
function finder(element, part) {
  if (element.id) return () => document.getElementById(element.id);
  const place = (alike, sought) => all(alike, part).indexOf(sought);
  const chart = element.closest("figure.chart");
  if (chart && element.dataset.at) {
    const number = place("figure.chart", chart);
    return () => all("figure.chart", part)[number]?.querySelector(`.slot[data-at="${element.dataset.at}"]`);
  }
  const href = element.getAttribute("href");
  if (href !== null) return () => all("a[href]", part).find((link) => link.getAttribute("href") === href);
  const number = place(element.localName, element);
  return () => all(element.localName, part)[number];
}

function listen() {
  const source = document.body.dataset.liveSource;
  if (!source || !one("[data-live]")) return;
  const events = new EventSource(source);
  events.addEventListener("changed", () => catchUp());
  events.addEventListener("open", () => { tell("live"); catchUp(); });
  events.addEventListener("error", () => tell("off"));
  document.addEventListener("visibilitychange", () => { if (!document.hidden && isStale) catchUp(); });
  document.addEventListener("pointerout", () => setTimeout(() => { if (isStale && !isFetching) catchUp(); }, 400));
}

/* Portal links: the token behind `#` never left this browser until now. */

function enterPortal() {
  const form = one("form[data-portal]");
  if (!form || location.hash.length < 2) return;
  form.elements.token.value = location.hash.slice(1);
  form.elements.framed.value = isFramedElsewhere() ? "yes" : "";
  one("[data-portal-missing]").hidden = true;
  history.replaceState(null, "", location.pathname);
  form.submit();
}

/** Whether the frame around this page is of another origin: it may be another site, which no strict
    cookie reaches, and what is a site takes a list of suffixes to know. */
function isFramedElsewhere() {
  if (self === top) return false;
  const outer = [...(location.ancestorOrigins ?? [document.referrer])].filter(Boolean);
  return outer.some((origin) => new URL(origin).origin !== location.origin);
}

/** Everything that a part of a page needs once it is there. */
function dress(within) {
  tellTimes(within);
  if (typeof attach === "function") attach(within);
  for (const button of all("button[data-copy], button[data-theme-switch], button[data-help]", within)) button.hidden = false;
  for (const select of all("select[data-submits]", within)) {
    select.addEventListener("change", () => select.form.requestSubmit());
  }
}

const address = new URL(location.href);
if (address.searchParams.has("notice")) {
  address.searchParams.delete("notice");
  history.replaceState(null, "", address);
}
// a page that came of doing something and must not be asked for again says whose page it is
const shownFor = one("[data-address]");
if (shownFor) history.replaceState(null, "", shownFor.dataset.address);
const menu = one(".menu");
if (menu && matchMedia("(max-width: 820px)").matches) menu.open = false;
dress(document);
document.addEventListener("keydown", pressed);
document.addEventListener("click", clicked);
document.addEventListener("submit", submitted);
setInterval(() => tellTimes(document), 10_000);
enterPortal();
listen();
