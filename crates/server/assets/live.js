// Keeps the page current: whenever the server says that something changed, the part that lives is asked for
// again. Without scripts the page is the same and stays as it was until it is loaded again.
"use strict";
(() => {
  const live = document.getElementById("live");
  if (!live || !window.EventSource) return;
  const tell = (id, text) => {
    const place = document.getElementById(id);
    if (place && place.textContent !== text) place.textContent = text;
  };
  const parsed = document.createElement("template");
  const normal = (html) => {
    parsed.innerHTML = html;
    return parsed.innerHTML.trim();
  };
  // What the page came with is current unless the server says otherwise.
  let shown = live.innerHTML.trim();
  let busy = false;
  let again = false;

  // What a person is doing survives: the focus, what was typed, what was unfolded, how far was scrolled.
  function swap(html) {
    const focused = document.activeElement;
    const caret = focused?.selectionStart;
    const typed = [...live.querySelectorAll("input[id]")].map((it) => [it.id, it.value]);
    const open = [...live.querySelectorAll("details[open]")].map((it) => it.id);
    const scrolled = [...live.querySelectorAll(".scroll")].map((it) => [it.id, it.scrollLeft]);
    live.innerHTML = html;
    const now = (id, change) => {
      const it = id && document.getElementById(id);
      if (it) change(it);
    };
    for (const [id, value] of typed) now(id, (it) => (it.value = value));
    for (const id of open) now(id, (it) => (it.open = true));
    for (const [id, left] of scrolled) now(id, (it) => (it.scrollLeft = left));
    if (!focused?.isConnected) {
      now(focused?.id, (it) => {
        it.focus({ preventScroll: true });
        if (typeof caret === "number") it.setSelectionRange(caret, caret);
      });
    }
    tell("live-summary", live.querySelector("[data-summary]")?.dataset.summary ?? "");
  }

  async function refresh() {
    again = busy;
    if (busy) return;
    busy = true;
    try {
      do {
        again = false;
        const answer = await fetch(live.dataset.live, { redirect: "manual" });
        if (answer.type === "opaqueredirect") return location.reload();
        if (!answer.ok) throw new Error(answer.statusText);
        const html = normal(await answer.text());
        if (html !== shown) swap((shown = html));
      } while (again);
      tell("live-trouble", "");
    } catch {
      tell("live-trouble", "The server does not answer; what you see may be old.");
    } finally {
      busy = false;
    }
  }

  const events = new EventSource("/web/events");
  events.addEventListener("changed", refresh);
  events.addEventListener("error", () => {
    tell("live-trouble", "The connection was lost; what you see may be old.");
    if (events.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
  });
})();
