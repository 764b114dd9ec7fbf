// The webmail's scripts: each part of the page works without them; they make it quick.
import { begin as hear } from "./keys.js";
import { begin as offer } from "./acts.js";
import { bind, select } from "./list.js";
import { begin as seek } from "./search.js";
import { frames, thread } from "./thread.js";
import "./live.js";

document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRF-Token"] = document.querySelector("meta[name=csrf]").content;
});

function ready(root) {
  frames(root);
  bind();
  if (thread()) select(thread().dataset.id);
}

document.addEventListener("htmx:load", (event) => ready(event.target));
ready(document);
hear();
offer();
seek();
