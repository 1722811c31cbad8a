// The page of a run while it goes on: the log follows, and is asked only for the lines that are new.
"use strict";

const NEAR = 24; // pixels from the end of the log within which somebody counts as reading its end
const log = document.querySelector(".log");
const lines = document.getElementById("log-lines");
let following = true;

function toTheEnd() { if (log && following) log.scrollTop = log.scrollHeight; }

if (log && lines) {
  log.addEventListener("scroll", () => { following = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR; });
  if ("follows" in lines.dataset) {
    document.addEventListener("htmx:configRequest", (event) => {
      if (event.detail.elt.id === "run") event.detail.parameters.after = lines.lastElementChild?.dataset.line || "0";
    });
  }
  new MutationObserver(toTheEnd).observe(lines, { childList: true });
  toTheEnd();
}
