// The open conversation: frames as high as their text, opened messages marked as read.

const MOST = 30000;

function fit(frame) {
  const page = frame.contentDocument;
  if (!page || !page.body) return;
  const measure = () => {
    const height = Math.min(Math.ceil(page.documentElement.getBoundingClientRect().height), MOST);
    if (height > 0) frame.style.height = height + "px";
  };
  measure();
  new ResizeObserver(measure).observe(page.body);
}

async function markRead(thread) {
  const token = document.querySelector("meta[name=csrf]");
  const form = new URLSearchParams({ do: "read:" + thread.dataset.thread, csrf: token.content });
  const answer = await fetch("/webmail/mail/" + thread.dataset.box + "/act", { method: "POST", body: form, redirect: "manual" });
  if (answer.type !== "opaqueredirect" && !answer.ok) return;
  thread.removeAttribute("data-unread");
  const row = document.getElementById("t" + thread.dataset.thread);
  if (!row) return;
  row.classList.remove("msg-row--unread");
  row.querySelectorAll(".msg-row__unread, .msg-row__link > .visually-hidden").forEach((mark) => mark.remove());
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
    frame.addEventListener("load", () => { fit(frame); notices(frame); });
    if (frame.contentDocument && frame.contentDocument.readyState === "complete") { fit(frame); notices(frame); }
  });
  const thread = root.querySelector(".thread[data-unread]");
  if (thread) markRead(thread);
}
