// The Scan page. A code that arrives while the last one is shown or asked about is queued, never lost: each stays in the
// browser's storage until the box has answered, and carries a nonce, so that asking again is harmless.
"use strict";

(() => {
  const config = JSON.parse(document.getElementById("scan-config").textContent);
  const { url, words } = config;
  let { csrf } = config;
  const form = document.getElementById("scan-form");
  const field = document.getElementById("code");
  const verdict = document.getElementById("verdict");
  const questions = document.getElementById("questions");
  const waiting = document.getElementById("waiting");
  const recent = document.getElementById("recent");

  const RETRY_MS = 1500;
  const GIVE_UP_MS = 10000;
  const SLOW_MS = 250; // an answer that takes longer is announced
  const SHOWN_MS = 400; // a verdict stays this long, however fast the next scan comes
  // A scan is told from typing by its pace: six keys and more, a twentieth of a second each at most, and no pause.
  const PAUSE_MS = 200;
  const PACE_MS = 50;
  const MIN_SCAN_CHARS = 6;
  const MAX_RECENT = 6;

  // --- the queue: an entry of its own for each scan, so that two tabs do not overwrite each other's ---

  const PREFIX = `edgebox-scan-${config.device}-`;
  const stored = () => Object.keys(localStorage).filter((key) => key.startsWith(PREFIX)).map((key) => JSON.parse(localStorage.getItem(key)));
  const keep = (scan) => {
    try {
      localStorage.setItem(PREFIX + scan.nonce, JSON.stringify(scan));
    } catch { /* no storage: it is kept as long as the page is open */ }
  };
  const forget = (scan) => localStorage.removeItem(PREFIX + scan.nonce);

  const queue = stored().sort((one, other) => one.at - other.at);
  let isBusy = false;
  let lastAt = 0;

  const showWaiting = () => { waiting.textContent = queue.length > 1 ? `${queue.length - 1} ${words.waiting}` : ""; };
  const nonce = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

  const enqueue = (secret) => {
    lastAt = Math.max(Date.now(), lastAt + 1);
    const scan = { secret, nonce: nonce(), at: lastAt, answers: {}, ignore_unpaid: false };
    keep(scan);
    queue.push(scan);
    showWaiting();
    work();
  };

  // --- the scanner: it types the code and Enter, whatever has the focus ---

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const secret = field.value.trim();
    field.value = "";
    if (secret) enqueue(secret);
  });

  // A scan in the middle of a question must neither become its answer nor press its button, and one during which the
  // focus moves, because a question comes up, must not be torn in two.
  const TEXT_FIELDS = "textarea, input:not([type=checkbox], [type=radio])";
  let typed = "";
  let beganAt = 0;
  let typedAt = 0;
  let beganIn = null;
  let before = ""; // what stood there
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const target = event.target instanceof HTMLElement ? event.target : document.body;
    const goesOn = event.timeStamp - typedAt < PAUSE_MS;
    const isScan = goesOn && typed.length >= MIN_SCAN_CHARS && event.timeStamp - beganAt <= PACE_MS * typed.length;
    if (event.key.length === 1) {
      if (event.key === " " && !goesOn && target.matches("a, button")) return; // somebody presses it
      if (!goesOn || !typed) {
        typed = "";
        beganAt = event.timeStamp;
        beganIn = target;
        before = target.value ?? "";
      }
      typed += event.key;
      typedAt = event.timeStamp;
      const takesText = target.matches(TEXT_FIELDS);
      if (!takesText && questions.hidden) field.focus();
      else if (!takesText && typed.length > 1) event.preventDefault(); // a blank would press what has the focus
    } else if (event.key === "Enter" || event.key === "Tab") {
      const isWholeInField = target === field && [field, document.body].includes(beganIn);
      if (isScan && !isWholeInField) {
        event.preventDefault();
        event.stopPropagation();
        if (target.matches(TEXT_FIELDS)) target.value = target === beganIn ? before : "";
        if (beganIn.matches(TEXT_FIELDS)) beganIn.value = before;
        enqueue(typed.trim());
      } else if (target === field && event.key === "Tab" && isScan && field.value.trim()) {
        event.preventDefault(); // some scanners end with Tab
        form.requestSubmit();
      }
      typed = "";
    }
  }, true);

  // --- the verdict: in colour, word and sound ---

  const KINDS = { ok: "ok", incomplete: "ask", unpaid: "warn", already_redeemed: "used" };
  const SIGNS = { ok: "✓", ask: "?", warn: "!", used: "✕", no: "✕" };
  const TONES = {
    ok: [[880, 0.12]], ask: [[660, 0.1], [660, 0.1]], warn: [[330, 0.25]], used: [[220, 0.2], [180, 0.35]], no: [[200, 0.5]],
    away: [[440, 0.1], [330, 0.1]],
  };

  const element = (tag, text, className) => {
    const made = document.createElement(tag);
    if (text) made.textContent = text; // never as HTML: guests name themselves
    if (className) made.className = className;
    return made;
  };

  const show = (kind, word, ...lines) => {
    verdict.dataset.kind = kind;
    const sign = SIGNS[kind] ? [element("div", SIGNS[kind], "verdict-word")] : [];
    if (sign.length) sign[0].setAttribute("aria-hidden", "true");
    verdict.replaceChildren(...sign, element("div", word, "verdict-word"), ...lines.filter(Boolean));
    verdict.classList.remove("fresh");
    void verdict.offsetWidth; // so that the next one is seen to be another
    verdict.classList.add("fresh");
  };

  let audio = null;
  const beep = (kind) => {
    try {
      audio ??= new AudioContext();
      let at = audio.currentTime;
      for (const [pitch, length] of TONES[kind] ?? TONES.no) {
        const tone = audio.createOscillator();
        const volume = audio.createGain();
        tone.frequency.value = pitch;
        volume.gain.value = 0.2;
        tone.connect(volume).connect(audio.destination);
        tone.start(at);
        tone.stop(at + length);
        at += length + 0.05;
      }
    } catch { /* no sound device: colour and word remain */ }
  };

  const showAnswer = (answer) => {
    const kind = KINDS[answer.verdict] ?? "no";
    const name = element("div", answer.name, "verdict-name");
    name.dir = "auto";
    show(
      kind,
      answer.text,
      answer.name && name,
      answer.item && element("div", [answer.item, answer.addons].filter(Boolean).join(" + ")),
      answer.detail && element("div", answer.detail, "verdict-detail"),
      answer.attention && element("div", words.attention, "verdict-attention"),
    );
    beep(kind);
  };

  // --- asking the box, until it answers ---

  // After a new log-in the page's proof is an old one.
  const renewProof = async () => {
    const page = new DOMParser().parseFromString(await (await fetch(location.href, { cache: "no-store" })).text(), "text/html");
    const renewed = page.getElementById("scan-config");
    if (renewed) csrf = JSON.parse(renewed.textContent).csrf;
  };

  const away = (word, ...lines) => {
    if (verdict.dataset.kind !== "away") beep("away");
    show("away", word, ...lines.map((line) => line && element("div", line)));
  };

  const ask = async (scan) => {
    const slow = setTimeout(() => { show("wait", words.asking); }, SLOW_MS);
    for (;;) {
      try {
        const answer = await fetch(url, {
          method: "POST",
          headers: { "Content-Type": "application/json", "X-CSRFToken": csrf },
          body: JSON.stringify(scan),
          redirect: "manual",
          signal: AbortSignal.timeout(GIVE_UP_MS),
        });
        const isJson = answer.headers.get("Content-Type")?.includes("json");
        clearTimeout(slow);
        if (isJson && answer.status < 500) return await answer.json();
        if (answer.type === "opaqueredirect") away(words.expired, words.log_in);
        else away(words.retrying, isJson ? (await answer.json()).text : "", words.kept);
        if (answer.status === 400) await renewProof();
      } catch {
        away(words.retrying, words.kept);
      }
      clearTimeout(slow);
      await pause(RETRY_MS);
    }
  };

  // --- questions, and tickets that are not paid: one field a question; null for "do not let in" ---

  const INPUTS = { N: "number", S: "text", D: "date", H: "time", W: "datetime-local" };

  const choice = (question, type, value, label) => {
    const row = element("div", null, "form-check");
    const input = element("input", null, "form-check-input");
    Object.assign(input, { type, name: `q${question.id}`, value, id: `q${question.id}-${value}` });
    input.required = question.required && (type === "radio" || question.type === "B");
    const text = element("label", label, "form-check-label fs-5");
    text.htmlFor = input.id;
    row.append(input, text);
    return row;
  };

  const written = (question, label) => {
    const input = element(question.type === "T" ? "textarea" : "input", null, "form-control form-control-lg narrow");
    if (question.type !== "T") input.type = INPUTS[question.type] ?? "text";
    if (question.type === "N") input.step = "any";
    Object.assign(input, { name: `q${question.id}`, required: question.required });
    input.setAttribute("aria-label", label);
    return input;
  };

  const fieldsOf = (question) => {
    const label = question.required ? question.text : `${question.text} (${words.optional})`;
    const group = element("fieldset");
    group.append(element("legend", label, "fs-5"));
    if (question.type === "B") group.append(choice(question, "checkbox", "True", words.yes));
    else if (question.type === "C") group.append(...question.options.map((option) => choice(question, "radio", String(option.id), option.text)));
    else if (question.type === "M") group.append(...question.options.map((option) => choice(question, "checkbox", String(option.id), option.text)));
    else group.append(written(question, label));
    return group;
  };

  const given = (asked) => {
    const data = new FormData(questions);
    return Object.fromEntries(asked.map((question) => {
      const values = data.getAll(`q${question.id}`);
      return [question.id, question.type === "B" ? (values.length ? "True" : "False") : values.join(",")];
    }));
  };

  const decided = (answer) => new Promise((done) => {
    const asked = answer.questions ?? [];
    const buttons = element("div", null, "d-flex flex-wrap gap-3");
    const send = element("button", answer.may_ignore_unpaid ? words.unpaid : words.send, "btn btn-primary btn-lg");
    const cancel = element("button", words.cancel, "btn btn-outline-danger btn-lg");
    cancel.type = "button";
    buttons.append(send, cancel);
    questions.replaceChildren(...asked.map(fieldsOf), buttons);
    questions.hidden = false;
    document.body.classList.add("asking");
    // Not the button that lets in: who presses Enter without looking must not let anybody in unpaid.
    (questions.querySelector("input, textarea") ?? cancel).focus();
    buttons.scrollIntoView({ block: "nearest" });
    const end = (result) => {
      questions.hidden = true;
      questions.replaceChildren();
      document.body.classList.remove("asking");
      field.focus();
      done(result);
    };
    cancel.onclick = () => end(null);
    questions.onsubmit = (event) => {
      event.preventDefault();
      end(given(asked));
    };
  });

  // --- one after the other ---

  const remember = (answer, wasTurnedAway) => {
    const line = [answer.time, wasTurnedAway ? words.turned_away : answer.text, answer.name, answer.item];
    recent.prepend(element("li", line.filter(Boolean).join(" · "), "text-truncate"));
    while (recent.children.length > MAX_RECENT) recent.lastChild.remove();
  };

  const settle = async (scan) => {
    for (;;) {
      const answer = await ask(scan);
      showAnswer(answer);
      if (answer.verdict !== "incomplete" && !answer.may_ignore_unpaid) return remember(answer, false);
      const answers = await decided(answer);
      if (answers === null) {
        show("no", words.turned_away, element("div", answer.name, "verdict-name"));
        return remember(answer, true);
      }
      Object.assign(scan.answers, answers);
      scan.ignore_unpaid ||= Boolean(answer.may_ignore_unpaid);
      keep(scan);
    }
  };

  const work = async () => {
    if (isBusy) return;
    isBusy = true;
    while (queue.length) {
      await settle(queue[0]);
      forget(queue.shift());
      showWaiting();
      if (queue.length) await pause(SHOWN_MS);
    }
    isBusy = false;
  };

  // Only now: what is typed before anybody listens would be lost.
  show("ready", words.ready);
  field.disabled = false;
  field.focus();
  showWaiting();
  work();
})();
