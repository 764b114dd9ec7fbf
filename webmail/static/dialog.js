// The dialog: the keyboard shortcuts, and where conversations may go. What it shows comes from the server.
import { act, targets } from "./acts.js";
import { part, parsed, post, root } from "./ask.js";
import { failed } from "./toast.js";
import { chosen, listing } from "./list.js";

const box = () => document.getElementById("dialog");

export const isOpen = () => Boolean(box() && box().open);

async function show(kind, path) {
  let html;
  try {
    html = await part(path);
  } catch (error) {
    failed(error);
    return;
  }
  const name = document.getElementById("dialog-name");
  name.textContent = name.getAttribute("data-name-" + kind);
  document.getElementById("dialog-body").replaceChildren(parsed(html));
  if (!box().open) box().showModal();
  const first = box().querySelector("#dialog-body input:not([type=hidden]), #dialog-body .targets__one");
  if (first) first.focus();
}

export function help() {
  show("keys", root() + "/keys");
}

export function moving(threads = targets()) {
  if (!threads.length || !listing()) return;
  show("move", root() + "/move/" + listing().dataset.box + "?" + new URLSearchParams(threads.map((one) => ["thread", one])));
}

// Up and down go through the folders, a letter to the next that begins with it.
document.addEventListener("keydown", (event) => {
  const at = event.target.closest && event.target.closest(".dialog .targets__one");
  if (!at || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  const all = [...box().querySelectorAll(".targets__one")];
  const now = all.indexOf(at);
  let next = null;
  if (event.key === "ArrowDown" || event.key === "j") next = all[now + 1];
  else if (event.key === "ArrowUp" || event.key === "k") next = all[now - 1];
  else if (event.key.length === 1 && event.key !== " ") {
    const after = [...all.slice(now + 1), ...all.slice(0, now)];
    next = after.find((one) => one.textContent.trim().toLowerCase().startsWith(event.key.toLowerCase()));
  } else return;
  event.preventDefault();
  if (next) next.focus();
});

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.matches(".dialog [data-move]")) {
    event.preventDefault();
    const threads = new FormData(form).getAll("thread");
    box().close();
    act("move", threads, { to: event.submitter.value });
  } else if (form.matches("[data-keys-switch]") && box() && box().contains(form)) {
    event.preventDefault();
    const on = form.elements.on.value;
    try {
      await post(form.getAttribute("action"), [["on", on]]);
    } catch (error) {
      failed(error);
      return;
    }
    document.querySelector(".shell").dataset.keys = on === "1" ? "on" : "off";
    help();
  } else if (form.matches("#acts") && event.submitter && event.submitter.value === "move") {
    event.preventDefault();
    moving(chosen());
  }
});

document.addEventListener("click", (event) => {
  if (event.target === box()) box().close();
  const link = event.target.closest("a[data-key='v'], a[data-key='?']");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button || !box()) return;
  event.preventDefault();
  if (link.dataset.key === "?") help();
  else moving(new URL(link.href).searchParams.getAll("thread"));
});
