// What pages do besides htmx: times in the viewer's zone, keys, questions before changes, parts that refresh.
"use strict";

const near = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" }; // in this year
const shortAs = [near, { ...near, second: "2-digit" }].map((style) => new Intl.DateTimeFormat(undefined, style));
const minutes = { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
// A time is as exact as it has to be: of those that are shown together, all have seconds where one has any.
const datedAs = [minutes, { ...minutes, second: "2-digit" }, { ...minutes, second: "2-digit", fractionalSecondDigits: 3 }].map((style) => new Intl.DateTimeFormat(undefined, style));
const exactness = (instant) => (instant.getMilliseconds() ? 2 : instant.getSeconds() ? 1 : 0);
const END = [16, 19, 23]; // of an instant as text, by how exact it is
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23" });
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "local time";

function localTime(element) {
  const instant = new Date(element.dateTime);
  if (Number.isNaN(instant.getTime()) || element.dataset.shown === element.dateTime) return;
  element.dataset.shown = element.dateTime;
  const utc = element.dateTime.replace("T", " ").replace(/(\.\d+)?(Z|\+00:00)$/, "");
  const style = element.dataset.style;
  const exact = style === "dated" ? exactness(instant) : Math.min(exactness(instant), 1);
  const dated = datedAs[exact];
  const local = style === "clock" ? clock.format(instant) : style === "dated" || instant.getFullYear() !== new Date().getFullYear() ? dated.format(instant) : shortAs[Math.min(exact, 1)].format(instant);
  element.title = `${dated.format(instant)} ${zone}, ${utc} UTC`;
  if (style === "ago") return;
  element.textContent = local;
  if (style === "clock" || instant.getTimezoneOffset() === 0) return;
  const beside = document.createElement("span");
  beside.className = "utc";
  beside.textContent = `${element.dateTime.slice(11, END[exact])} UTC`;
  element.append(" ", beside);
}

// A window: its day once where it begins and ends on one, and the same in UTC beside.
function localSpan(element) {
  const [start, end] = [new Date(element.dataset.start), new Date(element.dataset.end)];
  if (Number.isNaN(start.getTime()) || Number.isNaN(end.getTime()) || element.title) return;
  const utc = element.textContent;
  const exact = Math.max(exactness(start), exactness(end));
  const dated = datedAs[exact];
  element.title = `${dated.format(start)} to ${dated.format(end)} ${zone}, ${utc}`;
  element.textContent = dated.formatRange(start, end);
  if (start.getTimezoneOffset() === 0 && end.getTimezoneOffset() === 0) return;
  const beside = document.createElement("span");
  beside.className = "utc";
  beside.textContent = `${element.dataset.start.slice(11, END[exact])} – ${element.dataset.end.slice(11, END[exact])} UTC`;
  element.append(" ", beside);
}

// How long something has been going on grows by itself, from what the server's clock said when the page came.
function about(seconds) {
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const place = units.findIndex(([size]) => seconds >= size);
  if (place < 0) return "0 s";
  const [[size, name], next] = [units[place], units[place + 1]];
  const whole = Math.floor(seconds / size);
  const rest = next && whole < 3 ? Math.floor((seconds % size) / next[0]) : 0;
  return rest ? `${whole} ${name} ${rest} ${next[1]}` : `${whole} ${name}`;
}

function grow() {
  document.querySelectorAll("[data-since]").forEach((element) => {
    element.dataset.came ||= performance.now();
    const told = (new Date(element.dataset.now) - new Date(element.dataset.since)) / 1000;
    const text = about(Math.max(told + (performance.now() - element.dataset.came) / 1000, 0));
    if (element.textContent !== text) element.textContent = text;
  });
}
setInterval(grow, 1000);

// What goes on beyond an edge fades there; styles do the rest.
const REGIONS = "[role=region][aria-label]";
const SCROLLS = `${REGIONS}, .nav`;

function edges(one) {
  one.classList.toggle("more-left", one.scrollLeft > 1);
  one.classList.toggle("more-right", one.scrollWidth - one.clientWidth - one.scrollLeft > 1);
}
const allEdges = () => document.querySelectorAll(SCROLLS).forEach(edges);
document.addEventListener("scroll", (event) => { if (event.target.matches?.(SCROLLS)) edges(event.target); }, true);
document.addEventListener("toggle", allEdges, true); // what a fold hides has no width
window.addEventListener("resize", allEdges);

function settle(root) {
  root.querySelectorAll("span[data-start][data-end]").forEach(localSpan);
  root.querySelectorAll("time[datetime]").forEach(localTime);
  root.querySelectorAll("[data-zone]").forEach((element) => { element.textContent = zone === "UTC" ? "Times in UTC." : `Times in ${zone}, UTC beside.`; });
  root.querySelectorAll("[data-needs-script]").forEach((element) => { element.hidden = false; });
  allEdges();
}

// Changes that cannot be taken back are asked about once more.
document.addEventListener("submit", (event) => {
  const asked = event.submitter?.dataset.ask || event.target.dataset.ask;
  if (asked && !window.confirm(asked)) event.preventDefault();
});

// Who scrolls a table, or only stands in one, loses nothing by a new one: it is scrolled as far, and stood in again.
let places = new Map();

function held(place) {
  const active = document.activeElement;
  return (place.contains(active) && active !== document.body && !active.matches(REGIONS)) || place.querySelector("details[open]") !== null;
}
document.addEventListener("htmx:beforeSwap", () => {
  places = new Map([...document.querySelectorAll(REGIONS)].map((one) => [one.ariaLabel, [one.scrollLeft, one === document.activeElement]]));
});
document.addEventListener("htmx:afterSettle", () => {
  document.querySelectorAll(REGIONS).forEach((one) => {
    const [left, active] = places.get(one.ariaLabel) || [0, false];
    if (left) one.scrollLeft = left;
    if (active && one !== document.activeElement) one.focus({ preventScroll: true });
  });
  places.clear();
});

// A part that somebody works in is not taken away from under their fingers; a hidden page asks nothing.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (!event.detail.elt.matches("[data-live]")) return;
  const worked = [...document.querySelectorAll("[data-live], [data-beside-live]")].some(held);
  stands(worked && !document.hidden);
  if (!worked && !document.hidden) return;
  event.preventDefault();
  due = true;
});
// What stands still for a while says so, and how to see what is there now.
const STILL = 10_000; // milliseconds
let since = null;
function stands(still) {
  since = still ? (since ?? performance.now()) : null;
  const told = document.getElementById("held");
  if (told) told.hidden = since === null || performance.now() - since < STILL;
}
// What was refused names its fields: they are marked, and say what is wrong in them.
document.addEventListener("htmx:afterSwap", (event) => {
  const form = event.detail.requestConfig?.elt?.closest("form");
  if (!form) return;
  form.querySelectorAll("[data-marked]").forEach((field) => ["aria-invalid", "aria-describedby", "data-marked"].forEach((name) => field.removeAttribute(name)));
  const wrong = event.detail.target.querySelector("[data-wrong]");
  wrong?.dataset.wrong.split(" ").forEach((name) => {
    const field = form.elements[name] || form.elements[`p:${name}`];
    if (!(field instanceof Element)) return;
    field.setAttribute("aria-invalid", "true");
    if (!field.hasAttribute("aria-describedby")) field.setAttribute("aria-describedby", wrong.id);
    field.dataset.marked = "";
  });
});
// A session that has ended answers with the page to log in at: the whole page goes there, not a part of it.
document.addEventListener("htmx:beforeSwap", (event) => {
  const address = event.detail.xhr.responseURL;
  if (event.detail.xhr.status === 401 || (address && new URL(address).pathname === "/login")) {
    event.detail.shouldSwap = false;
    window.location.reload();
  }
});
const lost = () => document.getElementById("lost");
document.addEventListener("htmx:sendError", () => { if (lost()) lost().hidden = false; });
document.addEventListener("htmx:responseError", (event) => { if (event.detail.xhr.status >= 500 && lost()) lost().hidden = false; });
document.addEventListener("htmx:afterOnLoad", (event) => { if (event.detail.xhr.status < 500 && lost()) lost().hidden = true; });
document.addEventListener("htmx:load", (event) => settle(event.detail.elt));

