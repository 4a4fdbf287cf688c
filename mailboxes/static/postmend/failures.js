// Whatever htmx could not do ends in a sentence and a way on. A session that ended is the server's: it answers with
// HX-Redirect to the sign-in page, which leads back here.
(() => {
  const OFFLINE = "You are offline: nothing was sent. What is typed stays here; go on when you are connected again.";
  const UNREACHABLE = "Postmend cannot be reached. Check your connection, then try again.";
  const BY_STATUS = {
    403: "This page is too old, or you are not allowed to do this. Nothing was changed: load the page again.",
    404: "This is not here any more. Load the page again.",
    413: "That is more than can be sent at once. Nothing was changed.",
    429: "Too many tries. Nothing was changed: wait a few minutes, then try again.",
  };
  const OURS = "Something went wrong on our side. Try again in a minute.";

  const shown = () => document.getElementById("pm-failure");

  function say(words) {
    if (shown()?.dataset.words === words) return;
    shown()?.remove();
    const banner = document.createElement("div");
    banner.id = "pm-failure";
    banner.className = "banner banner-red pm-banner pm-banner-red";
    banner.setAttribute("role", "alert");
    banner.dataset.words = words;
    const text = document.createElement("div");
    text.textContent = words;
    const again = document.createElement("button");
    again.type = "button";
    again.className = "button button-plain pm-button pm-button-plain";
    again.textContent = "Load the page again";
    again.addEventListener("click", () => location.reload());
    banner.append(text, again);
    (document.querySelector("#main, #content, main") ?? document.body).prepend(banner);
    banner.scrollIntoView({ block: "nearest" });
  }

  const lost = () => say(navigator.onLine ? UNREACHABLE : OFFLINE);
  document.addEventListener("htmx:sendError", lost);
  document.addEventListener("htmx:timeout", lost);
  document.addEventListener("htmx:responseError", (event) => {
    const status = event.detail.xhr.status;
    if (status !== 401) say(BY_STATUS[status] ?? OURS);
  });
  document.addEventListener("htmx:afterOnLoad", (event) => {
    if (event.detail.successful) shown()?.remove();
  });
  window.addEventListener("offline", () => say(OFFLINE));
  window.addEventListener("online", () => shown()?.remove());
  // A form of the browser's own would end in the browser's page, and what was typed would be lost.
  document.addEventListener(
    "submit",
    (event) => {
      if (navigator.onLine) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      say(OFFLINE);
    },
    true,
  );
})();
