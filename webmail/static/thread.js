// The open conversation: frames as high as their text, keys that go on working inside them, opened messages marked as read.
import { counts, mark } from "./list.js";
import { post } from "./ask.js";

const MOST = 30000;

export const thread = () => document.querySelector("#read .thread");

function fit(frame) {
  const page = frame.contentDocument;
  if (!page || !page.body) return;
  const measure = () => {
    const height = Math.min(Math.ceil(page.documentElement.getBoundingClientRect().height), MOST);
    if (height > 0) frame.style.height = height + "px";
  };
  measure();
  new ResizeObserver(measure).observe(page.body);
  // the frame runs no script of its own, so a key pressed in it can only be heard from here
  page.addEventListener("keydown", (event) => document.dispatchEvent(new CustomEvent("mail:key", { detail: event })));
  frame.dataset.ready = "";
}

async function markRead(open) {
  const place = document.querySelector("#acts");
  if (!place) return;
  try {
    const told = await (await post(place.getAttribute("action"), [["do", "read:" + open.dataset.id], ["quiet", "1"]])).json();
    counts(told.counts);
  } catch {
    return;
  }
  open.removeAttribute("data-unread");
  mark("read", [open.dataset.id]);
  readable(open, true);
}

// Which of the two buttons is there: mark as read, or as unread.
export function readable(open, read) {
  const bar = open.closest("#read").querySelector(".read__bar");
  const button = (verb) => bar.querySelector("[value='" + verb + ":" + open.dataset.id + "']");
  if (button("read")) button("read").hidden = read;
  if (button("unread")) button("unread").hidden = !read;
}

// What the loaded text says about itself: pictures that are blocked, formatting that was left out.
function notices(frame) {
  const message = frame.closest(".msg");
  const text = frame.contentDocument && frame.contentDocument.querySelector(".mail");
  const pictures = message && message.querySelector("[data-pictures]");
  if (!text || !pictures) return;
  const count = Number(text.dataset.blocked || 0);
  const said = count === 1 ? pictures.dataset.one : pictures.dataset.many.replace("{n}", String(count));
  pictures.hidden = count === 0;
  pictures.querySelector(".callout__text").textContent = count ? said : "";
  message.querySelector("[data-bound].callout").hidden = text.dataset.bound === undefined;
}

export function frames(root) {
  root.querySelectorAll("iframe.msg__frame").forEach((frame) => {
    if (frame.dataset.heard !== undefined) return;
    frame.dataset.heard = "";
    frame.addEventListener("load", () => { fit(frame); notices(frame); });
    const page = frame.contentDocument;
    if (page && page.readyState === "complete" && page.URL !== "about:blank") { fit(frame); notices(frame); }
  });
  const open = root.querySelector(".thread[data-unread]");
  if (open) markRead(open);
}

const messages = () => [...document.querySelectorAll("#read .thread > .msg")];

// The message beside the one that has the focus, unfolded.
export function message(by) {
  const all = messages();
  const now = all.findIndex((one) => one.contains(document.activeElement));
  const next = all[now < 0 ? (by > 0 ? 0 : all.length - 1) : now + by];
  if (!next) return;
  if (next.matches("details")) next.open = true;
  const place = next.matches("details") ? next.querySelector("summary") : next;
  place.focus({ preventScroll: true });
  next.scrollIntoView({ block: "start" });
}

export function unfold(open) {
  messages().filter((one) => one.matches("details")).forEach((one) => { one.open = open; });
}
