// Where one is: conversations open beside the list, folders take each other's place, and the address goes along.
import { parsed, part, placed } from "./ask.js";
import { frames, thread } from "./thread.js";
import { take, want } from "./prefetch.js";
import { failed } from "./toast.js";
import { beside, bind, counts, focusRow, list, listing, pathOf, query, rowOf, rows, select, title } from "./list.js";

const PLACE = /\/mail\/([^/]+)(?:\/t(\d+))?$/;

let asking = null;

export const narrow = () => window.matchMedia("(max-width: 760px)").matches;

function fresh() {
  if (asking) asking.abort();
  asking = new AbortController();
  return asking;
}

// --- conversations -------------------------------------------------------------------------------------------------------

// `way`: push (a step forward), stay (the address is right already). `focus`: go into the conversation.
export async function open(path, { way = "push", focus = narrow(), ahead = 1 } = {}) {
  const own = fresh();
  const number = (PLACE.exec(new URL(path, location.href).pathname) || [])[2];
  select(number);
  let html;
  try {
    html = await take(path);
  } catch (error) {
    if (!own.signal.aborted) failed(error);
    return;
  }
  if (own.signal.aborted) return;
  const pane = document.getElementById("read");
  const over = !thread();
  pane.replaceChildren(parsed(html));
  document.body.dataset.view = "message";
  if (way === "push" && over) history.pushState({ over: true }, "", path);
  else if (way === "push") history.replaceState(history.state, "", path);
  document.title = thread().dataset.title;
  placed(pane);
  frames(pane);
  if (focus) (narrow() ? pane.querySelector(".thread__subject") : pane.querySelector(".read__scroll")).focus({ preventScroll: true });
  const row = rowOf(number);
  const next = row && beside(ahead, row);
  if (next) want(pathOf(next));
}

export function openRow(row, options) {
  if (row) open(pathOf(row), options);
}

// Nothing is open any more; the focus goes back to where one came from.
function shut() {
  if (asking) asking.abort();
  const was = thread() && thread().dataset.id;
  const none = document.getElementById("none");
  document.getElementById("read").replaceChildren(none ? none.content.cloneNode(true) : "");
  document.body.dataset.view = "list";
  select(null);
  title();
  const row = (was && rowOf(was)) || null;
  if (row) focusRow(row);
}

export function close() {
  if (!thread() || !listing()) return;
  if (history.state && history.state.over) history.back();
  else {
    history.replaceState(null, "", query());
    shut();
  }
}

// What is open went away: the next one, or the list.
export function moveOn(next) {
  if (next && !narrow()) open(pathOf(next)).then(() => focusRow(next));
  else {
    close();
    if (next) focusRow(next);
  }
}

// --- folders -------------------------------------------------------------------------------------------------------------

export async function load(url, { push = true, focus = true } = {}) {
  const own = fresh();
  let html;
  try {
    html = await part(url, own.signal);
  } catch (error) {
    if (!own.signal.aborted) location.assign(url); // the server says itself what is wrong
    return;
  }
  if (own.signal.aborted) return;
  const content = parsed(html);
  const main = document.getElementById("main");
  const same = listing() && listing().dataset.base === content.querySelector("#listing").dataset.base;
  const kept = same && thread() && !content.querySelector(".thread");
  if (kept) {
    listing().replaceWith(content.querySelector("#listing"));
    history.replaceState(history.state, "", pathFor(thread().dataset.id));
  } else {
    const name = content.querySelector("title").textContent;
    content.querySelector("title").remove();
    main.replaceChildren(content);
    document.title = name;
    document.body.dataset.view = thread() ? "message" : "list";
    if (push) history.pushState(null, "", url);
  }
  arrived(main, focus && !kept);
}

function pathFor(number) {
  const { base } = listing().dataset;
  return base + "/t" + number + query().slice(base.length);
}

function arrived(main, focus) {
  placed(main);
  frames(main);
  document.querySelectorAll(".nav__link[data-slug], .tabbar__link[data-slug]").forEach((link) => {
    if (link.dataset.slug === listing().dataset.box) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  });
  bind();
  counts(JSON.parse(listing().dataset.counts));
  if (thread()) select(thread().dataset.id);
  if (focus) listing().querySelector(".list-head__title").focus({ preventScroll: true });
  document.dispatchEvent(new CustomEvent("mail:shown"));
}

// The list as it is on the server now, where nothing is left of it.
export function refill() {
  if (list() && rows().length) return;
  load(query(), { push: false, focus: false });
}

// What narrows a list, in one order.
function narrowed(search) {
  const words = new URLSearchParams(search);
  return ["q", "in", "show"].map((name) => words.get(name) || "").join("\n");
}

// --- going back, and clicks ----------------------------------------------------------------------------------------------

addEventListener("popstate", async (event) => {
  if (event.state && event.state.htmx) return;
  const found = PLACE.exec(location.pathname);
  const here = listing();
  if (!found || !here) {
    location.reload();
    return;
  }
  const known = here.dataset.base === location.pathname.replace(/\/t\d+$/, "") && narrowed(location.search) === narrowed(query().slice(here.dataset.base.length));
  const whole = location.pathname + location.search;
  if (!known) await load(whole.replace(/\/t\d+(?=$|\?)/, ""), { push: false, focus: !found[2] });
  if (whole !== location.pathname + location.search) return;
  if (found[2]) open(whole, { way: "stay" });
  else if (known) shut();
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.defaultPrevented || !listing()) return;
  if (link.matches("#list .msg-row__link")) {
    event.preventDefault();
    open(link.getAttribute("href"), { focus: narrow() || event.detail === 0 });
  } else if (link.matches("[data-go]")) {
    event.preventDefault();
    load(link.getAttribute("href"), { push: link.getAttribute("href") !== location.pathname + location.search });
  } else if (link.matches("[data-back]")) {
    event.preventDefault();
    close();
  }
});

// A phone shows one pane; htmx, where it brought back a whole page, does not touch <body>.
document.addEventListener("htmx:historyRestore", () => {
  document.body.dataset.view = thread() ? "message" : "list";
});

