// What the pages do by themselves. Everything also works without it, but does not update.
"use strict";

(() => {
  const EVERY_MS = 2000;
  const BUSY_EVERY_MS = 500;
  const GIVE_UP_MS = 8000;
  const STALE_AFTER = 2;

  // --- the chart: a bar is told below it, by pointing, tapping or the arrow keys ---

  let told = null; // the time of the bar that is told

  const tell = (bar) => {
    const caption = document.getElementById("chart-caption");
    if (!caption) return;
    const text = bar.getAttribute("aria-label");
    told = text.split(" ")[0];
    caption.textContent = text;
    document.querySelectorAll(".bar.told").forEach((each) => each.classList.remove("told"));
    bar.classList.add("told");
  };
  const isSeen = (bar) => bar.getClientRects().length > 0;
  const tellAgain = () => {
    const bar = told && [...document.querySelectorAll(".bar")].find((each) => isSeen(each) && each.getAttribute("aria-label").startsWith(told));
    if (bar) tell(bar);
  };
  for (const kind of ["pointerover", "click", "focusin"]) {
    document.addEventListener(kind, (event) => {
      const bar = event.target.closest?.(".bar");
      if (bar) tell(bar);
    });
  }
  document.addEventListener("keydown", (event) => {
    const bar = event.target.closest?.(".bar");
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!bar || !step) return;
    const bars = [...bar.parentNode.querySelectorAll(".bar")];
    const next = bars[bars.indexOf(bar) + step];
    if (!next) return;
    event.preventDefault();
    bar.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });

  // --- parts that change while somebody looks; nothing is sent while nothing has changed (ETag) ---

  const FOCUSABLE = "a, button, summary, .bar[tabindex]";

  const replace = (part, html) => {
    const open = new Map([...part.querySelectorAll("details[id]")].map((each) => [each.id, each.open]));
    const focused = [...part.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement);
    part.innerHTML = html; // rendered by the box, which escapes what guests call themselves
    part.querySelectorAll("details[id]").forEach((each) => { each.open = open.get(each.id) ?? each.open; });
    if (focused >= 0) part.querySelectorAll(FOCUSABLE)[focused]?.focus({ preventScroll: true });
    tellAgain();
  };

  const isTyped = (field) =>
    field.type === "checkbox" ? field.checked !== field.defaultChecked : field.value !== field.defaultValue;

  const update = (live, text, last) => {
    const answer = document.createElement("template");
    answer.innerHTML = text;
    const rows = answer.content.querySelector("template[data-rows]")?.dataset.rows;
    if (rows !== undefined && rows !== live.dataset.rows && ![...document.querySelectorAll("main input")].some(isTyped)) {
      location.reload(); // there are others now; but nobody's typing is thrown away
      return;
    }
    for (const { dataset: { part: id }, innerHTML } of answer.content.querySelectorAll("template[data-part]")) {
      const part = document.getElementById(id);
      // A screen reader reads again what is replaced: only what has changed is.
      if (part && (last.has(id) ? last.get(id) !== innerHTML : part.innerHTML !== innerHTML)) replace(part, innerHTML);
      last.set(id, innerHTML);
    }
  };

  for (const live of document.querySelectorAll("[data-live]")) {
    const stale = document.getElementById("stale");
    const last = new Map();
    let etag = null;
    let failures = 0;
    let timer = 0;

    const ask = async () => {
      clearTimeout(timer);
      try {
        const answer = await fetch(live.dataset.live, {
          headers: etag ? { "If-None-Match": etag } : {},
          cache: "no-store",
          redirect: "manual",
          signal: AbortSignal.timeout(GIVE_UP_MS),
        });
        if (answer.type === "opaqueredirect") {
          location.reload(); // logged out
          return;
        }
        if (answer.status === 200) {
          update(live, await answer.text(), last);
          etag = answer.headers.get("ETag");
        }
        failures = answer.ok || answer.status === 304 ? 0 : failures + 1;
      } catch {
        failures += 1;
      }
      if (stale) stale.hidden = failures < STALE_AFTER;
      timer = setTimeout(askIfSeen, live.querySelector("[data-busy]") ? BUSY_EVERY_MS : EVERY_MS);
    };
    const askIfSeen = () => { if (!document.hidden) ask(); };
    document.addEventListener("visibilitychange", askIfSeen);
    timer = setTimeout(askIfSeen, live.querySelector("[data-busy]") ? BUSY_EVERY_MS : EVERY_MS);
  }

  document.querySelector("[data-print]")?.addEventListener("click", () => { window.print(); });
})();
