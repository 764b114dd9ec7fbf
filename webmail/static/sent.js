// The seconds in which a sending can be undone: a toast that counts them down, on whatever page one went on to.
import { part, post, root } from "./ask.js";
import { failed, hide, show } from "./toast.js";

const KEPT = "mail-sent";

// The address says once what was sent; afterwards this tab remembers it, for as long as it matters.
async function sending() {
  const here = new URL(location.href);
  const key = here.searchParams.get("sent");
  if (!key) return JSON.parse(sessionStorage.getItem(KEPT) || "null");
  here.searchParams.delete("sent");
  history.replaceState(history.state, "", here.pathname + here.search);
  const { left } = JSON.parse(await part(root() + "/outgoing/" + encodeURIComponent(key)));
  const now = { key, until: Date.now() + left * 1000 };
  sessionStorage.setItem(KEPT, JSON.stringify(now));
  return now;
}

async function undo(key) {
  sessionStorage.removeItem(KEPT);
  try {
    const answer = await post(root() + "/outgoing/" + key + "/undo", []);
    location.assign(answer.headers.get("HX-Location"));
  } catch (error) {
    failed(error);
  }
}

export async function begin(text) {
  const found = await sending().catch(() => null);
  const left = () => (found ? Math.ceil((found.until - Date.now()) / 1000) : 0);
  if (left() <= 0) return;
  show(text, () => undo(found.key), left() + 2);
  const toast = document.querySelector("#toasts .toast");
  // seen, and not spoken every second
  const count = Object.assign(document.createElement("span"), { className: "toast__left num", ariaHidden: "true" });
  toast.firstElementChild.after(count);
  const tick = () => {
    count.textContent = String(left());
    if (left() > 0 && toast.isConnected) return;
    clearInterval(timer);
    sessionStorage.removeItem(KEPT);
    if (toast.isConnected) hide();
  };
  const timer = setInterval(tick, 250);
  tick();
}