// Good news passes: it goes with the first new state of the page that comes after it could be read.
const READ = 10_000; // milliseconds
document.addEventListener("htmx:afterSettle", () => {
  const passes = document.querySelector("[data-passes]");
  if (passes && performance.now() > READ && !passes.matches(":hover, :focus-within")) passes.remove();
});

// Parts refresh when the server tells of a change, at most once in their gap; where it cannot tell, once in each gap.
// What was told while a part was held is not lost: it is due until it has been shown.
let events = null;
let due = false;
let refreshed = performance.now();
const REST = 30_000; // milliseconds after which even an unchanged part is read anew, for times that say how long ago

function part() { return document.querySelector("[data-live]"); }

// A browser opens six connections to a server, over all its tabs, and a stream keeps one: four tabs may hold one, so that
// there is always room for ordinary requests. Who gets no place asks again now and then, and refreshes in each gap.
const PLACES = ["1", "2", "3", "4"].map((number) => `piko_flow stream ${number}`);
const PAUSE = 5_000; // milliseconds until a place is asked for again
let leave = null; // gives the place back
let asking = false;
let asked = -PAUSE;

function taken(place) {
  return new Promise((tell) => {
    navigator.locks.request(place, { ifAvailable: true }, (lock) => {
      tell(lock !== null);
      return lock && new Promise((done) => { leave = done; });
    }).catch(() => tell(false)); // refused to a page that is being left
  });
}

