// The webmail's scripts: each part of the page works without them; they make it quick.
import { frames } from "./thread.js";
import { rows } from "./list.js";

document.body.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRF-Token"] = document.querySelector("meta[name=csrf]").content;
});

function ready(root) {
  frames(root);
  rows(root);
}

document.body.addEventListener("htmx:load", (event) => ready(event.target));
if (document.readyState !== "loading") ready(document);
else document.addEventListener("DOMContentLoaded", () => ready(document));
