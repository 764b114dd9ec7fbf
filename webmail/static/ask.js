// How the other modules ask the server: parts of pages by GET, actions by POST with the token of this page.

export function token() {
  return document.querySelector("meta[name=csrf]").content;
}

// Somebody who is signed out goes to the sign-in page; every other refusal is an Error with the server's sentence.
async function answered(answer) {
  const away = answer.headers.get("HX-Redirect");
  if (away) {
    location.assign(away);
    return new Promise(() => {});
  }
  if (answer.ok) return answer;
  const text = await answer.text();
  throw Object.assign(new Error(text), { said: text.length > 0 && text.length < 300 ? text : "" });
}

export async function part(path, signal) {
  const answer = await answered(await fetch(path, { headers: { "HX-Request": "true" }, signal }));
  return answer.text();
}

export async function post(path, fields) {
  const body = new URLSearchParams([["csrf", token()], ...fields]);
  return answered(await fetch(path, { method: "POST", headers: { "HX-Request": "true" }, body, keepalive: true }));
}

export function parsed(html) {
  const holder = document.createElement("template");
  holder.innerHTML = html;
  return holder.content;
}

// What was put into the page may bring attributes that htmx minds.
export function placed(root) {
  if (window.htmx && root.querySelector("[hx-get], [hx-post]")) window.htmx.process(root);
}

export function root() {
  return document.querySelector(".shell").dataset.root.replace(/\/$/, "");
}