function silence() {
  events?.close();
  leave?.();
  events = leave = null;
}

async function listen() {
  // Browsers have locks only where the connection is safe: https, or this very computer.
  const wants = part();
  if (!wants || "always" in wants.dataset || events || asking || document.hidden || !navigator.locks || performance.now() - asked < PAUSE) return;
  asking = true;
  asked = performance.now();
  for (const place of PLACES) if (await taken(place)) break;
  asking = false;
  const shown = part();
  if (!leave) return;
  if (!shown || document.hidden) { silence(); return; }
  events = new EventSource(`/api/v1/events?${shown.dataset.events || ""}`);
  ["run_began", "run_changed", "run_ended", "run_progress", "run_logged", "reset"].forEach((name) => events.addEventListener(name, () => { due = true; }));
  events.addEventListener("error", (event) => { if (event.target.readyState === EventSource.CLOSED) { silence(); asked = performance.now() + 5 * PAUSE; } });
}

setInterval(() => {
  const shown = part();
  if (!shown) silence(); // nothing changes here any more, and another tab may have the place
  if (!shown || document.hidden) return;
  listen();
  const waited = performance.now() - refreshed;
  const told = events?.readyState === EventSource.OPEN && !("always" in shown.dataset);
  if (waited < Number(shown.dataset.gap) * 1000 || (told && !due && waited < REST)) return;
  refreshed = performance.now();
  due = false;
  htmx.trigger(shown, "refresh");
}, 250);
// What happened while nobody looked, or while the page was kept for the way back, is shown at once.
function resume() {
  asked = -PAUSE;
  due = true;
  listen();
}
window.addEventListener("pagehide", silence);
window.addEventListener("pageshow", (event) => { if (event.persisted) resume(); });
document.addEventListener("visibilitychange", () => { if (document.hidden) silence(); else resume(); });

const GOES = { f: "/", r: "/runs", b: "/backfills", d: "/dead-letters", l: "/replicas", a: "/audit" };
let afterG = 0;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const field = event.target.closest?.("input, textarea, select, dialog[open]");
  if (field) return;
  const help = document.getElementById("help");
  if (event.key === "?" && help) { event.preventDefault(); help.showModal(); return; }
  if (event.key === "/") {
    const search = document.querySelector("input[type=search]");
    if (search) { event.preventDefault(); search.focus(); }
    return;
  }
  if (event.key === "g") { afterG = event.timeStamp; return; }
  if (afterG && event.timeStamp - afterG < 3000 && GOES[event.key]) {
    const there = document.querySelector(`.nav a[href="${GOES[event.key]}"]`);
    if (there) { event.preventDefault(); window.location.assign(there.href); }
  }
  afterG = 0;
});
document.addEventListener("click", (event) => {
  event.target.closest?.("[data-closes]")?.closest(".notice").remove();
  const opener = event.target.closest?.("[data-opens]");
  if (opener) document.getElementById(opener.dataset.opens)?.showModal();
});

settle(document); // the script is deferred: the page is there
grow();
listen();
